//! Extension headers in any order and number.

use arbitrary::Unstructured;
use proptest::prelude::*;

use super::bytes;

/// One extension header.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Extension {
    /// Its protocol number.
    #[arbitrary(with = bytes::extension_number)]
    pub number: u8,
    /// So many units longer than it has to be.
    #[arbitrary(with = |u: &mut Unstructured| u.int_in_range(0..=32))]
    pub units: u8,
    /// Another length in its length field.
    pub length: Option<u8>,
    /// Its third and fourth byte: of a fragment header, the offset and whether
    /// more follow.
    pub fragment: u16,
    /// All its other bytes.
    pub fill: u8,
}

/// The protocol numbers (IANA, "IPv6 Extension Header Types").
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// Offsets in units of 8 bytes: none, the one of RFC 1858, its neighbours, the
/// last one, each bit of the field by itself, and any.
pub fn fragment_offset() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => Just(0_u16),
        3 => Just(1),
        1 => 2..=3_u16,
        1 => Just(8191),
        2 => (0..13_u16).prop_map(|bit| 1 << bit),
        1 => 0..8192_u16,
    ]
}

/// Draws one.
pub fn extension() -> impl Strategy<Value = Extension> {
    let number = prop_oneof![
        30 => prop::sample::select(vec![0_u8, 43, 60, 135, 139, 140]),
        8 => Just(AUTHENTICATION),
        8 => Just(FRAGMENT),
        // ESP, nothing more, experiments, and any other.
        1 => prop::sample::select(vec![50_u8, 59, 253, 254]),
        1 => any::<u8>(),
    ];
    let units = prop_oneof![6 => Just(0_u8), 2 => 1..=3_u8, 1 => 0..=32_u8];
    let offset = prop_oneof![4 => Just(0_u16), 1 => fragment_offset()];
    // Whether more follow, and the two bits that are reserved.
    let fragment = (offset, 0..8_u16).prop_map(|(offset, low)| offset << 3 | low);
    (
        number,
        units,
        prop::option::weighted(0.04, any::<u8>()),
        fragment,
        prop::sample::select(vec![0_u8, 1, 25, 80, 255]),
    )
        .prop_map(|(number, units, length, fragment, fill)| Extension {
            number,
            units,
            length,
            fragment,
            fill,
        })
}

/// Draws a chain: mostly none, often around the longest that is walked.
pub fn chain() -> impl Strategy<Value = Vec<Extension>> {
    let count = prop_oneof![
        12 => Just(0_usize),
        8 => 1..=3_usize,
        3 => 4..=7_usize,
        2 => 8..=9_usize,
        1 => 10..=12_usize,
    ];
    count.prop_flat_map(|count| prop::collection::vec(extension(), count))
}

/// Puts a chain in front of a payload of protocol `protocol`: the number that
/// announces the first header, and the bytes.
pub fn in_front_of(chain: &[Extension], protocol: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut bytes = payload.to_vec();
    let mut next = protocol;
    for extension in chain.iter().rev() {
        let mut header = extension.bytes(next);
        header.append(&mut bytes);
        bytes = header;
        next = extension.number;
    }
    (next, bytes)
}

impl Extension {
    fn bytes(&self, next: u8) -> Vec<u8> {
        let units = usize::from(self.units);
        // AH counts in fours and is 12 bytes at least, with a field of 1; the
        // fragment header has 8 bytes always.
        let (length, field) = match self.number {
            AUTHENTICATION => (12 + 4 * units, 1 + self.units),
            FRAGMENT => (8, self.fill),
            _ => (8 + 8 * units, self.units),
        };
        let mut bytes = vec![self.fill; length];
        bytes[0] = next;
        bytes[1] = self.length.unwrap_or(field);
        if self.number == FRAGMENT {
            bytes[2..4].copy_from_slice(&self.fragment.to_be_bytes());
        }
        bytes
    }
}
