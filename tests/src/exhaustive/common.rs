//! The reader of common frames. It has to find what it is for: what it leaves to the
//! parser is read header by header.

use filter_common::parse::{Parsed, parse, plain};

use super::shapes::{ETHERNET, IPV4, IPV6, SEGMENT, ipv4, ipv6, set, stacks};
use crate::frames::{Link, link::ethertype};

/// A datagram of a family, by what it is called in Ethernet and in PPP.
struct Family {
    kind: u16,
    ppp: [u8; 2],
    header: usize,
    /// Where the length is, and how much of the header it counts.
    length: (usize, usize),
    datagram: fn(u8) -> Vec<u8>,
}

const FAMILIES: [Family; 2] = [
    Family {
        kind: ethertype::IPV4,
        ppp: [0, 0x21],
        header: IPV4,
        length: (2, IPV4),
        datagram: |protocol| ipv4(protocol, 5, &SEGMENT),
    },
    Family {
        kind: ethertype::IPV6,
        ppp: [0, 0x57],
        header: IPV6,
        length: (4, 0),
        datagram: |protocol| ipv6(protocol, &SEGMENT),
    },
];

/// TCP and UDP in both families behind every stack of up to two tags, with a session and
/// without one: found where the frame and the datagram have the flags of TCP, for every
/// length of both.
///
/// # Panics
///
/// When it finds nothing, something where those bytes are missing, or another packet than
/// the parser.
pub fn every_length() {
    let mut found = 0;
    for family in FAMILIES {
        for tags in (0..=2).flat_map(stacks) {
            for ppp in [None, Some(family.ppp.to_vec())] {
                for protocol in [6, 17] {
                    let link = Link {
                        tags: tags.clone(),
                        ppp: ppp.clone(),
                    };
                    let frame = link.arrival(family.kind, &(family.datagram)(protocol));
                    found += lengths(&frame.bytes, frame.ip_offset, &family);
                }
            }
        }
    }
    // The flags are the 14th byte of a segment of 20, so seven lengths of either kind are
    // long enough.
    assert_eq!(found, 2 * (1 + 4 + 16) * 2 * 2 * 7 * 7);
}

/// Every length of the frame with every length of the datagram, by its own account. How
/// many packets were found.
fn lengths(frame: &[u8], ip_offset: usize, family: &Family) -> u32 {
    let flags_end = ip_offset + family.header + 14;
    let (at, counted) = family.length;
    let mut found = 0;
    for declared in 0..=SEGMENT.len() {
        let mut frame = frame.to_vec();
        set(&mut frame, ip_offset + at, (counted + declared) as u16);
        for end in ETHERNET..=frame.len() {
            let frame = &frame[..end];
            let packet = plain(frame);
            let is_there = end >= flags_end && declared >= 14;
            assert_eq!(packet.is_some(), is_there, "{declared}, {frame:x?}");
            if let Some(packet) = packet {
                assert_eq!(
                    Parsed::Packet(packet),
                    parse(frame),
                    "{declared}, {frame:x?}"
                );
                found += 1;
            }
        }
    }
    found
}
