//! Transport headers, whole and cut short.

use arbitrary::Unstructured;
use proptest::prelude::*;

use super::bytes;

/// A transport header and a few bytes behind it.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Transport {
    /// The IP protocol number.
    #[arbitrary(with = bytes::protocol)]
    pub protocol: u8,
    /// The fourteenth byte, where TCP has its flags.
    pub flags: u8,
    /// So many bytes of it.
    #[arbitrary(with = |u: &mut Unstructured| u.int_in_range(0..=24))]
    pub length: usize,
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Draws one.
pub fn transport() -> impl Strategy<Value = Transport> {
    let protocol = prop_oneof![
        24 => Just(6_u8),
        12 => Just(17),
        // SCTP, DCCP, UDP-Lite.
        10 => prop::sample::select(vec![132_u8, 33, 136]),
        // ICMP, ICMPv6, IP in IP, 6in4, GRE, ESP, nothing, reserved.
        1 => prop::sample::select(vec![1_u8, 58, 4, 41, 47, 50, 59, 255]),
        1 => any::<u8>(),
    ];
    let flags = prop_oneof![
        3 => Just(SYN),
        2 => Just(SYN | ACK),
        2 => Just(ACK),
        3 => any::<u8>(),
    ];
    let length = prop_oneof![18 => Just(24_usize), 1 => 12..=15_usize, 1 => 0..=24_usize];
    (protocol, flags, length).prop_map(|(protocol, flags, length)| Transport {
        protocol,
        flags,
        length,
    })
}

impl Transport {
    /// With these ports.
    pub fn bytes(&self, source: u16, destination: u16) -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes[..2].copy_from_slice(&source.to_be_bytes());
        bytes[2..4].copy_from_slice(&destination.to_be_bytes());
        // TCP's header length: five words.
        bytes[12] = 5 << 4;
        bytes[13] = self.flags;
        bytes.truncate(self.length);
        bytes
    }
}
