//! The prefix table, against a search through all prefixes.

use std::net::IpAddr;

use filter_common::{
    Family,
    prefix_table::{Line, lookup_v4, lookup_v6},
};
use ipnet::IpNet;
use policy::compile::PrefixTable;

use super::Domain;

/// An address of a family, its first bit the highest one.
#[derive(Clone, Copy)]
struct Bits(Family, u128);

impl Bits {
    fn address(self) -> IpAddr {
        match self.0 {
            Family::V4 => IpAddr::V4(((self.1 >> 96) as u32).into()),
            Family::V6 => IpAddr::V6(self.1.into()),
        }
    }

    /// So many addresses on, around the end of the space.
    fn next(self, by: i128) -> Self {
        let unit = 1 << (128 - u32::from(self.0.bits()));
        Self(self.0, self.1.wrapping_add_signed(by * unit))
    }

    /// With bit number `bit` turned over.
    fn flip(self, bit: u8) -> Self {
        Self(self.0, self.1 ^ 1 << (127 - bit))
    }
}

/// The first `length` bits.
fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// A prefix: the bits after `length` are zero.
#[derive(Clone, Copy)]
struct Prefix {
    bits: Bits,
    length: u8,
}

impl Prefix {
    fn of(bits: Bits, length: u8) -> Self {
        Self {
            bits: Bits(bits.0, bits.1 & mask(length)),
            length,
        }
    }

    /// The first and the last address, and the ones before and after them.
    fn edges(self) -> [Bits; 4] {
        let Bits(family, first) = self.bits;
        let last = Bits(family, (first | !mask(self.length)) & mask(family.bits()));
        [self.bits.next(-1), self.bits, last, last.next(1)]
    }
}

/// Prefixes in the order in which they are inserted. The answer of each is its
/// number, from 1.
struct Table {
    prefixes: Vec<Prefix>,
    lines: Vec<Line>,
}

impl Table {
    fn new(family: Family, mut prefixes: Vec<Prefix>) -> Self {
        prefixes.sort_by_key(|prefix| (prefix.bits.1, prefix.length));
        let mut table = PrefixTable::new(family);
        for (prefix, number) in prefixes.iter().zip(1..) {
            let net = IpNet::new_assert(prefix.bits.address(), prefix.length);
            table.insert(net, number);
        }
        Self {
            prefixes,
            lines: table.into_lines().unwrap(),
        }
    }

    fn check(&self, domain: &mut Domain, address: Bits) {
        let found = self.lookup(address.address());
        let wanted = self.search(address);
        let all = || -> Vec<_> {
            let all = self.prefixes.iter();
            all.map(|p| format!("{}/{}", p.bits.address(), p.length))
                .collect()
        };
        assert!(found == wanted, "{} in {:?}", address.address(), all());
        domain.note(if found == 0 { "outside" } else { "inside" });
    }

    fn lookup(&self, address: IpAddr) -> u32 {
        let line = |number| self.lines.get(number as usize);
        match address {
            IpAddr::V4(_) => lookup_v4(address.into(), line),
            IpAddr::V6(_) => lookup_v6(address.into(), line),
        }
    }

    /// The longest of those that have the address's first bits.
    fn search(&self, address: Bits) -> u32 {
        let numbered = self.prefixes.iter().zip(1..);
        let around = numbered.filter(|(p, _)| (address.1 ^ p.bits.1) & mask(p.length) == 0);
        around.max_by_key(|(p, _)| p.length).map_or(0, |(_, n)| n)
    }
}

/// Bits of no pattern, to stand before and behind those that matter.
const SOME: u128 = 0x0aa5_5ac3_3c69_96f0_0ff1_8e73_1234_fedb;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Every set of prefixes that differ in two neighbouring bits alone, wherever in
/// the address those are: 7 prefixes, 128 sets. Every address that differs in
/// those bits, and both neighbours of all of them.
pub fn every_set_in_two_bits() {
    let mut domain = Domain::new("sets of prefixes in 2 bits, at every place");
    for family in FAMILIES {
        for place in 0..=family.bits() - 2 {
            sets(&mut domain, family, place, 2);
        }
    }
    domain.end((31 + 127) * 128 * (4 + 2), &["inside", "outside"]);
}

/// The same with three bits, 15 prefixes and 32,768 sets, at the seams of the
/// table: the end of the root, of the levels below it, and of the address.
pub fn every_set_in_three_bits() {
    let mut domain = Domain::new("sets of prefixes in 3 bits, at the seams");
    for (family, place) in [
        (Family::V4, 6),
        (Family::V4, 13),
        (Family::V4, 14),
        (Family::V4, 15),
        (Family::V4, 16),
        (Family::V4, 22),
        (Family::V4, 29),
        (Family::V6, 14),
        (Family::V6, 63),
        (Family::V6, 125),
    ] {
        sets(&mut domain, family, place, 3);
    }
    domain.end(10 * 32_768 * (8 + 2), &["inside", "outside"]);
}

/// Every set of prefixes of `width` bits from bit number `place` on.
fn sets(domain: &mut Domain, family: Family, place: u8, width: u8) {
    let below = 128 - place - width;
    let base = SOME & mask(place);
    let at = |value: u128| Bits(family, base | value << below);
    // The prefix of no bits of the window, those of one bit, and so on.
    let universe: Vec<Prefix> = (0..=width)
        .flat_map(|bits| {
            let values = 0..1_u128 << bits;
            values.map(move |value| Prefix::of(at(value << (width - bits)), place + bits))
        })
        .collect();
    let window = Prefix::of(at(0), place);
    let [before, _, _, after] = window.edges();
    for set in 0..1_u32 << universe.len() {
        let members = universe.iter().enumerate();
        let members = members.filter(|(number, _)| set >> number & 1 == 1);
        let table = Table::new(family, members.map(|(_, prefix)| *prefix).collect());
        for value in 0..1 << width {
            table.check(domain, at(value));
        }
        for neighbour in [before, after] {
            table.check(domain, neighbour);
        }
    }
}

/// Every pair of lengths, one prefix inside the other or beside it: the second
/// one agrees with the first in all of its bits, or in all but the last.
/// Looked up are the edges of both, the addresses beyond them, and the second
/// prefix's first address with each of its bits turned over.
pub fn every_pair_of_lengths() {
    let mut domain = Domain::new("pairs of prefixes of every two lengths");
    let mut size = 0;
    for family in FAMILIES {
        let bits = family.bits();
        size += u64::from(bits) * u64::from(bits + 1) * (8 + u64::from(bits));
        let base = Bits(family, SOME & mask(bits));
        for outer in 1..=bits {
            for inner in outer..=bits {
                for beside in [base, base.flip(outer - 1)] {
                    let prefixes = [Prefix::of(base, outer), Prefix::of(beside, inner)];
                    let edges = prefixes.map(Prefix::edges);
                    // No two prefixes of a configuration are the same.
                    let distinct = prefixes[0].bits.1 != prefixes[1].bits.1 || inner > outer;
                    let table = Table::new(family, prefixes[..1 + usize::from(distinct)].to_vec());
                    for address in edges.into_iter().flatten() {
                        table.check(&mut domain, address);
                    }
                    for bit in 0..bits {
                        table.check(&mut domain, prefixes[1].bits.flip(bit));
                    }
                }
            }
        }
    }
    domain.end(size, &["inside", "outside"]);
}

/// Every address of IPv4, where there is a prefix of every length.
pub fn every_ipv4_address() {
    let base = Bits(Family::V4, SOME & mask(32));
    let nested = (1..=32).map(|length| Prefix::of(base, length));
    // And beside each of them, as long as there is room.
    let beside = (2..=32).map(|length| Prefix::of(base.flip(length - 2), length));
    let table = Table::new(Family::V4, nested.chain(beside).collect());
    // Between two edges every address has the same answer.
    let edges = table.prefixes.iter().flat_map(|prefix| prefix.edges());
    let mut edges: Vec<u32> = edges.map(|edge| (edge.1 >> 96) as u32).collect();
    edges.extend([0, u32::MAX]);
    edges.sort_unstable();
    edges.dedup();
    let mut checked = 1_u64;
    for pair in edges.windows(2) {
        // The last one begins the next run, where it may be answered otherwise.
        let wanted = table.search(Bits(Family::V4, u128::from(pair[0]) << 96));
        for address in pair[0]..pair[1] {
            let found = table.lookup(IpAddr::V4(address.into()));
            assert!(found == wanted, "{}", IpAddr::V4(address.into()));
            checked += 1;
        }
    }
    let last = Bits(Family::V4, mask(32));
    assert_eq!(table.lookup(last.address()), table.search(last));
    println!("every IPv4 address: {checked}, {} runs", edges.len());
    assert_eq!(checked, 1 << 32);
}
