//! Common frames, read with a look or two.
//!
//! Next to all frames are TCP or UDP behind an IPv4 header without options or an IPv6
//! header without extension headers. [`plain`] reads these and leaves the others to
//! [`parse`](super::parse()), which finds the same packet wherever `plain` finds one.

use super::{
    ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, MAX_VLAN_TAGS, PPPOE_HEADER, Packet, TCP_FLAGS_END,
    VLAN_TAG, ethertype, field, is_tag, ppp,
};
use crate::{address::Family, frame::Frame, policy::Protocol};

/// An IPv4 header without options, and a TCP header up to its flags.
const IPV4: usize = IPV4_HEADER + TCP_FLAGS_END;
/// An IPv6 header, and a TCP header up to its flags.
const IPV6: usize = IPV6_HEADER + TCP_FLAGS_END;

/// The packet in a frame of the common kind: TCP or UDP behind an IPv4 header without
/// options or an IPv6 header without extensions, with up to two VLAN tags and a PPPoE
/// session around it. `None` says nothing of the frame.
///
/// UDP is held to what is asked of TCP, which datagrams of less than six bytes do not meet.
#[inline(always)]
pub fn plain<F: Frame + ?Sized>(frame: &F) -> Option<Packet> {
    let head = frame.bytes::<{ ETHERNET_HEADER + IPV4 }>(0)?;
    match u16::from_ne_bytes(field::<12, 2>(&head)) {
        ethertype::IPV4 => ipv4(&head[ETHERNET_HEADER..], ETHERNET_HEADER),
        ethertype::IPV6 => ipv6(frame, ETHERNET_HEADER),
        kind => {
            let (kind, at) = encapsulation(frame, kind)?;
            match kind {
                ethertype::IPV4 => ipv4(&frame.bytes::<IPV4>(at)?, at),
                ethertype::IPV6 => ipv6(frame, at),
                _ => None,
            }
        }
    }
}

/// The type of what is behind up to two tags and a session, and where that begins.
#[inline(always)]
fn encapsulation<F: Frame + ?Sized>(frame: &F, mut kind: u16) -> Option<(u16, usize)> {
    let mut at = ETHERNET_HEADER;
    for _ in 0..MAX_VLAN_TAGS {
        if is_tag(kind) {
            kind = u16::from_ne_bytes(frame.bytes::<2>(at + 2)?);
            at += VLAN_TAG;
        }
    }
    if kind == ethertype::PPPOE_SESSION {
        kind = match u16::from_ne_bytes(frame.bytes::<2>(at + PPPOE_HEADER)?) {
            ppp::IPV4 => ethertype::IPV4,
            ppp::IPV6 => ethertype::IPV6,
            _ => return None,
        };
        at += PPPOE_HEADER + 2;
    }
    // The verifier would walk what follows for each of the stacks.
    Some((kind, frame.opaque(at)))
}

/// `headers` begin at `at`.
#[inline(always)]
fn ipv4(headers: &[u8], at: usize) -> Option<Packet> {
    let total_length = u16::from_be_bytes(field::<2, 2>(headers)) as usize;
    let fragment_offset = u16::from_be_bytes(field::<6, 2>(headers)) & 0x1fff;
    if headers[0] != 0x45 || fragment_offset != 0 || total_length < IPV4 {
        return None;
    }
    ports::<IPV4_HEADER>(headers, headers[9], Family::V4, at)
}

#[inline(always)]
fn ipv6<F: Frame + ?Sized>(frame: &F, at: usize) -> Option<Packet> {
    let headers = frame.bytes::<IPV6>(at)?;
    let payload_length = u16::from_be_bytes(field::<4, 2>(&headers)) as usize;
    if headers[0] >> 4 != 6 || payload_length < TCP_FLAGS_END {
        return None;
    }
    ports::<IPV6_HEADER>(&headers, headers[6], Family::V6, at)
}

/// The ports behind an IP header of `AT` bytes.
#[inline(always)]
fn ports<const AT: usize>(
    headers: &[u8],
    next: u8,
    family: Family,
    ip_offset: usize,
) -> Option<Packet> {
    let (protocol, tcp_flags) = match Protocol::from_number(next) {
        Some(Protocol::Tcp) => (Protocol::Tcp, headers[AT + TCP_FLAGS_END - 1]),
        Some(Protocol::Udp) => (Protocol::Udp, 0),
        _ => return None,
    };
    let [source_high, source_low, high, low] = field::<AT, 4>(headers);
    Some(Packet {
        family,
        protocol,
        source_port: u16::from_be_bytes([source_high, source_low]),
        destination_port: u16::from_be_bytes([high, low]),
        tcp_flags,
        ip_offset: ip_offset as u32,
    })
}
