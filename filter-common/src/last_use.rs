//! Which exemptions are used.
//!
//! An exemption is used when a frame passes because of it. The mark that it leaves is its
//! address, in a table that the controller empties about once a minute. It is no mark of
//! the policy, which all customers with the same exemptions share; nor of the place in the
//! prefix table, which takes every lookup longer, or exempted frames a second one.

use crate::address::{Address, Family};

/// An address in the table: as [`Address`] has it, two words; zeros where there is none.
pub type Mark = [u64; 2];

/// How many marks a line has: as many as a cache fetches at once.
pub const MARKS: usize = 4;

/// What the table is an array of.
pub type MarkLine = [Mark; MARKS];

/// The lines of each family: IPv4 has the first ones.
pub const FAMILY_LINES: u32 = 1 << LINE_BITS;

/// All lines, of 64 bytes.
pub const MARK_LINES: u32 = 2 * FAMILY_LINES;

const LINE_BITS: u32 = 15;

/// 2^64 divided by the golden ratio (D. E. Knuth, "The Art of Computer Programming", vol.
/// 3, 6.4): neighbours in a network are spread over all lines.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The line in which an address has its mark.
#[inline(always)]
pub const fn mark_line(address: Address) -> u32 {
    let first = match address.family {
        Family::V4 => 0,
        Family::V6 => FAMILY_LINES,
    };
    let sum = address.high.wrapping_add(address.low);
    first + (sum.wrapping_mul(FACTOR) >> (u64::BITS - LINE_BITS)) as u32
}

/// Marks an address in its line, unless it is marked or the line is full of others. Those
/// are seen this time, and this one the next time.
///
/// `load` gives a word of the line, and `store` replaces one: others do both at the same
/// time, each word in one piece. A mark of which two CPUs have stored one word each is of
/// an address beside theirs. It counts for whatever exempts that.
#[inline(always)]
pub fn mark(
    address: Address,
    load: impl Fn(usize, usize) -> u64,
    store: impl Fn(usize, usize, u64),
) {
    for place in 0..MARKS {
        let high = load(place, 0);
        if high == 0 {
            store(place, 1, address.low);
            store(place, 0, address.high);
            return;
        }
        if high == address.high && load(place, 1) == address.low {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    fn add(line: &Cell<MarkLine>, address: Address) {
        let store = |place: usize, word: usize, value| {
            let mut marks = line.get();
            marks[place][word] = value;
            line.set(marks);
        };
        mark(address, |place, word| line.get()[place][word], store);
    }

    #[test]
    fn an_address_is_marked_once_and_a_full_line_stays_as_it_is() {
        let line = Cell::new([[0; 2]; MARKS]);
        for last in [1, 2, 1, 3, 2, 4, 4, 5, 1] {
            add(&line, Address::v4([10, 0, 0, last]));
        }
        let marked = [1, 2, 3, 4].map(|last| [Address::v4([10, 0, 0, last]).high, 0]);
        assert_eq!(line.get(), marked);
    }

    #[test]
    fn addresses_that_share_a_half_are_two() {
        let line = Cell::new([[0; 2]; MARKS]);
        let mut bytes = [7; 16];
        add(&line, Address::v6(bytes));
        bytes[15] = 8;
        add(&line, Address::v6(bytes));
        let [first, second, third, _] = line.get();
        assert_eq!((first[0], third), (second[0], [0; 2]));
        assert_ne!(first[1], second[1]);
    }

    #[test]
    fn neighbours_are_spread_over_the_lines_of_their_family() {
        let mut full = 0;
        let mut counts = [0_u8; FAMILY_LINES as usize];
        for number in 0..20_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            let line = mark_line(Address::v4([10, a, b, c]));
            assert!(line < FAMILY_LINES);
            counts[line as usize] += 1;
            full += u32::from(usize::from(counts[line as usize]) > MARKS);
        }
        assert_eq!(full, 0);
        let v6 = mark_line(Address::v6([0xff; 16]));
        assert!((FAMILY_LINES..MARK_LINES).contains(&v6));
    }
}
