//! Building the flat prefix table that
//! [`filter_common::prefix_table`] looks addresses up in.

use filter_common::{
    Address, Family,
    prefix_table::{BLOCK_ENTRIES, Block, CHILD, ROOT_BLOCKS},
};
use thiserror::Error;

/// The most blocks that a table may have: a gibibyte of them.
pub const MAX_BLOCKS: usize = 1 << 20;

/// The length of the prefixes that the root answers by itself.
const ROOT_BITS: u8 = 16;
/// How many bits of an address each level below the root looks at.
const STRIDE: u8 = 8;

/// Prefixes that are scattered more widely than the memory for them allows.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the {} prefixes need at least {} MiB of table, and {} MiB are the most, exceeded at {}: use \
     shorter or less scattered prefixes",
    match .family { Family::V4 => "IPv4", Family::V6 => "IPv6" },
    .needed_bytes.div_ceil(1 << 20),
    .limit_bytes >> 20,
    .prefix
)]
pub struct TableTooLarge {
    /// The family of the table.
    pub family: Family,
    /// What they are known to need, in bytes.
    pub needed_bytes: usize,
    /// The limit that was hit, in bytes.
    pub limit_bytes: usize,
    /// The prefix at which it was hit.
    pub prefix: ipnet::IpNet,
}

/// The size of a prefix table that is yet to be built.
#[derive(Debug)]
pub(super) struct TableSize {
    family: Family,
    /// For each level below the root the last block: the bits that lead to it.
    last: [Option<u128>; 14],
    blocks: usize,
    too_many_at: Option<ipnet::IpNet>,
}

impl TableSize {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            last: [None; 14],
            blocks: ROOT_BLOCKS as usize,
            too_many_at: None,
        }
    }

    /// Counts the blocks for a prefix. Prefixes come in order, so that those
    /// which share a block follow one another.
    pub(super) fn add(&mut self, prefix: &ipnet::IpNet) {
        let bits = match prefix {
            ipnet::IpNet::V4(prefix) => u128::from(prefix.addr().to_bits()) << 96,
            ipnet::IpNet::V6(prefix) => prefix.addr().to_bits(),
        };
        let depths = (ROOT_BITS..prefix.prefix_len()).step_by(usize::from(STRIDE));
        for (last, depth) in self.last.iter_mut().zip(depths) {
            let path = bits >> (128 - depth);
            if *last != Some(path) {
                *last = Some(path);
                self.blocks += 1;
                if self.blocks > MAX_BLOCKS {
                    self.too_many_at.get_or_insert(*prefix);
                }
            }
        }
    }

    /// An empty table with just so much room.
    pub(super) fn table(self) -> Result<PrefixTable, TableTooLarge> {
        if let Some(prefix) = self.too_many_at {
            return Err(TableTooLarge {
                family: self.family,
                needed_bytes: self.blocks * size_of::<Block>(),
                limit_bytes: MAX_BLOCKS * size_of::<Block>(),
                prefix,
            });
        }
        let mut table = PrefixTable::with_max_blocks(self.family, self.blocks);
        let more = self.blocks - table.blocks.len();
        table.blocks.reserve_exact(more);
        Ok(table)
    }
}

/// A prefix table under construction.
#[derive(Debug)]
pub struct PrefixTable {
    family: Family,
    blocks: Vec<Block>,
    max_blocks: usize,
}

impl PrefixTable {
    /// An empty table: every address has the answer 0.
    pub fn new(family: Family) -> Self {
        Self::with_max_blocks(family, MAX_BLOCKS)
    }

    /// An empty table with a limit of its own.
    pub fn with_max_blocks(family: Family, max_blocks: usize) -> Self {
        Self {
            family,
            blocks: vec![[0; BLOCK_ENTRIES]; ROOT_BLOCKS as usize],
            max_blocks,
        }
    }

    /// Gives all addresses in a prefix the answer `value`.
    ///
    /// A prefix must be inserted before the longer ones inside it.
    ///
    /// # Errors
    ///
    /// When the table would exceed its limit.
    ///
    /// # Panics
    ///
    /// When the value has the bit [`CHILD`], or the length is not one of this
    /// family.
    pub fn insert(
        &mut self,
        address: std::net::IpAddr,
        length: u8,
        value: u32,
    ) -> Result<(), TableTooLarge> {
        assert!(value & CHILD == 0, "{value} is not an answer");
        assert!(length <= self.family.bits(), "/{length} is too long");
        let bits = Address::from(address);
        let byte = |level: u8| byte(bits, level);

        // In the root the entry at hand is one of 65,536, spread over blocks.
        let mut entry = usize::from(u16::from_be_bytes([byte(0), byte(1)]));
        let mut covered = ROOT_BITS;
        while length > covered {
            let level = covered / STRIDE;
            let Some(child) = self.child(entry) else {
                return Err(TableTooLarge {
                    family: self.family,
                    needed_bytes: (self.max_blocks + 1) * size_of::<Block>(),
                    limit_bytes: self.max_blocks * size_of::<Block>(),
                    prefix: ipnet::IpNet::new_assert(address, length),
                });
            };
            entry = child * BLOCK_ENTRIES + usize::from(byte(level));
            covered += STRIDE;
        }
        let entries = 1_usize << (covered - length);
        let first = entry & !(entries - 1);
        self.blocks.as_flattened_mut()[first..first + entries].fill(value);
        Ok(())
    }

    /// The block below an entry, made if there is none; `None` when full. A new
    /// block inherits the entry's answer.
    fn child(&mut self, entry: usize) -> Option<usize> {
        let value = self.blocks.as_flattened()[entry];
        if value & CHILD != 0 {
            return Some((value & !CHILD) as usize);
        }
        let child = self.blocks.len();
        if child >= self.max_blocks {
            return None;
        }
        self.blocks.push([value; BLOCK_ENTRIES]);
        self.blocks.as_flattened_mut()[entry] = CHILD | child as u32;
        Some(child)
    }

    /// The finished table.
    pub fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }
}

fn byte(address: Address, level: u8) -> u8 {
    let word = if level < 8 { address.high } else { address.low };
    word.to_be_bytes()[usize::from(level % 8)]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::net::IpAddr;

    use filter_common::prefix_table::{lookup_v4, lookup_v6};
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

    fn build(family: Family, prefixes: &[&str]) -> (Vec<Block>, Vec<(IpNet, u32)>) {
        let mut prefixes: Vec<IpNet> = prefixes.iter().map(|p| p.parse().unwrap()).collect();
        prefixes.sort();
        let numbered: Vec<(IpNet, u32)> = prefixes.into_iter().zip(1..).collect();
        let mut table = PrefixTable::new(family);
        for (prefix, value) in &numbered {
            table
                .insert(prefix.addr(), prefix.prefix_len(), *value)
                .unwrap();
        }
        (table.into_blocks(), numbered)
    }

    fn naive(prefixes: &[(IpNet, u32)], address: IpAddr) -> u32 {
        prefixes
            .iter()
            .filter(|(prefix, _)| prefix.contains(&address))
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map_or(0, |(_, value)| *value)
    }

    fn found(blocks: &[Block], address: IpAddr) -> u32 {
        let block = |index| blocks.get(index as usize);
        match address {
            IpAddr::V4(_) => lookup_v4(address.into(), block),
            IpAddr::V6(_) => lookup_v6(address.into(), block),
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
            let (blocks, numbered) = build(family, prefixes);
            for address in numbered.iter().flat_map(|(prefix, _)| edges(prefix)) {
                let wanted = naive(&numbered, address);
                assert_eq!(found(&blocks, address), wanted, "{address}");
            }
        }
    }

    #[test]
    fn an_empty_table_answers_nothing() {
        for family in [Family::V4, Family::V6] {
            let blocks = PrefixTable::new(family).into_blocks();
            assert_eq!(blocks.len(), ROOT_BLOCKS as usize);
            assert_eq!(found(&blocks, "198.51.100.1".parse().unwrap()), 0);
            assert_eq!(found(&blocks, "2001:db8::1".parse().unwrap()), 0);
        }
    }

    #[test]
    fn takes_a_block_a_level_and_no_more() {
        let mut table = PrefixTable::with_max_blocks(Family::V4, ROOT_BLOCKS as usize + 2);
        table.insert("10.0.0.1".parse().unwrap(), 32, 1).unwrap();
        // Beside the first one: no new block. In the next /16: two.
        table.insert("10.0.0.2".parse().unwrap(), 32, 2).unwrap();
        let error = table
            .insert("10.1.0.2".parse().unwrap(), 32, 3)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the IPv4 prefixes need at least 1 MiB of table, and 0 MiB are the most, exceeded at \
             10.1.0.2/32: use shorter or less scattered prefixes"
        );
    }

    #[test]
    fn the_size_is_known_before() {
        for (family, prefixes) in [(Family::V4, V4), (Family::V6, V6)] {
            let (blocks, numbered) = build(family, prefixes);
            let mut size = TableSize::new(family);
            for (prefix, _) in &numbered {
                size.add(prefix);
            }
            assert_eq!(size.blocks, blocks.len(), "{family:?}");
            assert_eq!(size.table().unwrap().blocks.capacity(), blocks.len());
        }
    }

    /// A million customers whose prefixes share nothing but their pool's.
    #[test]
    fn what_does_not_fit_is_told_with_the_figure() {
        let mut size = TableSize::new(Family::V6);
        for number in 0..1_000_000_u128 {
            let address = (0x2001_0db8_u128 << 96) | (number << 76);
            let prefix = ipnet::Ipv6Net::new_assert(address.into(), 128);
            size.add(&prefix.into());
        }
        assert_eq!(
            size.table().unwrap_err().to_string(),
            "the IPv6 prefixes need at least 8851 MiB of table, and 1024 MiB are the most, \
             exceeded at 2001:db8:1c3d:9000::/128: use shorter or less scattered prefixes"
        );
    }

    #[test]
    fn a_damaged_table_ends_every_lookup() {
        let loops = vec![[CHILD; BLOCK_ENTRIES]; ROOT_BLOCKS as usize];
        let outside = vec![[u32::MAX; BLOCK_ENTRIES]; ROOT_BLOCKS as usize];
        for blocks in [loops, outside, Vec::new()] {
            assert_eq!(found(&blocks, "198.51.100.1".parse().unwrap()), 0);
            assert_eq!(found(&blocks, "2001:db8::1".parse().unwrap()), 0);
        }
    }
}
