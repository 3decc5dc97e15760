//! What a controller leaves to the next one, should it die.

use std::{collections::BTreeMap, path::PathBuf};

use api::status::{EgressStatus, Status};
use dataplane::{Dataplane, DataplaneError};
use jiff::Timestamp;
use policy::{compile::Compiled, config::lossy};
use serde::{Deserialize, Serialize};

/// What goes with the counters: since when they count, and the counts that the
/// controller keeps itself. `reloads` and `failures` are counters as well, and do
/// not go back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) counting_since: Timestamp,
    pub(super) generation: u64,
    pub(super) reloads: u64,
    pub(super) reload_failures: u64,
    pub(super) attachments: BTreeMap<String, u64>,
    /// Those before had no such counter.
    #[serde(default)]
    pub(super) log_lines_lost: u64,
    /// What is in force, for whoever asks while no controller runs. Those before did not
    /// say.
    #[serde(default)]
    pub(super) in_force: Option<NotedInForce>,
}

/// What a controller notes of what is in force. Interfaces and programs are in the books
/// beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedInForce {
    /// The configuration file that it was read from.
    #[serde(serialize_with = "lossy")]
    pub config_file: PathBuf,
    /// What tells the texts of the configuration from others.
    pub config_hash: String,
    /// When it came into force.
    pub since: Timestamp,
    /// Whether the whole box only monitors.
    pub monitor: bool,
    /// How many pools there are.
    pub pools: usize,
    /// How many of them are in monitor mode.
    pub monitored_pools: usize,
    /// Whether what is permitted goes by wire, and nothing without the filter.
    pub by_wire: bool,
    /// The interfaces for which that is not so: the kernel forwards what they permit.
    #[serde(default)]
    pub beside_wires: Vec<String>,
    /// The interfaces whose way out is to be filtered. Those before filtered none.
    #[serde(default)]
    pub filtered_ways_out: Vec<String>,
}

impl NotedInForce {
    /// What is noted of a controller that stands so.
    pub(super) fn of(status: &Status) -> Self {
        let beside_wires = status
            .interfaces
            .iter()
            .filter(|known| known.wire.is_none());
        let beside_wires = beside_wires.map(|known| known.name.clone());
        let filtered_ways_out = status
            .interfaces
            .iter()
            .filter(|known| known.egress.as_ref().is_some_and(EgressStatus::is_wanted))
            .map(|known| known.name.clone());
        let monitored = status.pools.iter().filter(|pool| pool.monitored);
        Self {
            config_file: status.config_file.clone(),
            config_hash: status.config_hash.clone(),
            since: status.generation_since,
            monitor: status.monitor,
            pools: status.pools.len(),
            monitored_pools: monitored.count(),
            by_wire: status.forwarding == "wire",
            beside_wires: beside_wires.collect(),
            filtered_ways_out: filtered_ways_out.collect(),
        }
    }
}

impl Kept {
    /// Where counting begins.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            counting_since: now,
            generation: 0,
            reloads: 0,
            reload_failures: 0,
            attachments: BTreeMap::new(),
            log_lines_lost: 0,
            in_force: None,
        }
    }

    /// What the controller before this one has left, if there was one.
    pub(super) fn read(
        dataplane: &mut impl Dataplane,
        now: Timestamp,
    ) -> Result<Self, DataplaneError> {
        let kept = dataplane.go_on_counting()?;
        Ok(kept.unwrap_or_else(|| Self::new(now)))
    }

    pub(super) fn write(&self, dataplane: &mut impl Dataplane) -> Result<(), DataplaneError> {
        dataplane.note(self)
    }

    /// Loads a generation, and notes whose counters are which before the first frame
    /// is counted in it.
    pub(super) fn load<D: Dataplane>(
        &self,
        dataplane: &mut D,
        compiled: &Compiled,
    ) -> Result<D::Generation, DataplaneError> {
        let generation = dataplane.load(compiled)?;
        match self.write(dataplane) {
            Ok(()) => Ok(generation),
            Err(error) => {
                dataplane.discard(generation);
                Err(error)
            }
        }
    }
}
