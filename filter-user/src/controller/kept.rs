//! What a controller leaves to the next one, should it die.

use std::collections::BTreeMap;

use dataplane::{Dataplane, DataplaneError};
use jiff::Timestamp;
use policy::compile::Compiled;
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
