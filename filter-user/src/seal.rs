//! The sum that a kept file has over itself: a bit that flips on a disk may well leave
//! something that can be read, such as another prefix.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// What stands before the sum.
const KEY: &[u8] = b"\"sha256\": \"";
/// What stands for the sum while it is taken: SHA-256, in hexadecimal digits.
pub(crate) const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The sum is among the first so many bytes.
const HEAD: usize = 64;

/// Puts the sum where [`BLANK`] is.
pub(crate) fn seal(text: &mut [u8]) {
    if let Some(place) = place(text) {
        let sum = sum(text, &place);
        text[place].copy_from_slice(sum.as_bytes());
    }
}

/// Whether it has a sum that is of something else. A poolguard that knew of no sums wrote
/// none, and whoever changes a file on purpose leaves it out.
pub(crate) fn is_broken(text: &[u8]) -> bool {
    place(text).is_some_and(|place| text[place.clone()] != *sum(text, &place).as_bytes())
}

fn place(text: &[u8]) -> Option<Range<usize>> {
    let head = &text[..text.len().min(HEAD)];
    let key = head.windows(KEY.len()).position(|bytes| bytes == KEY)?;
    let place = key + KEY.len()..key + KEY.len() + BLANK.len();
    (place.end <= text.len()).then_some(place)
}

fn sum(text: &[u8], place: &Range<usize>) -> String {
    let mut hash = Sha256::new();
    hash.update(&text[..place.start]);
    hash.update(BLANK);
    hash.update(&text[place.end..]);
    digits(&hash.finalize())
}

/// In hexadecimal digits.
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_that_flips_shows_unless_it_hides_the_sum() {
        let text = format!("{{\n  \"version\": 1,\n  \"sha256\": \"{BLANK}\",\n  \"a\": 1\n}}");
        let mut text = text.into_bytes();
        seal(&mut text);
        assert!(!is_broken(b"{}") && !is_broken(b""));
        assert!(!is_broken(&text));
        let key = 0..text.len();
        let key = place(&text).map_or(key, |place| place.start - KEY.len()..place.start);
        for bit in (0..8 * text.len()).filter(|bit| !key.contains(&(bit / 8))) {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(is_broken(&flipped), "bit {bit}");
        }
        // What is cut short is not read as JSON.
        assert!(is_broken(&text[..text.len() - 1]));
    }
}
