//! Ethernet, VLAN tags (IEEE 802.1Q) and PPPoE (RFC 2516).

use super::{
    Domain,
    shapes::{ETHERNET, SEGMENT, every_value, ipv4, ipv6, stacks},
};
use crate::frames::{Link, link::ethertype};

/// A datagram of each family, with the EtherType and the PPP number that name
/// it.
fn datagrams() -> [(u16, u16, Vec<u8>); 2] {
    [
        (ethertype::IPV4, 0x21, ipv4(6, 5, &SEGMENT)),
        (ethertype::IPV6, 0x57, ipv6(6, &SEGMENT)),
    ]
}

/// Every EtherType, that of a third tag among them, behind every stack of up to two
/// tags, before a datagram of either family.
pub fn every_ethertype() {
    let mut domain = Domain::new("EtherTypes behind tags");
    for tags in (0..=2).flat_map(stacks) {
        for (_, _, datagram) in datagrams() {
            let at = ETHERNET - 2 + 4 * tags.len();
            let link = Link {
                tags: tags.clone(),
                ppp: None,
            };
            let mut frame = link.arrival(0, &datagram).bytes;
            every_value(&mut frame, at, |frame| domain.check(frame));
        }
    }
    domain.end(
        (1 + 4 + 16) * 2 * 65_536,
        &["ip_version", "not_ip", "ports", "vlan_depth"],
    );
}

/// Every tag control information in every tag of every stack of up to two.
pub fn every_tag_control() {
    let mut domain = Domain::new("tag control information");
    for tags in (1..=2).flat_map(stacks) {
        for tag in 0..tags.len() {
            let link = Link {
                tags: tags.clone(),
                ppp: None,
            };
            for (kind, _, datagram) in datagrams() {
                let mut frame = link.arrival(kind, &datagram).bytes;
                every_value(&mut frame, ETHERNET + 4 * tag, |frame| domain.check(frame));
            }
        }
    }
    domain.end((4 + 16 * 2) * 2 * 65_536, &["ports"]);
}

/// Every PPP protocol number in a session behind every stack of up to two tags.
pub fn every_ppp_protocol() {
    let mut domain = Domain::new("PPP protocols");
    for tags in (0..=2).flat_map(stacks) {
        for (_, protocol, datagram) in datagrams() {
            let at = ETHERNET + 4 * tags.len() + 6;
            let link = Link {
                tags: tags.clone(),
                ppp: Some(protocol.to_be_bytes().to_vec()),
            };
            let mut frame = link.arrival(0, &datagram).bytes;
            every_value(&mut frame, at, |frame| domain.check(frame));
        }
    }
    // A number of one byte, and the other one belongs to the IP header.
    domain.end(
        (1 + 4 + 16) * 2 * 65_536,
        &[
            "chain_truncated",
            "ip_header_length",
            "ip_version",
            "no_ports",
            "not_ip",
            "ports",
        ],
    );
}

/// Every two bytes of PPP: in front of a protocol number, and as the number, behind
/// an address and control field or none, and behind up to five zeros.
pub fn every_ppp_header() {
    let mut domain = Domain::new("PPP headers");
    for (_, protocol, datagram) in datagrams() {
        for prefix in [&[][..], &[0xff, 0x03]] {
            for zeros in 0..=5 {
                let header = [prefix, &vec![0; zeros], &protocol.to_be_bytes()].concat();
                let (start, number) = (ETHERNET + 6, ETHERNET + 6 + header.len() - 2);
                let link = Link {
                    tags: Vec::new(),
                    ppp: Some(header),
                };
                let frame = link.arrival(0, &datagram).bytes;
                for at in [start, number] {
                    every_value(&mut frame.clone(), at, |frame| domain.check(frame));
                }
            }
        }
    }
    domain.end(
        2 * 2 * 6 * 2 * 65_536,
        &[
            "chain_truncated",
            "fragment",
            "ip_header_length",
            "ip_truncated",
            "ip_version",
            "no_ports",
            "not_ip",
            "ports",
            "ports_truncated",
            "ppp_zeros",
        ],
    );
}

/// Every version, type and code, every session and every length of PPPoE.
/// Nothing there keeps a datagram from being read.
pub fn every_session_header() {
    let mut domain = Domain::new("PPPoE headers");
    for (_, protocol, datagram) in datagrams() {
        let link = Link {
            tags: Vec::new(),
            ppp: Some(protocol.to_be_bytes().to_vec()),
        };
        for field in [0, 2, 4] {
            let mut frame = link.arrival(0, &datagram).bytes;
            every_value(&mut frame, ETHERNET + field, |frame| domain.check(frame));
        }
    }
    domain.end(2 * 3 * 65_536, &["ports"]);
}

/// Every first two bytes of what is named IPv4 or IPv6, where the header is
/// looked for in the right place: behind every stack, in a session or not.
pub fn every_version() {
    let mut domain = Domain::new("what begins where IP should");
    for tags in (0..=2).flat_map(stacks) {
        for (kind, protocol, datagram) in datagrams() {
            for ppp in [None, Some(protocol.to_be_bytes().to_vec())] {
                let tags = tags.clone();
                let arrival = Link { tags, ppp }.arrival(kind, &datagram);
                let (mut frame, at) = (arrival.bytes, arrival.ip_offset);
                every_value(&mut frame, at, |frame| domain.check(frame));
            }
        }
    }
    domain.end(
        (1 + 4 + 16) * 2 * 2 * 65_536,
        &["ip_header_length", "ip_version", "ports", "ports_truncated"],
    );
}
