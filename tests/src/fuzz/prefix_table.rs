//! The flat prefix table: built from any prefixes, and made of any numbers.
//!
//! What was built has to find what a search through all prefixes finds, with as
//! many blocks as there are places where prefixes part, and within its limit.
//! What is in the blocks of a damaged table does not matter: a lookup ends, after
//! no more blocks than an address has bytes, with a number of a policy.
//!
//! The first byte says which family, and which of the two.

use std::{
    cell::Cell,
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use filter_common::{
    Family,
    prefix_table::{BLOCK_ENTRIES, Block, CHILD, ROOT_BLOCKS, lookup_v4, lookup_v6},
};
use filter_user::compile::PrefixTable;

use crate::generate::place::next;

/// Fails where a lookup finds what it should not.
pub fn run(data: &[u8]) {
    let [choice, more, data @ ..] = data else {
        return;
    };
    let family = match choice & 1 {
        0 => Family::V4,
        _ => Family::V6,
    };
    match choice & 2 {
        0 => built(family, *more, data),
        _ => damaged(family, *more, data),
    }
}

/// A prefix: address, length, and the answer that it gives.
type Prefix = (IpAddr, u8, u32);

/// `more` is how many blocks the table may have besides the root. Each 17 bytes
/// are a prefix.
fn built(family: Family, more: u8, data: &[u8]) {
    let mut prefixes: Vec<Prefix> = (data.as_chunks::<17>().0.iter().zip(1..))
        .map(|([length, bytes @ ..], value)| {
            (address(family, *bytes), length % (family.bits() + 1), value)
        })
        .collect();
    // Prefixes come before longer ones inside them.
    prefixes.sort_by_key(|(_, length, _)| *length);

    let limit = ROOT_BLOCKS as usize + usize::from(more);
    let mut table = PrefixTable::with_max_blocks(family, limit);
    let mut branches = BTreeSet::new();
    for (address, length, value) in &prefixes {
        let needed = (16..*length).step_by(8);
        branches.extend(needed.map(|depth| (depth, first_bits(*address, depth))));
        let fits = branches.len() <= usize::from(more);
        match table.insert(*address, *length, *value) {
            Ok(()) => assert!(fits, "{address}/{length} fits where it should not"),
            Err(full) => {
                assert!(!fits, "{address}/{length} does not fit: {full}");
                assert_eq!(full.limit_bytes, limit * size_of::<Block>());
                return;
            }
        }
    }
    let blocks = table.into_blocks();
    assert_eq!(blocks.len(), ROOT_BLOCKS as usize + branches.len());
    for (address, length, _) in &prefixes {
        for address in around(*address, *length) {
            let lookup = Lookup::new(&blocks, address);
            assert_eq!(lookup.answer, naive(&prefixes, address), "{address}");
            assert_eq!(lookup.missed, 0, "{address} is looked for in no block");
        }
    }
}

/// Any numbers in `more` blocks: the same one everywhere, but for each seven
/// bytes the entry that they name. Looks up the address that comes first, and its
/// neighbours in each byte.
fn damaged(family: Family, more: u8, data: &[u8]) {
    let Some((bytes, rest)) = data.split_first_chunk::<16>() else {
        return;
    };
    let Some((fill, rest)) = rest.split_first_chunk::<4>() else {
        return;
    };
    let mut blocks = vec![[u32::from_be_bytes(*fill); BLOCK_ENTRIES]; usize::from(more)];
    for [high, low, entry, number @ ..] in rest.as_chunks::<7>().0 {
        let block = usize::from(u16::from_be_bytes([*high, *low]));
        if let Some(block) = blocks.get_mut(block) {
            block[usize::from(*entry)] = u32::from_be_bytes(*number);
        }
    }
    let address = address(family, *bytes);
    for byte in 0..family.bits() / 8 {
        let neighbour = next(address, 1 << (8 * byte));
        for address in [address, neighbour] {
            let lookup = Lookup::new(&blocks, address);
            assert_eq!(lookup.answer, walk(&blocks, address), "{address}");
        }
    }
}

/// What came of a lookup.
struct Lookup {
    answer: u32,
    /// How often a block was asked for that is not there.
    missed: u32,
}

impl Lookup {
    fn new(blocks: &[Block], address: IpAddr) -> Self {
        let (asked, missed) = (Cell::new(0), Cell::new(0));
        let block = |index| {
            asked.set(asked.get() + 1);
            let block = blocks.get(index as usize);
            missed.set(missed.get() + u32::from(block.is_none()));
            block
        };
        let (answer, most) = match address {
            IpAddr::V4(_) => (lookup_v4(address.into(), block), 3),
            IpAddr::V6(_) => (lookup_v6(address.into(), block), 15),
        };
        assert!(asked.get() <= most, "{} blocks for {address}", asked.get());
        assert!(answer & CHILD == 0, "{answer:#x} is no answer");
        Self {
            answer,
            missed: missed.get(),
        }
    }
}

/// The answer of the longest prefix; of the later one, where there are two.
fn naive(prefixes: &[Prefix], address: IpAddr) -> u32 {
    let contains = |(prefix, length, _): &&Prefix| {
        first_bits(*prefix, *length) == first_bits(address, *length)
    };
    let longest = prefixes.iter().rfind(contains);
    longest.map_or(0, |(_, _, value)| *value)
}

/// From block to block, as the table is described.
fn walk(blocks: &[Block], address: IpAddr) -> u32 {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut number = usize::from(bytes[0]);
    for byte in &bytes[1..] {
        let Some(block) = blocks.get(number) else {
            return 0;
        };
        match block[usize::from(*byte)] {
            child if child >> 31 == 1 => number = (child & 0x7fff_ffff) as usize,
            answer => return answer,
        }
    }
    0
}

fn address(family: Family, bytes: [u8; 16]) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_octets([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
        Family::V6 => Ipv6Addr::from_octets(bytes).into(),
    }
}

/// All bits of an address but the first `length`, zeroed.
fn first_bits(address: IpAddr, length: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let hidden = 128 - u32::from(length);
    bits & u128::MAX.checked_shl(hidden).unwrap_or(0)
}

/// An address, the first and the last one of its prefix, and those beside them.
fn around(address: IpAddr, length: u8) -> [IpAddr; 5] {
    let prefix = ipnet::IpNet::new_assert(address, length);
    let (first, last) = (prefix.network(), prefix.broadcast());
    [address, first, last, next(first, u128::MAX), next(last, 1)]
}
