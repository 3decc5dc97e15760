//! The header of IPv6 (RFC 8200).

use super::{
    Domain,
    shapes::{
        ETHERNET, EXTENSIONS, IPV6, SEGMENT, TRANSPORTS, chain, every_value, ipv6_frame, set,
    },
};

/// Where the fields are.
const FIRST: usize = ETHERNET;
const PAYLOAD_LENGTH: usize = ETHERNET + 4;
const NEXT_HEADER: usize = ETHERNET + 6;

/// A destination options header, and a segment behind it.
const PAYLOAD: usize = 8 + 20;

fn frame(next: u8) -> Vec<u8> {
    let (_, mut payload) = chain(&[60], 6);
    payload.extend(SEGMENT);
    ipv6_frame(next, &payload)
}

/// Every version and next header with every payload length up to the end.
pub fn every_header() {
    let mut domain = Domain::new("IPv6: first byte, next header, payload length");
    let mut frame = frame(60);
    for first in 0..=u8::MAX {
        frame[FIRST] = first;
        for next in 0..=u8::MAX {
            frame[NEXT_HEADER] = next;
            for length in 0..=PAYLOAD {
                set(&mut frame, PAYLOAD_LENGTH, length as u16);
                domain.check(&frame);
            }
        }
    }
    domain.end(
        256 * 256 * 29,
        &[
            "chain_truncated",
            "ip_version",
            "no_ports",
            "ports",
            "ports_truncated",
        ],
    );
}

/// Every payload length, for every next header that something follows.
pub fn every_payload_length() {
    let mut domain = Domain::new("IPv6: payload length");
    for next in EXTENSIONS.into_iter().chain(TRANSPORTS) {
        let mut frame = frame(next);
        every_value(&mut frame, PAYLOAD_LENGTH, |frame| domain.check(frame));
    }
    domain.end(
        13 * 65_536,
        &["chain_truncated", "ports", "ports_truncated"],
    );
}

/// Every payload length, for every next header.
pub fn every_payload_length_of_every_next_header() {
    let mut domain = Domain::new("IPv6: payload length and next header");
    for next in 0..=u8::MAX {
        let mut frame = frame(next);
        every_value(&mut frame, PAYLOAD_LENGTH, |frame| domain.check(frame));
    }
    domain.end(
        256 * 65_536,
        &["chain_truncated", "no_ports", "ports", "ports_truncated"],
    );
}

/// Every payload length up to the end against every end of the frame.
pub fn every_disagreement_on_lengths() {
    let mut domain = Domain::new("IPv6: payload length and frame length");
    for next in EXTENSIONS.into_iter().chain(TRANSPORTS) {
        let mut frame = frame(next);
        for length in 0..=PAYLOAD {
            set(&mut frame, PAYLOAD_LENGTH, length as u16);
            for end in 0..=ETHERNET + IPV6 + PAYLOAD {
                domain.check(&frame[..end]);
            }
        }
    }
    domain.end(
        13 * 29 * 83,
        &[
            "chain_truncated",
            "ip_truncated",
            "link_truncated",
            "ports",
            "ports_truncated",
        ],
    );
}
