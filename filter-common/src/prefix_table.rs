//! The flat prefix table: longest-prefix match in a plain array.
//!
//! A multi-bit trie. What a cache fetches is 64 bytes, so the array is one of
//! [`Line`]s of that size, and an address is found with one line a byte:
//!
//! - Lines 0 to 4,095 are the *root*: an entry for each value of the first two
//!   bytes of the address.
//! - Two bits of an entry say what it is. It is the answer itself,
//!   the number of a policy, 0 for "no pool"; or it leads to the node that has
//!   something for each value of the next byte, and its other bits are the
//!   number of the node's first line.
//! - A *branch* is 16 lines: 256 entries.
//! - A *leaf* is 4 lines: 256 answers of a byte each.
//! - A *sparse leaf* is 1 line: the answer that most values have, and those that
//!   have another one, if they are [few enough](sparse_word) for that.
//!
//! Leaves hold answers below 256 alone; where there are others, a branch does
//! what a leaf would, in four times the memory, of which caches hold so much
//! less: docs/performance.md has what that costs.
//!
//! Prefixes that do not end at a byte boundary are expanded by whoever builds
//! the table, so a lookup never compares prefixes. IPv4 needs at most three
//! lines, IPv6 at most fifteen.
//!
//! The lookup trusts nothing that it reads: whatever the lines contain, it
//! stops after the last byte of the address and reads only lines that exist.

use crate::{
    address::{Address, Family},
    policy::{NO_POLICY, Policy},
};

/// The words in a line.
pub const LINE_WORDS: usize = 16;

/// What the table is an array of: 64 bytes, in host byte order.
pub type Line = [u32; LINE_WORDS];

/// The lines of the root, which are always there.
pub const ROOT_LINES: u32 = (1 << 16) / LINE_WORDS as u32;

/// How many values a byte has, and so how many entries or answers a node.
pub const NODE_VALUES: usize = 256;

/// The lines of a branch.
pub const BRANCH_LINES: usize = NODE_VALUES / LINE_WORDS;

/// The lines of a leaf.
pub const LEAF_LINES: usize = NODE_VALUES / size_of::<Line>();

/// The number of a line takes so many bits of an entry, and two say what it is.
/// The highest one stays free: without it an entry is compared in one instruction.
const NUMBER_BITS: u32 = 29;

/// One more than the highest number that an answer or a line can have.
pub const NUMBERS: u32 = 1 << NUMBER_BITS;

/// What an entry is: the two bits above its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// The answer.
    Answer = 0,
    /// It leads to a leaf.
    Leaf = 1,
    /// It leads to a sparse leaf.
    Sparse = 2,
    /// It leads to a branch.
    Branch = 3,
}

impl Kind {
    /// What this entry is.
    #[inline(always)]
    pub const fn of(entry: u32) -> Self {
        match entry >> NUMBER_BITS {
            0 => Self::Answer,
            1 => Self::Leaf,
            2 => Self::Sparse,
            _ => Self::Branch,
        }
    }

    /// The entry of this kind with this number, which is below [`NUMBERS`].
    #[inline(always)]
    pub const fn entry(self, number: u32) -> u32 {
        (self as u32) << NUMBER_BITS | number
    }
}

/// The answer that an entry is, or the first line of the node that it leads to.
#[inline(always)]
pub const fn number(entry: u32) -> u32 {
    entry & (NUMBERS - 1)
}

/// The policy of an address, which is one of those that the answers number:
/// [`NO_POLICY`] outside every prefix.
///
/// `line_v4` and `line_v6` give the line with a number of the family's table, and
/// `policy` the policy, or `None` where there is none.
#[inline(always)]
pub fn find_policy<'a>(
    address: Address,
    line_v4: impl Fn(u32) -> Option<&'a Line>,
    line_v6: impl Fn(u32) -> Option<&'a Line>,
    policy: impl FnOnce(u32) -> Option<&'a Policy>,
) -> &'a Policy {
    let number = match address.family {
        Family::V4 => lookup_v4(address, line_v4),
        Family::V6 => lookup_v6(address, line_v6),
    };
    match number {
        0 => &NO_POLICY,
        number => policy(number).unwrap_or(&NO_POLICY),
    }
}

/// The answer of the longest IPv4 prefix that contains `address`; 0 where no
/// prefix does, and where the table is damaged.
///
/// `line` gives the line with a number, or `None` where there is none.
#[inline(always)]
pub fn lookup_v4<'a>(address: Address, line: impl Fn(u32) -> Option<&'a Line>) -> u32 {
    walk::<4>(address, line)
}

/// The same for IPv6.
#[inline(always)]
pub fn lookup_v6<'a>(address: Address, line: impl Fn(u32) -> Option<&'a Line>) -> u32 {
    walk::<16>(address, line)
}

#[inline(always)]
fn walk<'a, const BYTES: usize>(address: Address, line: impl Fn(u32) -> Option<&'a Line>) -> u32 {
    let (mut high, mut low) = (address.high, address.low);
    let mut node = 0;
    let mut place = high >> 48;
    high = (high << 16) | (low >> 48);
    low <<= 16;
    for _ in 1..BYTES {
        let Some(words) = line((node + place / LINE_WORDS as u64) as u32) else {
            return 0;
        };
        let entry = words[place as usize % LINE_WORDS];
        place = high >> 56;
        if !matches!(Kind::of(entry), Kind::Branch) {
            return leaf(entry, place, line);
        }
        node = number(entry).into();
        high = (high << 8) | (low >> 56);
        low <<= 8;
    }
    // A branch below the last byte: only a damaged table has one.
    0
}

/// The answer for a byte of an entry that leads to no branch.
#[inline(always)]
fn leaf<'a>(entry: u32, byte: u64, line: impl Fn(u32) -> Option<&'a Line>) -> u32 {
    let number = number(entry);
    match Kind::of(entry) {
        Kind::Answer => number,
        Kind::Leaf => line(number + (byte / size_of::<Line>() as u64) as u32).map_or(0, |words| {
            // From each word's lowest byte on.
            words[byte as usize / 4 % LINE_WORDS] >> (byte % 4 * 8) & 0xff
        }),
        Kind::Sparse | Kind::Branch => line(number).map_or(0, |words| sparse(words, byte)),
    }
}

/// The answer for a byte in a sparse leaf.
///
/// Its line is one of *cells* of two bytes, a value and its answer, two in a word,
/// from the word's lowest byte on. Word 0 says `factor, rest, factor, rest`: what
/// [`sparse_word`] needs, and the answer of all values that have no cell.
#[inline(always)]
pub fn sparse(words: &Line, byte: u64) -> u32 {
    let header = words[0];
    let pair = words[sparse_word(header & 0xff, byte)];
    // A cell that has the value begins with zero then. The second one moves to the
    // place of a first one that has not: a branch would be mispredicted half the time.
    let differs = pair ^ (byte as u32 * 0x0001_0001);
    let second = ((differs & 0xff) + 0xff) >> 8;
    let cell = differs >> (second * 16);
    let found = if cell & 0xff == 0 { cell } else { header };
    found >> 8 & 0xff
}

/// The word in which the cell of a value is, if it has one, of a sparse leaf with
/// this factor, 1 to 255.
///
/// Whoever builds the leaf looks for a factor that sends nobody who has a cell to
/// word 0, and no more than two to any other. Of 100,000 random sets of sixteen
/// values none was without one, of as many sets of eighteen 446, of twenty 15,209.
#[inline(always)]
pub const fn sparse_word(factor: u32, value: u64) -> usize {
    // Odd, so that no value is sent to the same word by all factors.
    let product = (2 * value + 1) * factor as u64;
    (product >> 5) as usize % LINE_WORDS
}
