//! The flat prefix table: built from any prefixes, and made of any numbers.
//!
//! What was built has to find what a search through all prefixes finds, in the
//! lines that it says it needs, and within its limit. What is in the lines of a
//! damaged table does not matter: a lookup ends, after no more lines than an
//! address has bytes, with a number of a policy.
//!
//! The first byte says which family, which of the two, and how large answers are.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use filter_common::{
    Family,
    prefix_table::{LINE_WORDS, Line, NUMBERS, ROOT_LINES, lookup_v4, lookup_v6},
};
use ipnet::IpNet;
use policy::compile::PrefixTable;

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
        // Answers above 255 are in no leaf.
        0 => built(family, *more, 1 + u32::from(choice >> 2 & 1) * 250, data),
        _ => damaged(family, *more, data),
    }
}

/// A prefix, and the answer that it gives.
type Prefix = (IpNet, u32);

/// `more` is how many lines the table may have besides the root, `first` the first
/// answer. Each 17 bytes are a prefix.
fn built(family: Family, more: u8, first: u32, data: &[u8]) {
    let mut prefixes: Vec<Prefix> = (data.as_chunks::<17>().0.iter().zip(first..))
        .map(|([length, bytes @ ..], value)| {
            let length = length % (family.bits() + 1);
            let prefix = IpNet::new_assert(address(family, *bytes), length).trunc();
            (prefix, value)
        })
        .collect();
    prefixes.sort();
    prefixes.dedup_by_key(|(prefix, _)| *prefix);

    let limit = ROOT_LINES as usize + usize::from(more);
    let build = |limit| {
        let mut table = PrefixTable::with_max_lines(family, limit);
        for (prefix, value) in &prefixes {
            table.insert(*prefix, *value);
        }
        table.into_lines()
    };
    let lines = match build(limit) {
        Ok(lines) => lines,
        Err(full) => {
            assert_eq!(full.limit_bytes, limit * size_of::<Line>());
            assert!(full.needed_bytes > full.limit_bytes, "{full}");
            let lines = build(full.needed_bytes / size_of::<Line>());
            lines.unwrap_or_else(|error| panic!("{full}, and then {error}"))
        }
    };
    for (prefix, _) in &prefixes {
        for address in around(prefix.addr(), prefix.prefix_len()) {
            let lookup = Lookup::new(&lines, address);
            assert_eq!(lookup.answer, naive(&prefixes, address), "{address}");
            assert_eq!(lookup.missed, 0, "{address} is looked for in no line");
        }
    }
}

/// Any numbers in `more` times 16 lines: the same one everywhere, but for each seven
/// bytes the word that they name. Looks up the address that comes first, and its
/// neighbours in each byte.
fn damaged(family: Family, more: u8, data: &[u8]) {
    let Some((bytes, rest)) = data.split_first_chunk::<16>() else {
        return;
    };
    let Some((fill, rest)) = rest.split_first_chunk::<4>() else {
        return;
    };
    let mut lines = vec![[u32::from_be_bytes(*fill); LINE_WORDS]; 16 * usize::from(more)];
    for [high, low, word, number @ ..] in rest.as_chunks::<7>().0 {
        let line = usize::from(u16::from_be_bytes([*high, *low]));
        if let Some(line) = lines.get_mut(line) {
            line[usize::from(*word) % LINE_WORDS] = u32::from_be_bytes(*number);
        }
    }
    let address = address(family, *bytes);
    for byte in 0..family.bits() / 8 {
        let neighbour = next(address, 1 << (8 * byte));
        for address in [address, neighbour] {
            let lookup = Lookup::new(&lines, address);
            assert_eq!(lookup.answer, walk(&lines, address), "{address}");
        }
    }
}

/// What came of a lookup.
struct Lookup {
    answer: u32,
    /// How often a line was asked for that is not there.
    missed: u32,
}

impl Lookup {
    fn new(lines: &[Line], address: IpAddr) -> Self {
        let (asked, missed) = (Cell::new(0), Cell::new(0));
        let line = |number| {
            asked.set(asked.get() + 1);
            let line = lines.get(number as usize);
            missed.set(missed.get() + u32::from(line.is_none()));
            line
        };
        let (answer, most) = match address {
            IpAddr::V4(_) => (lookup_v4(address.into(), line), 4),
            IpAddr::V6(_) => (lookup_v6(address.into(), line), 16),
        };
        assert!(asked.get() <= most, "{} lines for {address}", asked.get());
        assert!(answer < NUMBERS, "{answer:#x} is no answer");
        Self {
            answer,
            missed: missed.get(),
        }
    }
}

/// The answer of the longest prefix.
fn naive(prefixes: &[Prefix], address: IpAddr) -> u32 {
    let around = prefixes
        .iter()
        .filter(|(prefix, _)| prefix.contains(&address));
    let longest = around.max_by_key(|(prefix, _)| prefix.prefix_len());
    longest.map_or(0, |(_, value)| *value)
}

/// From line to line, as the table is described.
fn walk(lines: &[Line], address: IpAddr) -> u32 {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let word = |line: usize, word: usize| lines.get(line).map(|line| line[word]);
    let byte_of = |line: usize, place: usize| {
        let bytes = lines.get(line)?.map(u32::to_le_bytes);
        Some(u32::from(bytes.as_flattened()[place % 64]))
    };
    let mut place = usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut node = 0;
    for next in 2..=bytes.len() {
        let Some(entry) = word(node + place / 16, place % 16) else {
            return 0;
        };
        node = (entry & 0x1fff_ffff) as usize;
        place = bytes.get(next).map_or(0, |byte| usize::from(*byte));
        let answer = match entry >> 29 {
            0 => Some(entry),
            1 => byte_of(node + place / 64, place),
            2 => lines.get(node).map(|line| sparse(line, place)),
            _ => continue,
        };
        return answer.unwrap_or(0);
    }
    0
}

/// The answer for a value in a sparse leaf, cell by cell.
fn sparse(line: &Line, value: usize) -> u32 {
    let bytes = line.map(u32::to_le_bytes);
    let [factor, rest, ..] = bytes[0].map(usize::from);
    let word = (2 * value + 1) * factor / 32 % 16;
    let cells = bytes[word].as_chunks::<2>().0;
    let cell = cells.iter().find(|cell| usize::from(cell[0]) == value);
    cell.map_or(rest as u32, |cell| cell[1].into())
}

fn address(family: Family, bytes: [u8; 16]) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_octets([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
        Family::V6 => Ipv6Addr::from_octets(bytes).into(),
    }
}

/// An address, the first and the last one of its prefix, and those beside them.
fn around(address: IpAddr, length: u8) -> [IpAddr; 5] {
    let prefix = IpNet::new_assert(address, length);
    let (first, last) = (prefix.network(), prefix.broadcast());
    [address, first, last, next(first, u128::MAX), next(last, 1)]
}
