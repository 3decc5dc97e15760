//! What scrapes and `status` read, whatever the controller is busy with.
//!
//! A scrape takes the snapshot of the moment and reads the kernel's counters
//! through it. A reload publishes the next snapshot when it is done; it never
//! keeps a scrape waiting, and no scrape sees half of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use api::{
    enforcement::Enforcement,
    status::{
        DeniedTotal, EgressStatus, InterfaceStatus, PassedTotal, Status, TableStatus, WireStatus,
    },
};
use dataplane::{DataplaneError, ExitState, InterfaceState, Readings, TableUse};
use policy::totals::{Denied, Totals};

use super::events::way_out_of;
use crate::log;

/// What is said of a way out where somebody else's program decides first.
const BEHIND: &str = "another program comes before poolguard's at the way out, and decides which \
    frames that one sees (`bpftool net`): have it attached behind";

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
                let exit = self.readings.way_out(&interface.name);
                let is_old_out = matches!(exit, ExitState::Outdated(_));
                let outdated = standing == InterfaceState::Outdated || is_old_out;
                let problem = match standing {
                    InterfaceState::Attached => self.why_partly(&interface.name, exit),
                    InterfaceState::Unattached => Some(self.why_unattached(&interface)),
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
                let egress = interface.egress.map(|egress| EgressStatus {
                    way: match exit {
                        ExitState::Attached(way)
                        | ExitState::Outdated(way)
                        | ExitState::Behind(way) => Some(way.name().to_owned()),
                        ExitState::Open => None,
                    },
                    behind: matches!(exit, ExitState::Behind(_)),
                    ..egress
                });
                InterfaceStatus {
                    attached,
                    outdated,
                    problem,
                    wire,
                    egress,
                    ..interface
                }
            })
            .collect()
    }

    /// What keeps an interface that has the program from being as it should be.
    fn why_partly(&self, interface: &str, exit: ExitState) -> Option<String> {
        let mut keys = [interface.to_owned(), way_out_of(interface)].into_iter();
        let failing = keys.find_map(|key| self.failing.get(&key).cloned());
        failing.or_else(|| match exit {
            ExitState::Outdated(_) => Some(InterfaceState::Outdated.to_string()),
            ExitState::Behind(_) => Some(BEHIND.to_owned()),
            ExitState::Attached(_) | ExitState::Open => None,
        })
    }

    /// What keeps an interface that is there from having the program: said of it, or
    /// of the other end of its wire.
    fn why_unattached(&self, interface: &InterfaceStatus) -> String {
        let peer = interface.wire.as_ref().map(|wire| &wire.peer);
        let mut names = [Some(&interface.name), peer].into_iter().flatten();
        let why = names.find_map(|name| self.failing.get(name));
        why.map_or_else(|| InterfaceState::Unattached.to_string(), Clone::clone)
    }

    /// What `/readyz` says of what is in force where somebody has to look at it, though
    /// the program decides everywhere.
    pub(super) fn doubts(&self) -> String {
        let file = self.status.config_file.display();
        let last = self.status.last_good.as_ref().map(|last| {
            format!(
                "the last good configuration is in force, of {}, not {file}: {}\n",
                last.in_force_since, last.error
            )
        });
        let unconfirmed = self.status.unconfirmed.as_ref();
        let unconfirmed = unconfirmed.map(|unconfirmed| format!("{unconfirmed}\n"));
        let monitor = self.enforcement().reservation();
        let monitor = monitor.map(|text| format!("{text}\n"));
        let interfaces = self.interfaces().into_iter();
        let behind = interfaces.filter(|interface| interface.is_behind());
        let behind = behind.map(|interface| format!("{}: {BEHIND}\n", interface.name));
        let doubts = last.or(unconfirmed).into_iter().chain(monitor);
        doubts.chain(behind).collect()
    }

    /// What is enforced and what is not, in a line.
    pub(super) fn headline(&self) -> String {
        let mut text = self.traffic();
        for interface in self.interfaces() {
            let is_open = interface.has_open_exit();
            if let (true, Some(problem)) = (!interface.attached || is_open, interface.problem) {
                text = format!("{text}; {}: {problem}", interface.name);
            }
        }
        if let Some(last) = &self.status.last_good {
            text = format!(
                "LAST GOOD CONFIGURATION, of {}; {text}",
                last.in_force_since
            );
        }
        if let Some(unconfirmed) = &self.status.unconfirmed {
            text = format!("UNCONFIRMED, since {}; {text}", unconfirmed.since);
        }
        text
    }

    /// How much of what the rules forbid is dropped where the program is.
    pub(super) fn enforcement(&self) -> Enforcement {
        self.status.enforcement()
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
            false => format!(
                "generation {generation} {}",
                self.enforcement().still_on(&names(&on))
            ),
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
    pub fn read(&self) -> Result<(Totals, Status), DataplaneError> {
        let totals = self.readings.totals()?;
        let mut status = self.status.clone();
        status.interfaces = self.interfaces();
        status.log_lines_lost += log::lines_lost();
        status.tables = self.readings.tables().iter().map(table_status).collect();
        status.passed = passed(&totals);
        status.denied = denied(&totals);
        Ok((totals, status))
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

fn passed(totals: &Totals) -> Vec<PassedTotal> {
    let interfaces = totals.passed().map(|(interface, packets)| PassedTotal {
        interface: interface.to_owned(),
        packets,
    });
    interfaces.collect()
}

fn denied(totals: &Totals) -> Vec<DeniedTotal> {
    let mut denied: Vec<_> = totals.denied().filter(Denied::occurred).collect();
    denied.sort_by_key(|denied| (denied.rule.name(), denied.pool));
    let totals = denied.into_iter().map(|denied| DeniedTotal {
        rule: denied.rule.name().to_owned(),
        pool: denied.pool.to_owned(),
        dropped_packets: denied.dropped_packets,
        dropped_bytes: denied.dropped_bytes,
        would_drop_packets: denied.would_drop_packets,
    });
    totals.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use std::convert::Infallible;

    use filter_common::{
        Rule,
        counters::{self, PoolCounter, ROWS, Row, Slot},
    };
    use policy::{compile::Slots, totals::CounterSource};

    use super::*;

    struct Counted(Vec<Row>);

    impl CounterSource for Counted {
        type Error = Infallible;

        fn row(&self, row: u32) -> Result<Row, Infallible> {
            Ok(self.0[row as usize])
        }
    }

    /// What was counted at these places; the names are the closure's.
    fn totals(count: impl Fn(&mut Slots) -> Vec<(Slot, u64)>) -> Totals {
        let mut slots = Slots::default();
        let mut rows = vec![Row::default(); ROWS as usize];
        for (slot, n) in count(&mut slots) {
            rows[slot.row as usize][slot.column] = n;
        }
        let Ok(totals) = Totals::of(&slots, &Counted(rows));
        totals
    }

    #[test]
    fn what_passed_comes_interface_by_interface_also_where_nothing_did() {
        let totals = totals(|slots| {
            let uplink = slots.interface("uplink0").unwrap();
            let lan = slots.interface("lan0").unwrap();
            vec![(Slot::passed(lan), 5), (Slot::unsent(uplink), 6)]
        });
        let passed = |interface: &str, packets| PassedTotal {
            interface: interface.to_owned(),
            packets,
        };
        assert_eq!(
            super::passed(&totals),
            [passed("uplink0", 0), passed("lan0", 5)]
        );
    }

    #[test]
    fn what_was_denied_comes_by_rule_and_then_by_pool_without_what_never_occurred() {
        use PoolCounter::{DroppedBytes, DroppedPackets, ExemptedInbound, WouldDropPackets};
        use Rule::{HiddenPorts, InboundPort, Malformed, SmtpOut};

        let totals = totals(|slots| {
            let none = counters::NO_POOL;
            let dialup = slots.pool("dialup").unwrap();
            let business = slots.pool("business").unwrap();
            vec![
                (Slot::pool(dialup, DroppedPackets(SmtpOut)), 1),
                (Slot::pool(dialup, DroppedBytes(SmtpOut)), 60),
                (Slot::pool(dialup, DroppedPackets(InboundPort)), 2),
                (Slot::pool(dialup, DroppedBytes(InboundPort)), 130),
                (Slot::pool(business, WouldDropPackets(InboundPort)), 3),
                (Slot::pool(business, ExemptedInbound), 4),
                (Slot::pool(none, DroppedPackets(Malformed)), 5),
                (Slot::pool(none, WouldDropPackets(HiddenPorts)), 6),
            ]
        });
        let denied = |rule: &str, pool: &str, dropped_packets, dropped_bytes, would| DeniedTotal {
            rule: rule.to_owned(),
            pool: pool.to_owned(),
            dropped_packets,
            dropped_bytes,
            would_drop_packets: would,
        };
        assert_eq!(
            super::denied(&totals),
            [
                denied("hidden_ports", "none", 0, 0, 6),
                denied("inbound_port", "business", 0, 0, 3),
                denied("inbound_port", "dialup", 2, 130, 0),
                denied("malformed", "none", 5, 0, 0),
                denied("smtp_out", "dialup", 1, 60, 0),
            ]
        );
    }
}
