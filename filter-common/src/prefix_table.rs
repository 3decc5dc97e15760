//! The flat prefix table: longest-prefix match in a plain array.
//!
//! A multi-bit trie whose every node is a *block* of 256 entries, one for each
//! value of the next byte of the address. The table is an array of blocks:
//!
//! - Blocks 0 to 255 are the root. The first byte of the address picks the
//!   block, the second one picks the entry in it, so the root has a stride of
//!   16 bits.
//! - An entry whose highest bit ([`CHILD`]) is set holds the number of the
//!   block for the next byte in its other bits.
//! - Any other entry is the answer: the number of a policy, 0 for "no pool".
//!
//! Prefixes that do not end at a byte boundary are expanded by whoever builds
//! the table, so a lookup is one array access a byte and never compares
//! prefixes. IPv4 needs at most three accesses, IPv6 at most fifteen.
//!
//! The lookup trusts nothing that it reads: whatever the blocks contain, it
//! stops after the last byte of the address and reads only blocks that exist.

use crate::address::Address;

/// The number of entries in a block: one for each value of a byte.
pub const BLOCK_ENTRIES: usize = 256;

/// The blocks of the root, which are always there.
pub const ROOT_BLOCKS: u32 = 256;

/// Marks an entry as the number of a child block rather than an answer.
pub const CHILD: u32 = 1 << 31;

/// One node of the trie.
pub type Block = [u32; BLOCK_ENTRIES];

/// The answer of the longest IPv4 prefix that contains `address`; 0 where no
/// prefix does, and where the table is damaged.
///
/// `block` gives the block with a number, or `None` where there is none.
#[inline(always)]
pub fn lookup_v4<'a>(address: Address, block: impl Fn(u32) -> Option<&'a Block>) -> u32 {
    walk::<4>(address, block)
}

/// The same for IPv6.
#[inline(always)]
pub fn lookup_v6<'a>(address: Address, block: impl Fn(u32) -> Option<&'a Block>) -> u32 {
    walk::<16>(address, block)
}

#[inline(always)]
fn walk<'a, const BYTES: usize>(address: Address, block: impl Fn(u32) -> Option<&'a Block>) -> u32 {
    let (mut high, mut low) = (address.high, address.low);
    let mut index = (high >> 56) as u32;
    for _ in 1..BYTES {
        high = (high << 8) | (low >> 56);
        low <<= 8;
        let Some(block) = block(index) else {
            return 0;
        };
        let entry = block[(high >> 56) as u8 as usize];
        if entry & CHILD == 0 {
            return entry;
        }
        index = entry & !CHILD;
    }
    // A child below the last byte: only a damaged table has one.
    0
}
