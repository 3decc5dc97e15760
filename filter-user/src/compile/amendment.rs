//! Prefix tables that change while frames are looked up in them.
//!
//! Frames do not wait. What makes that right:
//!
//! - A block is written while nothing leads to it, and changes after that only
//!   by single entries, of four bytes, which are stored in one piece. So is the
//!   number that makes a new block reachable.
//! - Every address is looked up through exactly one entry that changes, if any
//!   does. So a lookup finds what held before or what holds after, and never
//!   anything else, and from some moment on always the latter.
//!
//! What is looked up for both addresses of one frame can be old for the one and
//! new for the other, for the microseconds that it takes to store all entries.
//! Rule 5 looks at the one, rules 1 to 4 at the other, and an exemption only
//! opens: what passes then passes before or after as well, and so it is with
//! what is dropped.

use filter_common::{
    Policy,
    prefix_table::{BLOCK_ENTRIES, Block, CHILD},
};
use indexmap::IndexSet;
use ipnet::IpNet;

use super::Loaded;

/// A change to tables in use.
#[derive(Debug)]
pub struct Amendment {
    /// Those that the tables have, and after them what they need.
    pub policies: IndexSet<Policy>,
    /// What is to hold in each prefix: a table in which the rest is of no
    /// concern.
    pub tables: Vec<(IpNet, Vec<Block>)>,
    /// What is in the tables then.
    pub loaded: Loaded,
}

/// The blocks of a table in use.
pub trait LiveBlocks {
    /// Why a block could not be read or written.
    type Error;

    /// A block.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn read(&self, number: u32) -> Result<Block, Self::Error>;

    /// Adds a block that nothing leads to, and gives back its number.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    fn add(&mut self, block: &Block) -> Result<u32, Self::Error>;

    /// Replaces an entry of a block in one piece.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn set(&mut self, number: u32, entry: usize, value: u32) -> Result<(), Self::Error>;
}

/// Has the addresses in `prefix` found in `live` as they are in `wanted`.
///
/// # Errors
///
/// When a block cannot be read or written, or there is no room. Nothing has
/// changed if it is the room.
pub fn amend_table<L: LiveBlocks>(
    live: &mut L,
    wanted: &[Block],
    prefix: &IpNet,
) -> Result<(), L::Error> {
    let mut change = Change {
        live,
        wanted,
        stores: Vec::new(),
    };
    change.descend(&Path::new(prefix))?;
    // Only now is everything there that the entries lead to.
    let Change { live, stores, .. } = change;
    for (block, entry, value) in stores {
        live.set(block, entry, value)?;
    }
    Ok(())
}

/// The way to a prefix: the entry in the root and in each block below it.
struct Path {
    /// The first is one of the 65,536 of the root.
    entries: Vec<usize>,
    /// How many entries in the last block are the prefix's.
    width: usize,
}

impl Path {
    fn new(prefix: &IpNet) -> Self {
        let octets: Vec<u8> = match prefix {
            IpNet::V4(prefix) => prefix.addr().octets().into(),
            IpNet::V6(prefix) => prefix.addr().octets().into(),
        };
        let length = usize::from(prefix.prefix_len());
        let bytes = length.div_ceil(8).max(2);
        let root = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
        let below = octets[2..bytes].iter().map(|&byte| usize::from(byte));
        Self {
            entries: [root].into_iter().chain(below).collect(),
            width: 1 << (8 * bytes - length),
        }
    }
}

struct Change<'a, L> {
    live: &'a mut L,
    wanted: &'a [Block],
    /// Block, entry, value.
    stores: Vec<(u32, usize, u32)>,
}

impl<L: LiveBlocks> Change<'_, L> {
    /// Follows the way to the prefix in both tables, as far as the live one goes.
    fn descend(&mut self, path: &Path) -> Result<(), L::Error> {
        let root = path.entries[0];
        let (mut live, mut wanted) = (root / BLOCK_ENTRIES, root / BLOCK_ENTRIES);
        for (depth, &entry) in path.entries.iter().enumerate() {
            if depth + 1 == path.entries.len() {
                return self.replace_range(live as u32, wanted, entry, path.width);
            }
            let entry = entry % BLOCK_ENTRIES;
            let block = self.live.read(live as u32)?;
            let below = child(self.wanted[wanted][entry]);
            match child(block[entry]) {
                Some(child) => live = child,
                None => {
                    let value =
                        self.graft(block[entry], below, &path.entries[depth + 1..], path)?;
                    self.stores.push((live as u32, entry, value));
                    return Ok(());
                }
            }
            // The table was made with the prefix in it: there is a way to it.
            wanted = below.unwrap_or_default();
        }
        Ok(())
    }

    /// Makes the entries of the prefix what they are to be. In the root they can
    /// be those of many blocks.
    fn replace_range(
        &mut self,
        live: u32,
        wanted: usize,
        first: usize,
        width: usize,
    ) -> Result<(), L::Error> {
        for number in first..first + width {
            // Below the root, and for a prefix within a block of it, these are
            // the same block throughout.
            let further = (number / BLOCK_ENTRIES) - (first / BLOCK_ENTRIES);
            let (live, wanted) = (live + further as u32, wanted + further);
            let entry = number % BLOCK_ENTRIES;
            let has = self.live.read(live)?[entry];
            self.replace(live, entry, has, self.wanted[wanted][entry])?;
        }
        Ok(())
    }

    fn replace(&mut self, block: u32, entry: usize, has: u32, wanted: u32) -> Result<(), L::Error> {
        match (child(has), child(wanted)) {
            (Some(live), Some(wanted)) => {
                let has = self.live.read(live as u32)?;
                for (entry, has) in has.into_iter().enumerate() {
                    self.replace(live as u32, entry, has, self.wanted[wanted][entry])?;
                }
            }
            _ if has == wanted => {}
            _ => {
                let value = self.build(wanted)?;
                self.stores.push((block, entry, value));
            }
        }
        Ok(())
    }

    /// What leads to a copy of what `wanted` leads to.
    fn build(&mut self, wanted: u32) -> Result<u32, L::Error> {
        let Some(number) = child(wanted) else {
            return Ok(wanted);
        };
        let mut block = self.wanted[number];
        for entry in &mut block {
            *entry = self.build(*entry)?;
        }
        Ok(CHILD | self.live.add(&block)?)
    }

    /// What leads to the prefix, and answers with `around` beside it.
    fn graft(
        &mut self,
        around: u32,
        wanted: Option<usize>,
        entries: &[usize],
        path: &Path,
    ) -> Result<u32, L::Error> {
        let wanted = wanted.map_or([around; BLOCK_ENTRIES], |number| self.wanted[number]);
        let mut block = [around; BLOCK_ENTRIES];
        match entries {
            [] => return Ok(around),
            &[last] => {
                for entry in last..last + path.width {
                    block[entry] = self.build(wanted[entry])?;
                }
            }
            &[entry, ref below @ ..] => {
                block[entry] = self.graft(around, child(wanted[entry]), below, path)?;
            }
        }
        Ok(CHILD | self.live.add(&block)?)
    }
}

fn child(value: u32) -> Option<usize> {
    (value & CHILD != 0).then_some((value & !CHILD) as usize)
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
        blocks: Vec<Block>,
        before: &'a BTreeMap<IpAddr, u32>,
        after: &'a BTreeMap<IpAddr, u32>,
    }

    impl LiveBlocks for Watched<'_> {
        type Error = Infallible;

        fn read(&self, number: u32) -> Result<Block, Infallible> {
            Ok(self.blocks[number as usize])
        }

        fn add(&mut self, block: &Block) -> Result<u32, Infallible> {
            self.blocks.push(*block);
            self.look(false);
            Ok(self.blocks.len() as u32 - 1)
        }

        fn set(&mut self, number: u32, entry: usize, value: u32) -> Result<(), Infallible> {
            self.blocks[number as usize][entry] = value;
            self.look(false);
            Ok(())
        }
    }

    impl Watched<'_> {
        fn look(&self, is_done: bool) {
            for (&address, &before) in self.before {
                let after = self.after[&address];
                let found = found(&self.blocks, address);
                assert!(
                    found == after || (!is_done && found == before),
                    "{address}: {found}, not {before} or {after}"
                );
            }
        }
    }

    fn found(blocks: &[Block], address: IpAddr) -> u32 {
        let block = |index| blocks.get(index as usize);
        match address {
            IpAddr::V4(_) => lookup_v4(address.into(), block),
            IpAddr::V6(_) => lookup_v6(address.into(), block),
        }
    }

    fn build<'a>(
        family: Family,
        prefixes: impl Iterator<Item = (&'a IpNet, &'a u32)>,
    ) -> Vec<Block> {
        let mut table = PrefixTable::new(family);
        for (prefix, value) in prefixes {
            let inserted = table.insert(prefix.addr(), prefix.prefix_len(), *value);
            inserted.unwrap();
        }
        table.into_blocks()
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
            blocks: build(family, before.iter()),
            before: &was,
            after: &is,
        };
        let Ok(()) = amend_table(&mut live, &build(family, wanted.iter()), &whole);
        live.look(true);
        // Once more, and nothing changes.
        let blocks = live.blocks.len();
        let Ok(()) = amend_table(&mut live, &build(family, wanted.iter()), &whole);
        assert_eq!(live.blocks.len(), blocks);
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
