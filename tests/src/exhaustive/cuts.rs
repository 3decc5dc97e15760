//! Frames that end anywhere.

use super::{
    Domain,
    shapes::{PORTLESS, SEGMENT, TRANSPORTS, ipv4, ipv6, stacks},
};
use crate::frames::{Link, link::ethertype};

/// Every length of every shape: behind every stack of up to three tags, in a
/// session or not, its protocol number in one byte or in more, with an address and
/// control field and without, IPv4 with options and without, IPv6, and every
/// protocol that is told apart.
pub fn every_length_of_every_shape() {
    let mut domain = Domain::new("frames of every shape, cut anywhere");
    let mut size = 0;
    for tags in (0..=3).flat_map(stacks) {
        for protocol in TRANSPORTS.into_iter().chain(PORTLESS) {
            for (kind, number, datagram) in [
                (ethertype::IPV4, 0x21, ipv4(protocol, 5, &SEGMENT)),
                (ethertype::IPV4, 0x21, ipv4(protocol, 8, &SEGMENT)),
                (ethertype::IPV6, 0x57, ipv6(protocol, &SEGMENT)),
            ] {
                let sessions = [
                    vec![number],
                    vec![0, number],
                    vec![0xff, 0x03, number],
                    vec![0xff, 0x03, 0, 0, 0, 0, number],
                    vec![0, 0, 0, 0, 0, number],
                ];
                for ppp in [None].into_iter().chain(sessions.map(Some)) {
                    let session = ppp.as_ref().map_or(0, |number| 6 + number.len());
                    size += 14 + 4 * tags.len() + session + datagram.len() + 1;
                    let tags = tags.clone();
                    let frame = Link { tags, ppp }.arrival(kind, &datagram).bytes;
                    for length in 0..=frame.len() {
                        domain.check(&frame[..length]);
                    }
                }
            }
        }
    }
    domain.end(
        size as u64,
        &[
            "ip_truncated",
            "link_truncated",
            "no_ports",
            "ports",
            "ports_truncated",
            "ppp_zeros",
            "vlan_depth",
        ],
    );
}
