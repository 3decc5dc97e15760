//! Building the flat prefix table that
//! [`filter_common::prefix_table`] looks addresses up in.

use std::{convert::Infallible, net::IpAddr};

use filter_common::{
    Family,
    prefix_table::{LINE_WORDS, Line, NUMBERS, ROOT_LINES},
};
use ipnet::IpNet;
use thiserror::Error;

use super::node::Node;

/// The most lines that a table may have: a gibibyte of them.
pub const MAX_LINES: usize = (1 << 30) / size_of::<Line>();

/// Prefixes that are scattered more widely than the memory for them allows.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the {} prefixes need {} MiB of table, and {} MiB are the most, exceeded at {}: use \
     shorter or less scattered prefixes",
    match .family { Family::V4 => "IPv4", Family::V6 => "IPv6" },
    .needed_bytes.div_ceil(1 << 20),
    .limit_bytes >> 20,
    .prefix
)]
pub struct TableTooLarge {
    /// The family of the table.
    pub family: Family,
    /// What they need, in bytes.
    pub needed_bytes: usize,
    /// The limit that was hit, in bytes.
    pub limit_bytes: usize,
    /// The prefix at which it was hit.
    pub prefix: IpNet,
}

/// A prefix table under construction.
///
/// Prefixes come in order, so a node is complete as soon as a prefix comes that
/// is not in it, and only those on the way to the last prefix are in any other
/// form than that of the finished table.
#[derive(Debug)]
pub struct PrefixTable {
    family: Family,
    lines: Vec<Line>,
    max_lines: usize,
    /// How many lines there would be if there were room.
    needed_lines: usize,
    last: Option<IpNet>,
    too_many_at: Option<IpNet>,
    /// The nodes on the way to the last prefix, and where in the root, or in the
    /// node before it, what leads to each of them belongs.
    open: Vec<(usize, Node)>,
}

impl PrefixTable {
    /// An empty table: every address has the answer 0.
    pub fn new(family: Family) -> Self {
        Self::with_max_lines(family, MAX_LINES)
    }

    /// An empty table with a limit of its own.
    pub fn with_max_lines(family: Family, max_lines: usize) -> Self {
        Self {
            family,
            lines: vec![Line::default(); ROOT_LINES as usize],
            max_lines,
            needed_lines: ROOT_LINES as usize,
            last: None,
            too_many_at: None,
            open: Vec::new(),
        }
    }

    /// Gives all addresses in a prefix the answer `value`.
    ///
    /// # Panics
    ///
    /// When the prefix does not come after the last one, by its first address and
    /// then its length, is of the other family, or the value is [`NUMBERS`] or more.
    pub fn insert(&mut self, prefix: IpNet, value: u32) {
        assert!(value < NUMBERS, "{value} is not an answer");
        let is_v4 = matches!(self.family, Family::V4);
        assert!(
            is_v4 == prefix.addr().is_ipv4(),
            "{prefix} is of the other family"
        );
        let is_next = self.last.is_none_or(|last| last < prefix);
        assert!(is_next, "{prefix} does not come after {:?}", self.last);
        self.last = Some(prefix);

        let path = Path::new(&prefix);
        let open = self.open.iter().zip(0..path.nodes);
        let shared = open.take_while(|&(&(place, _), number)| place == path.place(number));
        let shared = shared.count();
        self.close(shared);
        for number in shared..path.nodes {
            let place = path.place(number);
            let node = Node::of(self.entries()[place]);
            self.open.push((place, node));
        }
        let first = path.place(path.nodes);
        self.entries()[first..first + path.width].fill(value);
    }

    /// Those of the last open node, or of the root.
    fn entries(&mut self) -> &mut [u32] {
        match self.open.last_mut() {
            Some((_, node)) => node.0.as_mut_slice(),
            None => {
                let root = &mut self.lines[..ROOT_LINES as usize];
                root.as_flattened_mut()
            }
        }
    }

    /// Completes open nodes until so many are left.
    fn close(&mut self, left: usize) {
        while self.open.len() > left {
            let Some((place, node)) = self.open.pop() else {
                return;
            };
            let Ok(entry) = node.write(|lines| Ok::<_, Infallible>(self.add(lines)));
            self.entries()[place] = entry;
        }
    }

    /// What the lines' place is, or would be.
    fn add(&mut self, lines: &[Line]) -> u32 {
        self.needed_lines += lines.len();
        if self.needed_lines > self.max_lines {
            self.too_many_at = self.too_many_at.or(self.last);
            return ROOT_LINES;
        }
        let first = self.lines.len() as u32;
        self.lines.extend_from_slice(lines);
        first
    }

    /// The finished table.
    ///
    /// # Errors
    ///
    /// When it would exceed its limit.
    pub fn into_lines(mut self) -> Result<Vec<Line>, TableTooLarge> {
        self.close(0);
        match self.too_many_at {
            Some(prefix) => Err(TableTooLarge {
                family: self.family,
                needed_bytes: self.needed_lines * size_of::<Line>(),
                limit_bytes: self.max_lines * size_of::<Line>(),
                prefix,
            }),
            None => Ok(self.lines),
        }
    }
}

/// The way to a prefix: a place in the root, one of 65,536, and one in each node
/// below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// From the highest on.
    bits: u128,
    /// How many nodes there are below the root.
    pub(super) nodes: usize,
    /// How many entries from the last place on are the prefix's.
    pub(super) width: usize,
}

impl Path {
    pub(super) fn new(prefix: &IpNet) -> Self {
        let length = usize::from(prefix.prefix_len());
        let bytes = length.div_ceil(8).max(2);
        Self {
            bits: match prefix.addr() {
                IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
                IpAddr::V6(address) => address.to_bits(),
            },
            nodes: bytes - 2,
            width: 1 << (8 * bytes - length),
        }
    }

    /// The place in the root, which is number 0, or in a node.
    pub(super) fn place(&self, number: usize) -> usize {
        let until = self.bits >> (112 - 8 * number);
        until as usize & if number == 0 { 0xffff } else { 0xff }
    }
}

const _: () = assert!(MAX_LINES < NUMBERS as usize && ROOT_LINES as usize * LINE_WORDS == 1 << 16);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::net::IpAddr;

    use filter_common::prefix_table::{Kind, lookup_v4, lookup_v6};
    use ipnet::IpNet;

    use super::*;

    /// Prefixes whose nesting crosses every kind of boundary in the table:
    /// inside the root, at its edge, within a level, at a level's edge, and
    /// down to a single address.
    const V4: &[&str] = &[
        "8.0.0.0/5",
        "10.0.0.0/8",
        "10.128.0.0/9",
        "10.200.0.0/16",
        "10.200.0.0/17",
        "10.200.64.0/18",
        "10.200.64.0/24",
        "10.200.64.0/25",
        "10.200.64.129/32",
        "10.200.255.255/32",
        "198.51.100.0/24",
        "203.0.113.8/29",
        "203.0.113.15/32",
        "255.255.255.255/32",
    ];
    const V6: &[&str] = &[
        "2000::/3",
        "2001:db8::/32",
        "2001:db8:100::/40",
        "2001:db8:100::/41",
        "2001:db8:100:8000::/49",
        "2001:db8:100:8000::/64",
        "2001:db8:100:8000::1/128",
        "2001:db8:100:8000:ffff:ffff:ffff:ffff/128",
        "ffff::/16",
    ];

    fn build(family: Family, prefixes: &[&str]) -> (Vec<Line>, Vec<(IpNet, u32)>) {
        let mut prefixes: Vec<IpNet> = prefixes.iter().map(|p| p.parse().unwrap()).collect();
        prefixes.sort();
        let numbered: Vec<(IpNet, u32)> = prefixes.into_iter().zip(1..).collect();
        let mut table = PrefixTable::new(family);
        for (prefix, value) in &numbered {
            table.insert(*prefix, *value);
        }
        (table.into_lines().unwrap(), numbered)
    }

    fn naive(prefixes: &[(IpNet, u32)], address: IpAddr) -> u32 {
        prefixes
            .iter()
            .filter(|(prefix, _)| prefix.contains(&address))
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map_or(0, |(_, value)| *value)
    }

    fn found(lines: &[Line], address: IpAddr) -> u32 {
        let line = |number| lines.get(number as usize);
        match address {
            IpAddr::V4(_) => lookup_v4(address.into(), line),
            IpAddr::V6(_) => lookup_v6(address.into(), line),
        }
    }

    /// The first and last address of a prefix and their neighbours outside it.
    fn edges(prefix: &IpNet) -> Vec<IpAddr> {
        match prefix {
            IpNet::V4(prefix) => {
                let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| IpAddr::V4(bits.into()))
                    .to_vec()
            }
            IpNet::V6(prefix) => {
                let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| IpAddr::V6(bits.into()))
                    .to_vec()
            }
        }
    }

    #[test]
    fn agrees_with_a_naive_search_at_every_edge() {
        for (family, prefixes) in [(Family::V4, V4), (Family::V6, V6)] {
            let (lines, numbered) = build(family, prefixes);
            for address in numbered.iter().flat_map(|(prefix, _)| edges(prefix)) {
                let wanted = naive(&numbered, address);
                assert_eq!(found(&lines, address), wanted, "{address}");
            }
        }
    }

    #[test]
    fn an_empty_table_answers_nothing() {
        for family in [Family::V4, Family::V6] {
            let lines = PrefixTable::new(family).into_lines().unwrap();
            assert_eq!(lines.len(), ROOT_LINES as usize);
            assert_eq!(found(&lines, "198.51.100.1".parse().unwrap()), 0);
            assert_eq!(found(&lines, "2001:db8::1".parse().unwrap()), 0);
        }
    }

    #[test]
    fn takes_a_branch_a_level_and_a_line_below_and_no_more() {
        let mut table = PrefixTable::with_max_lines(Family::V4, ROOT_LINES as usize + 17);
        table.insert("10.0.0.1/32".parse().unwrap(), 1);
        // Beside the first one: no new node. In the next /16: two.
        table.insert("10.0.0.2/32".parse().unwrap(), 2);
        let full = |table: PrefixTable| table.into_lines().unwrap_err().to_string();
        table.insert("10.1.0.2/32".parse().unwrap(), 3);
        assert_eq!(
            full(table),
            "the IPv4 prefixes need 1 MiB of table, and 0 MiB are the most, exceeded at \
             10.1.0.2/32: use shorter or less scattered prefixes"
        );
    }

    #[test]
    #[should_panic(expected = "10.0.0.0/8 does not come after Some(10.0.0.1/32)")]
    fn prefixes_come_in_order() {
        let mut table = PrefixTable::new(Family::V4);
        table.insert("10.0.0.1/32".parse().unwrap(), 1);
        table.insert("10.0.0.0/8".parse().unwrap(), 2);
    }

    /// A million customers whose prefixes share nothing but their pool's.
    #[test]
    fn what_does_not_fit_is_told_with_the_figure() {
        let mut table = PrefixTable::new(Family::V6);
        for number in 0..1_000_000_u128 {
            let address = (0x2001_0db8_u128 << 96) | (number << 76);
            table.insert(ipnet::Ipv6Net::new_assert(address.into(), 128).into(), 1);
        }
        assert_eq!(
            table.into_lines().unwrap_err().to_string(),
            "the IPv6 prefixes need 7935 MiB of table, and 1024 MiB are the most, \
             exceeded at 2001:db8:1f7f:d000::/128: use shorter or less scattered prefixes"
        );
    }

    #[test]
    fn a_damaged_table_ends_every_lookup() {
        for kind in [Kind::Branch, Kind::Sparse, Kind::Leaf] {
            let round = vec![[kind.entry(0); LINE_WORDS]; ROOT_LINES as usize];
            let outside = vec![[kind.entry(NUMBERS - 1); LINE_WORDS]; ROOT_LINES as usize];
            for lines in [round, outside, Vec::new()] {
                for address in ["198.51.100.1", "2001:db8::1"] {
                    let found = found(&lines, address.parse().unwrap());
                    assert!(found <= u32::from(u8::MAX), "{kind:?}: {found}");
                }
            }
        }
    }
}
