//! What was counted, by name.

mod counts;

use std::{collections::HashMap, fmt, hash::Hash};

use filter_common::counters::{self, INTERFACES, POOLS, PORTS, Row, Slot};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

pub use counts::{Denied, DeniedByPort, Permitted};

use crate::{
    compile::{NO_POOL_NAME, Slots},
    config::PortRange,
};

/// Somewhere that the counters of one generation can be read.
pub trait CounterSource {
    /// Why they could not.
    type Error;

    /// One row, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// When the row cannot be read.
    fn row(&self, row: u32) -> Result<Row, Self::Error>;
}

/// What was counted under each name, whichever generations counted it.
///
/// Names come in the order in which they were configured last, so that those
/// which have been gone the longest are the first.
///
/// ```
/// # use std::path::Path;
/// # use policy::{config::{Memory, load_from}, intent::Intent};
/// # let now = "2026-06-15T12:00:00Z".parse()?;
/// # let intent = |prefix: &str| {
/// #     let text = format!(
/// #         "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = [\"192.0.2.25\"]\n\
/// #          [[pool]]\nname = \"dialup\"\nkind = \"dynamic\"\nprefixes = [\"{prefix}\"]\n"
/// #     );
/// #     let files = Memory::default().with("poolguard.toml", text);
/// #     let loaded = load_from(&files, Path::new("poolguard.toml"), now);
/// #     loaded.map(|loaded| Intent::from(loaded.config))
/// # };
/// use filter_common::{Ingress, Role, Sources, counters, decide};
/// use policy::{compile::compile, host::{HostCounters, HostTables}, totals::Totals};
///
/// let tables = compile(&intent("203.0.113.0/24")?, now)?;
/// // A frame that ends inside its Ethernet header.
/// let (frame, ingress) = ([0; 13], Ingress { role: Role::Network, sources: Sources::Any });
/// let verdict = decide(&frame[..], ingress, &HostTables::new(&tables));
/// let mut counted = HostCounters::default();
/// counters::count(&verdict, tables.interfaces[0].slot, frame.len(), &mut counted);
///
/// let totals = Totals::of(&tables.slots, &counted)?;
/// let denied: Vec<_> = totals.denied().filter(|denied| denied.occurred()).collect();
/// assert_eq!((denied[0].rule.name(), denied[0].dropped_packets), ("malformed", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    uninspected: Row,
    dropped_by_reason: Row,
    would_drop_by_reason: Row,
    interfaces: IndexMap<String, OfInterface>,
    pools: IndexMap<String, Row>,
    ports: IndexMap<PortRange, Row>,
}

/// What is counted for each interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfInterface {
    passed: u64,
    unsent: u64,
    #[serde(default)]
    passed_out: u64,
    #[serde(default)]
    dropped_out: u64,
}

/// Names whose counters are gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The longest gone comes first; so with the others.
    pub pools: Vec<String>,
    /// Watched ports and ranges.
    pub ports: Vec<String>,
    /// Interfaces.
    pub interfaces: Vec<String>,
}

impl Forgotten {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty() && self.ports.is_empty() && self.interfaces.is_empty()
    }
}

impl Totals {
    /// The counters of one generation alone.
    ///
    /// # Errors
    ///
    /// When a row cannot be read.
    pub fn of<C: CounterSource>(slots: &Slots, counters: &C) -> Result<Self, C::Error> {
        let mut rows = Rows {
            counters,
            known: HashMap::new(),
        };
        let mut totals = Self {
            uninspected: rows.get(counters::UNINSPECTED_ROW)?,
            dropped_by_reason: rows.get(counters::DROPPED_REASON_ROW)?,
            would_drop_by_reason: rows.get(counters::WOULD_DROP_REASON_ROW)?,
            ..Self::default()
        };
        for (name, slot) in slots.interfaces() {
            let counted = OfInterface {
                passed: rows.counter(Slot::passed(slot))?,
                unsent: rows.counter(Slot::unsent(slot))?,
                passed_out: rows.counter(Slot::passed_out(slot))?,
                dropped_out: 0,
            };
            totals.interfaces.insert(name.to_owned(), counted);
        }
        for (name, slot) in slots.pools() {
            let mut row = rows.get(counters::pool_row(slot))?;
            // That column is an interface's.
            row[Slot::dropped_out(slot).column] = 0;
            totals.pools.insert(name.to_owned(), row);
        }
        for (name, slot) in slots.interfaces() {
            let dropped = rows.counter(Slot::dropped_out(slot))?;
            totals.interfaces[name].dropped_out = dropped;
        }
        for (port, slot) in slots.ports() {
            let mut row = rows.get(counters::port_row(slot))?;
            // These are an interface's.
            row[Slot::unsent(slot).column] = 0;
            row[Slot::passed_out(slot).column] = 0;
            totals.ports.insert(port, row);
        }
        Ok(totals)
    }

    /// Adds what was counted elsewhere. Its names are those that were configured
    /// last from now on.
    pub fn add(&mut self, other: Self) {
        add_row(&mut self.uninspected, &other.uninspected);
        add_row(&mut self.dropped_by_reason, &other.dropped_by_reason);
        add_row(&mut self.would_drop_by_reason, &other.would_drop_by_reason);
        add_names(&mut self.interfaces, other.interfaces, |sum, more| {
            sum.passed = sum.passed.wrapping_add(more.passed);
            sum.unsent = sum.unsent.wrapping_add(more.unsent);
            sum.passed_out = sum.passed_out.wrapping_add(more.passed_out);
            sum.dropped_out = sum.dropped_out.wrapping_add(more.dropped_out);
        });
        add_names(&mut self.pools, other.pools, add_row);
        add_names(&mut self.ports, other.ports, add_row);
    }

    /// Leaves names out under which nothing was counted.
    #[must_use]
    pub fn without_zeros(mut self) -> Self {
        self.interfaces
            .retain(|_, counted| *counted != OfInterface::default());
        self.pools.retain(|_, row| *row != Row::default());
        self.ports.retain(|_, row| *row != Row::default());
        self
    }

    /// Forgets what has been gone the longest, until there are no more names
    /// than one generation can count, those that are in use included.
    pub fn make_room<'a>(&mut self, in_use: impl Iterator<Item = &'a Slots>) -> Forgotten {
        let mut pools = IndexSet::from([NO_POOL_NAME.to_owned()]);
        let (mut ports, mut interfaces) = (IndexSet::new(), IndexSet::new());
        for slots in in_use {
            pools.extend(slots.pools().map(|(name, _)| name.to_owned()));
            ports.extend(slots.ports().map(|(port, _)| port));
            interfaces.extend(slots.interfaces().map(|(name, _)| name.to_owned()));
        }
        Forgotten {
            pools: forget(&mut self.pools, &pools, POOLS),
            ports: forget(&mut self.ports, &ports, PORTS),
            interfaces: forget(&mut self.interfaces, &interfaces, INTERFACES),
        }
    }

    /// Whether an interface has counters.
    pub fn has_interface(&self, name: &str) -> bool {
        self.interfaces.contains_key(name)
    }
}

/// Rows that were read once: one is many interfaces', and ports and interfaces
/// share others.
struct Rows<'a, C> {
    counters: &'a C,
    known: HashMap<u32, Row>,
}

impl<C: CounterSource> Rows<'_, C> {
    fn get(&mut self, number: u32) -> Result<Row, C::Error> {
        if let Some(row) = self.known.get(&number) {
            return Ok(*row);
        }
        let row = self.counters.row(number)?;
        self.known.insert(number, row);
        Ok(row)
    }

    fn counter(&mut self, slot: Slot) -> Result<u64, C::Error> {
        Ok(self.get(slot.row)?[slot.column])
    }
}

fn add_row(sum: &mut Row, more: &Row) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.wrapping_add(*more);
    }
}

/// Adds what was counted under each name, and puts these names behind the others.
fn add_names<K: Hash + Eq, V>(
    sums: &mut IndexMap<K, V>,
    more: IndexMap<K, V>,
    add: impl Fn(&mut V, &V),
) {
    let mut before = std::mem::take(sums);
    let more: Vec<(K, V)> = more
        .into_iter()
        .map(|(name, mut value)| {
            if let Some(sum) = before.get(&name) {
                add(&mut value, sum);
            }
            (name, value)
        })
        .collect();
    let names: IndexSet<&K> = more.iter().map(|(name, _)| name).collect();
    before.retain(|name, _| !names.contains(name));
    before.extend(more);
    *sums = before;
}

/// Forgets the first names that are not in use, until as many are left as there
/// is room for beside those that are.
fn forget<K: Hash + Eq + Clone + fmt::Display, V>(
    counted: &mut IndexMap<K, V>,
    in_use: &IndexSet<K>,
    capacity: u32,
) -> Vec<String> {
    let idle: Vec<K> = counted
        .keys()
        .filter(|name| !in_use.contains(*name))
        .cloned()
        .collect();
    let room = (capacity as usize).saturating_sub(in_use.len());
    let gone = &idle[..idle.len().saturating_sub(room)];
    let names: IndexSet<&K> = gone.iter().collect();
    counted.retain(|name, _| !names.contains(name));
    gone.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{collections::BTreeMap, convert::Infallible, ops::Range};

    use proptest::prelude::*;

    use super::*;

    /// Rows as a program leaves them.
    struct Counted(Vec<Row>);

    impl CounterSource for Counted {
        type Error = Infallible;

        fn row(&self, row: u32) -> Result<Row, Infallible> {
            Ok(self.0[row as usize])
        }
    }

    /// A generation that has pools, ports and interfaces of these numbers, and has
    /// counted so much for each.
    #[derive(Clone, Debug)]
    struct Generation {
        pools: Range<u16>,
        ports: Range<u16>,
        interfaces: Range<u16>,
        counted: u64,
    }

    impl Generation {
        fn slots(&self) -> Slots {
            let mut slots = Slots::default();
            for pool in self.pools.clone() {
                slots.pool(&format!("pool-{pool}")).unwrap();
            }
            for port in self.ports.clone() {
                slots.port(port).unwrap();
            }
            for interface in self.interfaces.clone() {
                slots.interface(&format!("eth{interface}")).unwrap();
            }
            slots
        }

        fn totals(&self) -> Totals {
            let slots = self.slots();
            let mut rows = vec![Row::default(); counters::ROWS as usize];
            let mut count = |slot: Slot| rows[slot.row as usize][slot.column] += self.counted;
            let direction = counters::Direction::Inbound;
            let protocol = filter_common::Protocol::Tcp;
            for (_, slot) in slots.pools() {
                count(Slot::pool(slot, counters::PoolCounter::ReturnPackets));
            }
            for (_, slot) in slots.ports() {
                count(Slot::dropped_by_port(slot, direction, protocol));
            }
            for (_, slot) in slots.interfaces() {
                count(Slot::passed(slot));
                count(Slot::unsent(slot));
                count(Slot::passed_out(slot));
                count(Slot::dropped_out(slot));
            }
            let Ok(totals) = Totals::of(&slots, &Counted(rows));
            totals
        }
    }

    /// As many numbers as `most`, from anywhere.
    fn some(of: u16, most: u16) -> impl Strategy<Value = Range<u16>> {
        (0..of, 0..=most).prop_map(|(first, count)| first..first + count)
    }

    /// All that can be configured at once, out of twice as much and more.
    fn generation() -> impl Strategy<Value = Generation> {
        let names = (some(1_500, 1_023), some(700, 63), some(300, 256), 0..9_u64);
        names.prop_map(|(pools, ports, interfaces, counted)| Generation {
            pools,
            ports,
            interfaces,
            counted,
        })
    }

    /// What a name has, and which generation had it last.
    type Model = BTreeMap<String, (u64, usize)>;

    /// Settles a generation, and checks what became of the names of one kind.
    fn check(
        model: &mut Model,
        settled: (&[String], u64, usize),
        in_use: &[String],
        capacity: usize,
        forgotten: &[String],
        left: &BTreeMap<String, u64>,
    ) {
        let (names, counted, time) = settled;
        for name in names {
            let (total, last) = model.entry(name.clone()).or_default();
            (*total, *last) = (*total + counted, time);
        }
        let idle = model.keys().filter(|name| !in_use.contains(name)).count();
        let room = capacity - in_use.len();
        assert_eq!(
            forgotten.len(),
            idle.saturating_sub(room),
            "as few as will do"
        );
        let gone = forgotten.iter().map(|name| model.remove(name).unwrap().1);
        let youngest_gone = gone.max();
        for name in forgotten {
            assert!(!in_use.contains(name), "{name} is in use");
        }
        let idle = model.iter().filter(|(name, _)| !in_use.contains(name));
        let oldest_left = idle.map(|(_, (_, last))| *last).min();
        if let (Some(gone), Some(left)) = (youngest_gone, oldest_left) {
            assert!(gone <= left, "the longest gone go first");
        }
        let wanted = model
            .iter()
            .map(|(name, (total, _))| (name.clone(), *total));
        assert_eq!(wanted.collect::<BTreeMap<_, _>>(), *left);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is reloaded: a name that is configured keeps what was counted
        /// under it, no name gets what was counted under another one, and those
        /// that have been gone the longest make room.
        #[test]
        fn names_keep_their_counts_and_the_longest_gone_make_room(
            generations in prop::collection::vec(generation(), 2..10)
        ) {
            let mut totals = Totals::default();
            let mut models = [Model::new(), Model::new(), Model::new()];
            for (time, pair) in generations.windows(2).enumerate() {
                let (settled, next) = (&pair[0], &pair[1]);
                totals.add(settled.totals());
                let forgotten = totals.make_room([&next.slots()].into_iter());
                let names = |generation: &Generation| {
                    let slots = generation.slots();
                    let pools = slots.pools().map(|(name, _)| name.to_owned());
                    let ports = slots.ports().map(|(port, _)| port.to_string());
                    let interfaces = slots.interfaces().map(|(name, _)| name.to_owned());
                    [pools.collect(), ports.collect(), interfaces.collect::<Vec<_>>()]
                };
                let pools = totals.pools.iter();
                let pools = pools.map(|(name, row)| (name.clone(), row.iter().sum()));
                let ports = totals.ports.iter();
                let ports = ports.map(|(port, row)| (port.to_string(), row.iter().sum()));
                let interfaces = totals.interfaces.iter().map(|(name, counted)| {
                    let places = [counted.unsent, counted.passed_out, counted.dropped_out];
                    assert_eq!(places, [counted.passed; 3]);
                    (name.clone(), counted.passed)
                });
                let left = [pools.collect(), ports.collect(), interfaces.collect()];
                let gone = [forgotten.pools, forgotten.ports, forgotten.interfaces];
                let (old, new) = (names(settled), names(next));
                for kind in 0..3 {
                    let capacity = [POOLS, PORTS, INTERFACES][kind] as usize;
                    let settled = (&old[kind][..], settled.counted, time);
                    check(
                        &mut models[kind], settled, &new[kind], capacity, &gone[kind], &left[kind],
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_in_force_leaves_no_name_without_a_count() {
        let generation = |counted| Generation {
            pools: 0..2,
            ports: 80..82,
            interfaces: 0..2,
            counted,
        };
        assert_eq!(generation(0).totals().without_zeros(), Totals::default());
        let counted = generation(1).totals();
        assert_eq!(counted.clone().without_zeros(), counted);
    }

    #[test]
    fn totals_are_kept_with_their_order() {
        let generation = |names| Generation {
            pools: names,
            ports: 80..82,
            interfaces: 0..2,
            counted: u64::MAX,
        };
        let mut totals = generation(1..4).totals();
        totals.add(generation(2..3).totals());
        let text = serde_json::to_string(&totals).unwrap();
        let kept: Totals = serde_json::from_str(&text).unwrap();
        assert_eq!(kept, totals);
        let (before, range) = (r#""81":["#, r#""81-90":["#);
        assert!(text.contains(before), "{text}");
        let with_range: Totals = serde_json::from_str(&text.replace(before, range)).unwrap();
        let names: Vec<_> = with_range.ports.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["80", "81-90"]);
        let order: Vec<_> = kept.pools.keys().map(String::as_str).collect();
        assert_eq!(order, ["pool-1", "pool-3", "none", "pool-2"]);
    }
}
