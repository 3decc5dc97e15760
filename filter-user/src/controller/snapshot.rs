//! What scrapes and `status` read, whatever the controller is busy with.
//!
//! A scrape takes the snapshot of the moment and reads the kernel's counters
//! through it. A reload publishes the next snapshot when it is done; it never
//! keeps a scrape waiting, and no scrape sees half of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    dataplane::{DataplaneError, Readings, Standing, TableUse},
    metrics::{self, Sample},
    status::{DeniedTotal, InterfaceStatus, PassedTotal, Status, TableStatus, WireStatus},
};

/// The latest snapshot.
#[derive(Debug)]
pub struct Shared(RwLock<Arc<Snapshot>>);

impl Shared {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self(RwLock::new(Arc::new(snapshot)))
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The facts of one moment, and the way to the counters.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) status: Status,
    pub(super) readings: Arc<dyn Readings>,
    /// What keeps interfaces that are there from having the program.
    pub(super) failing: BTreeMap<String, String>,
}

impl Snapshot {
    /// The interfaces, attached or not as they are now: one that is deleted
    /// takes its link with it.
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        let configured = self.status.interfaces.iter().cloned();
        configured
            .map(|interface| {
                let standing = self.readings.standing(&interface.name);
                let attached = standing.is_enforced();
                let problem = match standing {
                    Standing::Attached => self.failing.get(&interface.name).cloned(),
                    Standing::Unattached => Some(self.why_unattached(&interface)),
                    problem => Some(problem.to_string()),
                };
                let wire = interface.wire.map(|wire| {
                    let problem = self.readings.wire_problem(&interface.name, &wire.peer);
                    WireStatus {
                        up: attached && problem.is_none(),
                        problem,
                        ..wire
                    }
                });
                InterfaceStatus {
                    attached,
                    problem,
                    wire,
                    ..interface
                }
            })
            .collect()
    }

    /// What keeps an interface that is there from having the program: said of it, or
    /// of the other end of its wire.
    fn why_unattached(&self, interface: &InterfaceStatus) -> String {
        let peer = interface.wire.as_ref().map(|wire| &wire.peer);
        let mut names = [Some(&interface.name), peer].into_iter().flatten();
        let why = names.find_map(|name| self.failing.get(name));
        why.map_or_else(|| Standing::Unattached.to_string(), Clone::clone)
    }

    /// A line for `/readyz` where the configuration file is not what is in force.
    pub(super) fn last_good(&self) -> String {
        let last = self.status.last_good.as_ref();
        last.map_or_else(String::new, |last| {
            format!(
                "the last good configuration is in force, of {}, not {}: {}\n",
                last.in_force_since,
                self.status.config_file.display(),
                last.error
            )
        })
    }

    /// What is enforced and what is not, in a line.
    pub(super) fn headline(&self) -> String {
        let mut text = self.traffic();
        for interface in self.interfaces() {
            if let (false, Some(problem)) = (interface.attached, interface.problem) {
                text = format!("{text}; {}: {problem}", interface.name);
            }
        }
        if let Some(last) = &self.status.last_good {
            text = format!(
                "LAST GOOD CONFIGURATION, of {}; {text}",
                last.in_force_since
            );
        }
        text
    }

    /// The interfaces through which nothing goes any more without the program.
    pub(super) fn cut_by_detaching(&self) -> Vec<String> {
        let interfaces = self.status.interfaces.iter();
        let wired = interfaces.filter(|interface| interface.wire.is_some());
        wired.map(|interface| interface.name.clone()).collect()
    }

    /// Where frames are decided and where they are not, as they are now: what a
    /// failure means for traffic.
    pub fn traffic(&self) -> String {
        let generation = self.status.generation;
        let interfaces = self.interfaces().into_iter();
        let (on, off) = interfaces.partition::<Vec<_>, _>(|interface| interface.attached);
        let names = |interfaces: &[InterfaceStatus]| {
            let names = interfaces.iter().map(|interface| interface.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let on = match on.is_empty() {
            true => "nothing is filtered".to_owned(),
            false => format!("generation {generation} still filters {}", names(&on)),
        };
        match off.is_empty() {
            true => on,
            false => format!("{on}; NOT ENFORCING on {}", names(&off)),
        }
    }

    /// All counters and facts, as they are now.
    ///
    /// # Errors
    ///
    /// When the kernel's tables cannot be read.
    pub fn read(&self) -> Result<(Vec<Sample>, Status), DataplaneError> {
        let samples = metrics::samples(&self.readings.totals()?);
        let mut status = self.status.clone();
        status.interfaces = self.interfaces();
        status.tables = self.readings.tables().iter().map(table_status).collect();
        status.passed = passed(&samples);
        status.denied = denied(&samples);
        Ok((samples, status))
    }
}

fn table_status(table: &TableUse) -> TableStatus {
    TableStatus {
        table: table.table.to_owned(),
        entries: table.entries,
        capacity: table.capacity,
        bytes: table.bytes,
    }
}

fn passed(samples: &[Sample]) -> Vec<PassedTotal> {
    samples
        .iter()
        .filter(|sample| sample.metric == metrics::PASSED_PACKETS)
        .map(|sample| PassedTotal {
            interface: sample.label("interface").to_owned(),
            packets: sample.value,
        })
        .collect()
}

fn denied(samples: &[Sample]) -> Vec<DeniedTotal> {
    let mut totals: BTreeMap<(&str, &str), DeniedTotal> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.value > 0) {
        let key = (sample.label("rule"), sample.label("pool"));
        let field: fn(&mut DeniedTotal) -> &mut u64 = match sample.metric {
            m if m == metrics::DROPPED_PACKETS => |total| &mut total.dropped_packets,
            m if m == metrics::DROPPED_BYTES => |total| &mut total.dropped_bytes,
            m if m == metrics::WOULD_DROP_PACKETS => |total| &mut total.would_drop_packets,
            _ => continue,
        };
        *field(totals.entry(key).or_default()) = sample.value;
    }
    totals
        .into_iter()
        .map(|((rule, pool), total)| DeniedTotal {
            rule: rule.to_owned(),
            pool: pool.to_owned(),
            ..total
        })
        .collect()
}
