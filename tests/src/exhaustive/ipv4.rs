//! The header of IPv4 (RFC 791).

use super::{
    Domain,
    shapes::{
        AUTHENTICATION, ETHERNET, PORTLESS, SEGMENT, TRANSPORTS, every_value, ipv4_frame, set,
    },
};

/// Where the fields are.
const FIRST: usize = ETHERNET;
const TOTAL_LENGTH: usize = ETHERNET + 2;
const FRAGMENT: usize = ETHERNET + 6;
const PROTOCOL: usize = ETHERNET + 9;

/// The longest header, and a segment behind it.
const LONGEST: usize = 60 + 20;

/// Every version, header length and protocol with every total length up to
/// the end of the frame, which has room for the longest header.
pub fn every_header() {
    let mut domain = Domain::new("IPv4: first byte, protocol, total length");
    let mut frame = ipv4_frame(6, 15, &SEGMENT);
    for first in 0..=u8::MAX {
        frame[FIRST] = first;
        for protocol in 0..=u8::MAX {
            frame[PROTOCOL] = protocol;
            for total in 0..=LONGEST {
                set(&mut frame, TOTAL_LENGTH, total as u16);
                domain.check(&frame);
            }
        }
    }
    domain.end(
        256 * 256 * 81,
        &[
            "chain_truncated",
            "ip_header_length",
            "ip_version",
            "no_ports",
            "ports",
            "ports_truncated",
        ],
    );
}

/// Every value of the flags and the fragment offset, for protocols of every
/// kind and headers of three lengths.
pub fn every_fragment() {
    let mut domain = Domain::new("IPv4: flags and fragment offset");
    let protocols = || {
        TRANSPORTS
            .into_iter()
            .chain(PORTLESS)
            .chain([AUTHENTICATION])
    };
    for protocol in protocols() {
        for words in [5, 6, 15] {
            let mut frame = ipv4_frame(protocol, words, &SEGMENT);
            every_value(&mut frame, FRAGMENT, |frame| domain.check(frame));
        }
    }
    domain.end(
        10 * 3 * 65_536,
        &[
            "chain_truncated",
            "fragment",
            "no_ports",
            "ports",
            "tcp_fragment",
        ],
    );
}

/// Every value of the flags and the fragment offset, for every protocol.
pub fn every_fragment_of_every_protocol() {
    let mut domain = Domain::new("IPv4: flags, fragment offset and protocol");
    for protocol in 0..=u8::MAX {
        let mut frame = ipv4_frame(protocol, 5, &SEGMENT);
        every_value(&mut frame, FRAGMENT, |frame| domain.check(frame));
    }
    domain.end(
        256 * 65_536,
        &[
            "chain_truncated",
            "fragment",
            "no_ports",
            "ports",
            "tcp_fragment",
        ],
    );
}

/// Every total length, whatever the frame has, for headers of every length.
pub fn every_total_length() {
    let mut domain = Domain::new("IPv4: total length");
    for protocol in [6, 17, AUTHENTICATION] {
        for words in 5..=15 {
            let mut frame = ipv4_frame(protocol, words, &SEGMENT);
            every_value(&mut frame, TOTAL_LENGTH, |frame| domain.check(frame));
        }
    }
    domain.end(
        3 * 11 * 65_536,
        &[
            "chain_truncated",
            "ip_header_length",
            "ports",
            "ports_truncated",
        ],
    );
}

/// Every total length up to the end against every end of the frame, for headers
/// of every length. Behind an authentication header comes a protocol without
/// ports.
pub fn every_disagreement_on_lengths() {
    let mut domain = Domain::new("IPv4: total length and frame length");
    for protocol in TRANSPORTS.into_iter().chain([AUTHENTICATION]) {
        for words in 0..=15 {
            let mut frame = ipv4_frame(protocol, 15, &SEGMENT);
            frame[FIRST] = 0x40 | words;
            for total in 0..=LONGEST {
                set(&mut frame, TOTAL_LENGTH, total as u16);
                for length in 0..=ETHERNET + LONGEST {
                    domain.check(&frame[..length]);
                }
            }
        }
    }
    domain.end(
        6 * 16 * 81 * 95,
        &[
            "chain_truncated",
            "ip_header_length",
            "ip_truncated",
            "link_truncated",
            "no_ports",
            "ports",
            "ports_truncated",
        ],
    );
}
