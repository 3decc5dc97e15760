//! Prefix tables that change while frames are looked up in them.
//!
//! Frames do not wait. What makes that right:
//!
//! - Nodes are written while nothing leads to them. What changes of those that
//!   are in use are single entries of branches and of the root, four bytes that
//!   are stored in one piece. A leaf never changes: another one takes its place.
//! - Every address is looked up through exactly one entry that changes, if any
//!   does. So a lookup finds what held before or what holds after, and never
//!   anything else, and from some moment on always the latter.
//!
//! What is looked up for both addresses of one frame can be old for the one and
//! new for the other, for the microseconds that it takes to store all entries.
//! Rule 5 looks at the one, rules 1 to 4 and 6 at the other, and an exemption only
//! opens: what passes then passes before or after as well, and so it is with
//! what is dropped.

use std::convert::Infallible;

use filter_common::{
    Policy,
    prefix_table::{Kind, LINE_WORDS, Line, NODE_VALUES, number},
};
use indexmap::IndexSet;
use ipnet::IpNet;

use super::{PrefixCounts, node::Node, prefix_table::Path};

/// A change to tables in use.
#[derive(Debug)]
pub struct Amendment {
    /// Those that the tables have, and after them what they need.
    pub policies: IndexSet<Policy>,
    /// What is to hold in each prefix: a table in which the rest is of no
    /// concern.
    pub tables: Vec<(IpNet, Vec<Line>)>,
    /// What is in the tables then.
    pub loaded: PrefixCounts,
}

/// The lines of a table in use.
pub trait LiveLines {
    /// Why a line could not be read or written.
    type Error;

    /// A line.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn read(&self, number: u32) -> Result<Line, Self::Error>;

    /// Adds lines that nothing leads to, and gives back the number of the first.
    ///
    /// # Errors
    ///
    /// When there is no room for them.
    fn add(&mut self, lines: &[Line]) -> Result<u32, Self::Error>;

    /// Replaces a word of a line in one piece.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn set(&mut self, number: u32, word: usize, value: u32) -> Result<(), Self::Error>;
}

/// Has the addresses in `prefix` found in `live` as they are in `wanted`.
///
/// # Errors
///
/// When a line cannot be read or written, or there is no room. Nothing has
/// changed if it is the room.
pub fn amend_table<L: LiveLines>(
    live: &mut L,
    wanted: &[Line],
    prefix: &IpNet,
) -> Result<(), L::Error> {
    let mut change = Change {
        live,
        wanted,
        path: Path::new(prefix),
        stores: Vec::new(),
    };
    change.root()?;
    // Only now is everything there that the entries lead to.
    let Change { live, stores, .. } = change;
    for Store {
        first,
        place,
        entry,
    } in stores
    {
        let line = first + (place / LINE_WORDS) as u32;
        live.set(line, place % LINE_WORDS, entry)?;
    }
    Ok(())
}

/// An entry of a branch in use, or of the root, that is to change.
struct Store {
    first: u32,
    place: usize,
    entry: u32,
}

struct Change<'a, L> {
    live: &'a mut L,
    wanted: &'a [Line],
    path: Path,
    stores: Vec<Store>,
}

impl<L: LiveLines> Change<'_, L> {
    fn root(&mut self) -> Result<(), L::Error> {
        for place in self.places(0) {
            let (line, word) = (place / LINE_WORDS, place % LINE_WORDS);
            let has = self.live.read(line as u32)?[word];
            let changed = self.entry(has, self.wanted[line][word], 1)?;
            self.store(0, place, changed);
        }
        Ok(())
    }

    /// The places that are the prefix's, or lead to it: in the root, whose depth
    /// is 0, or in a node.
    fn places(&self, depth: usize) -> std::ops::Range<usize> {
        if depth > self.path.nodes {
            return 0..NODE_VALUES;
        }
        let first = self.path.place(depth);
        let width = if depth == self.path.nodes {
            self.path.width
        } else {
            1
        };
        first..first + width
    }

    fn store(&mut self, first: u32, place: usize, changed: Option<u32>) {
        if let Some(entry) = changed {
            self.stores.push(Store {
                first,
                place,
                entry,
            });
        }
    }

    /// What has to take the place of the entry `has`, that leads to a node of this
    /// depth or to none, if something has to. In branches that are in use it is
    /// entries further down that change.
    fn entry(&mut self, has: u32, wanted: u32, depth: usize) -> Result<Option<u32>, L::Error> {
        let is_whole = depth > self.path.nodes;
        let is_branch = |entry| Kind::of(entry) == Kind::Branch;
        if is_whole && !(is_branch(has) && is_branch(wanted)) {
            return self.replace(has, wanted);
        }
        let mut node = self.node(has)?;
        let wanted = self.wanted_node(wanted);
        if is_branch(has) {
            for place in self.places(depth) {
                let changed = self.entry(node.0[place], wanted.0[place], depth + 1)?;
                self.store(number(has), place, changed);
            }
            return Ok(None);
        }
        let mut is_changed = false;
        for place in self.places(depth) {
            if let Some(entry) = self.entry(node.0[place], wanted.0[place], depth + 1)? {
                node.0[place] = entry;
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(None);
        }
        node.write(|lines| self.live.add(lines)).map(Some)
    }

    /// What has to take the place of an entry that is the prefix's as a whole.
    fn replace(&mut self, has: u32, wanted: u32) -> Result<Option<u32>, L::Error> {
        let is_leaf = |entry| Kind::of(entry) != Kind::Branch;
        if is_leaf(has) && is_leaf(wanted) && self.node(has)? == self.wanted_node(wanted) {
            return Ok(None);
        }
        self.copy(wanted).map(Some)
    }

    /// What leads to a copy of what `wanted` leads to.
    fn copy(&mut self, wanted: u32) -> Result<u32, L::Error> {
        let mut node = self.wanted_node(wanted);
        if Kind::of(wanted) == Kind::Branch {
            for entry in node.0.iter_mut() {
                *entry = self.copy(*entry)?;
            }
        }
        node.write(|lines| self.live.add(lines))
    }

    fn node(&self, entry: u32) -> Result<Node, L::Error> {
        Node::read(entry, |number| self.live.read(number))
    }

    fn wanted_node(&self, entry: u32) -> Node {
        let line = |number| Ok::<_, Infallible>(self.wanted[number as usize]);
        let Ok(node) = Node::read(entry, line);
        node
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{
        collections::BTreeMap,
        convert::Infallible,
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
    };

    use filter_common::{
        Family,
        prefix_table::{lookup_v4, lookup_v6},
    };
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::compile::PrefixTable;

    type Prefixes = BTreeMap<IpNet, u32>;

    /// A table that is looked up in after every store.
    struct Watched<'a> {
        lines: Vec<Line>,
        before: &'a BTreeMap<IpAddr, u32>,
        after: &'a BTreeMap<IpAddr, u32>,
    }

    impl LiveLines for Watched<'_> {
        type Error = Infallible;

        fn read(&self, number: u32) -> Result<Line, Infallible> {
            Ok(self.lines[number as usize])
        }

        fn add(&mut self, lines: &[Line]) -> Result<u32, Infallible> {
            let first = self.lines.len() as u32;
            self.lines.extend_from_slice(lines);
            self.look(false);
            Ok(first)
        }

        fn set(&mut self, number: u32, word: usize, value: u32) -> Result<(), Infallible> {
            self.lines[number as usize][word] = value;
            self.look(false);
            Ok(())
        }
    }

    impl Watched<'_> {
        fn look(&self, is_done: bool) {
            for (&address, &before) in self.before {
                let after = self.after[&address];
                let found = found(&self.lines, address);
                assert!(
                    found == after || (!is_done && found == before),
                    "{address}: {found}, not {before} or {after}"
                );
            }
        }
    }

    fn found(lines: &[Line], address: IpAddr) -> u32 {
        let line = |number| lines.get(number as usize);
        match address {
            IpAddr::V4(_) => lookup_v4(address.into(), line),
            IpAddr::V6(_) => lookup_v6(address.into(), line),
        }
    }

    fn build<'a>(
        family: Family,
        prefixes: impl Iterator<Item = (&'a IpNet, &'a u32)>,
    ) -> Vec<Line> {
        let mut table = PrefixTable::new(family);
        for (prefix, value) in prefixes {
            table.insert(*prefix, *value);
        }
        table.into_lines().unwrap()
    }

    fn longest(prefixes: &Prefixes, holds: impl Fn(&IpNet) -> bool) -> u32 {
        let around = prefixes.iter().filter(|(prefix, _)| holds(prefix));
        let longest = around.max_by_key(|(prefix, _)| prefix.prefix_len());
        longest.map_or(0, |(_, value)| *value)
    }

    fn check(whole: IpNet, before: &Prefixes, inside: &Prefixes) {
        let family = match whole {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        };
        let kept = before.iter().filter(|(prefix, _)| !whole.contains(*prefix));
        let after: Prefixes = kept.chain(inside).map(|(p, v)| (*p, *v)).collect();
        let around = longest(&after, |prefix| prefix.contains(&whole));
        let mut wanted = inside.clone();
        wanted.insert(whole, around);
        let edges = before.keys().chain(inside.keys()).chain([&whole]);
        let edges: Vec<IpAddr> = edges.flat_map(edges_of).collect();
        let answers = |prefixes: &Prefixes| -> BTreeMap<IpAddr, u32> {
            let answer = |address| longest(prefixes, |prefix| prefix.contains(&address));
            edges
                .iter()
                .map(|&address| (address, answer(address)))
                .collect()
        };
        let (was, is) = (answers(before), answers(&after));
        let mut live = Watched {
            lines: build(family, before.iter()),
            before: &was,
            after: &is,
        };
        let Ok(()) = amend_table(&mut live, &build(family, wanted.iter()), &whole);
        live.look(true);
        // Once more, and nothing changes.
        let lines = live.lines.len();
        let Ok(()) = amend_table(&mut live, &build(family, wanted.iter()), &whole);
        assert_eq!(live.lines.len(), lines);
    }

    /// The first and the last address of a prefix, and their neighbours.
    fn edges_of(prefix: &IpNet) -> Vec<IpAddr> {
        match prefix {
            IpNet::V4(prefix) => {
                let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| Ipv4Addr::from_bits(bits).into())
                    .to_vec()
            }
            IpNet::V6(prefix) => {
                let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| Ipv6Addr::from_bits(bits).into())
                    .to_vec()
            }
        }
    }

    /// Addresses of which many share all but a byte.
    fn prefix(is_v6: bool) -> impl Strategy<Value = IpNet> {
        let byte = || select(vec![0_u8, 1, 10, 255]);
        let longest = if is_v6 { 128 } else { 32 };
        let bytes = prop::collection::vec(byte(), 16);
        (bytes, 1..=longest as u8, any::<bool>()).prop_map(move |(bytes, length, is_even)| {
            let length = if is_even {
                length.div_ceil(8) * 8
            } else {
                length
            };
            let address: IpAddr = match is_v6 {
                true => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()).into(),
                false => Ipv4Addr::new(10, bytes[1], bytes[2], bytes[3]).into(),
            };
            IpNet::new_assert(address, length).trunc()
        })
    }

    fn case() -> impl Strategy<Value = (IpNet, Prefixes, Prefixes)> {
        any::<bool>().prop_flat_map(|is_v6| {
            let some = || prop::collection::btree_map(prefix(is_v6), 1..100_u32, 0..8);
            // Those that lie in it, or are made to.
            (prefix(is_v6), some(), some(), some()).prop_map(|(whole, mut before, old, new)| {
                let move_in = |prefixes: Prefixes| -> Prefixes {
                    let moved = prefixes.into_iter().map(|(prefix, value)| {
                        let length = prefix.prefix_len().max(whole.prefix_len());
                        let mask = IpNet::new_assert(whole.addr(), whole.prefix_len()).hostmask();
                        let address = match (whole.addr(), prefix.addr(), mask) {
                            (IpAddr::V4(whole), IpAddr::V4(host), IpAddr::V4(mask)) => IpAddr::V4(
                                (whole.to_bits() | host.to_bits() & mask.to_bits()).into(),
                            ),
                            (IpAddr::V6(whole), IpAddr::V6(host), IpAddr::V6(mask)) => IpAddr::V6(
                                (whole.to_bits() | host.to_bits() & mask.to_bits()).into(),
                            ),
                            _ => whole.addr(),
                        };
                        (IpNet::new_assert(address, length).trunc(), value)
                    });
                    moved.collect()
                };
                before.extend(move_in(old));
                (whole, before, move_in(new))
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_lookup_finds_what_was_or_what_will_be((whole, before, inside) in case()) {
            check(whole, &before, &inside);
        }
    }

    #[test]
    fn one_address_and_back() {
        let pool: Prefixes = [("10.0.0.0/8".parse().unwrap(), 1)].into();
        let address: IpNet = "10.1.2.3/32".parse().unwrap();
        check(address, &pool, &[(address, 2)].into());
        let mut lent = pool.clone();
        lent.insert(address, 2);
        check(address, &lent, &Prefixes::new());
    }
}
