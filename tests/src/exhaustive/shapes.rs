//! The frames whose fields are then given every value.

use crate::frames::{
    Link,
    link::ethertype::{self, TAGS},
};

/// The transport protocols with ports.
pub const TRANSPORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// ICMP, GRE, ESP, No Next Header: protocols without ports.
pub const PORTLESS: [u8; 4] = [1, 47, 50, 59];

/// The extension headers of IPv6.
pub const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];

/// The authentication header, which is one in IPv4 too.
pub const AUTHENTICATION: u8 = 51;

/// The length of an Ethernet header.
pub const ETHERNET: usize = 14;
/// The length of an IPv4 header without options.
pub const IPV4: usize = 20;
/// The length of an IPv6 header.
pub const IPV6: usize = 40;

/// The start of a transport header: ports 40000 and 25, and for TCP a SYN.
pub const SEGMENT: [u8; 20] = [
    0x9c, 0x40, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0,
];

/// An IPv4 datagram whose header has so many words of 4 bytes.
pub fn ipv4(protocol: u8, words: u8, payload: &[u8]) -> Vec<u8> {
    let header = usize::from(words) * 4;
    let mut bytes = vec![0; header];
    bytes[0] = 0x40 | words;
    bytes[2..4].copy_from_slice(&((header + payload.len()) as u16).to_be_bytes());
    bytes[8] = 64;
    bytes[9] = protocol;
    bytes[12..16].copy_from_slice(&[192, 0, 2, 9]);
    bytes[16..20].copy_from_slice(&[198, 51, 100, 7]);
    bytes.extend_from_slice(payload);
    bytes
}

/// An IPv6 datagram.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; IPV6];
    bytes[0] = 0x60;
    bytes[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes[6] = next;
    bytes[7] = 64;
    bytes[8..12].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    bytes[23] = 9;
    bytes[24..28].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    bytes[39] = 7;
    bytes.extend_from_slice(payload);
    bytes
}

/// Extension headers of 8 bytes each, before the header with number `last`. The
/// number of the first one, and the bytes of all of them.
pub fn chain(kinds: &[u8], last: u8) -> (u8, Vec<u8>) {
    let numbers = kinds.iter().chain([&last]);
    let bytes = numbers
        .clone()
        .skip(1)
        .flat_map(|next| [*next, 0, 0, 0, 0, 0, 0, 0]);
    (kinds.first().copied().unwrap_or(last), bytes.collect())
}

/// In a frame without tags.
pub fn on_ethernet(kind: u16, datagram: &[u8]) -> Vec<u8> {
    Link::default().arrival(kind, datagram).bytes
}

/// An IPv4 datagram in a frame.
pub fn ipv4_frame(protocol: u8, words: u8, payload: &[u8]) -> Vec<u8> {
    on_ethernet(ethertype::IPV4, &ipv4(protocol, words, payload))
}

/// An IPv6 datagram in a frame.
pub fn ipv6_frame(next: u8, payload: &[u8]) -> Vec<u8> {
    on_ethernet(ethertype::IPV6, &ipv6(next, payload))
}

/// Every stack of so many VLAN tags, of all kinds.
pub fn stacks(tags: usize) -> Vec<Vec<(u16, u16)>> {
    let mut stacks = vec![Vec::new()];
    for _ in 0..tags {
        let longer = stacks.iter().flat_map(|stack| {
            TAGS.map(|kind| {
                let mut stack: Vec<_> = stack.clone();
                stack.push((kind, 7));
                stack
            })
        });
        stacks = longer.collect();
    }
    stacks
}

/// A 16-bit field of a frame.
pub fn set(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Every value of a 16-bit field, one after the other.
pub fn every_value(frame: &mut [u8], at: usize, mut show: impl FnMut(&[u8])) {
    for value in 0..=u16::MAX {
        set(frame, at, value);
        show(frame);
    }
}
