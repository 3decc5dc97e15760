//! Chains of extension headers (RFC 8200, section 4; RFC 4302).

use super::{
    Domain,
    shapes::{
        AUTHENTICATION, ETHERNET, EXTENSIONS, IPV4, IPV6, SEGMENT, chain, every_value, ipv4_frame,
        ipv6_frame, set,
    },
};

/// The longest header there can be, and a segment behind it.
const ROOM: usize = 256 * 8 + 20;

/// A header that UDP follows, of any length: the destination port is the number
/// of the word of 4 bytes that it was read from.
fn udp_behind_any_length() -> impl Iterator<Item = u8> {
    let words = (1..ROOM as u32 / 4).flat_map(u32::to_be_bytes);
    [17, 0, 0, 0].into_iter().chain(words)
}

/// Every next header with every length field behind chains of every length up
/// to one header too many.
pub fn every_next_header() {
    let mut domain = Domain::new("IPv6: next header and its length, behind 0 to 9 others");
    for before in 0..=9 {
        let kinds: Vec<u8> = EXTENSIONS.into_iter().cycle().take(before).collect();
        for next in 0..=u8::MAX {
            let (first, mut payload) = chain(&kinds, next);
            let at = ETHERNET + IPV6 + payload.len();
            payload.extend(udp_behind_any_length());
            let mut frame = ipv6_frame(first, &payload);
            for length in 0..=u8::MAX {
                frame[at + 1] = length;
                // No fragment but the first.
                set(&mut frame, at + 2, 0);
                domain.check(&frame);
            }
        }
    }
    domain.end(10 * 256 * 256, &["chain_too_long", "no_ports", "ports"]);
}

/// The same in IPv4, behind authentication headers.
pub fn every_next_header_in_ipv4() {
    let mut domain = Domain::new("IPv4: next header and its length, behind 0 to 9 others");
    for before in 0..=9 {
        for next in 0..=u8::MAX {
            let (first, mut payload) = chain(&vec![AUTHENTICATION; before], next);
            let at = ETHERNET + IPV4 + payload.len();
            payload.extend(udp_behind_any_length());
            let mut frame = ipv4_frame(first, 5, &payload);
            for length in 0..=u8::MAX {
                frame[at + 1] = length;
                domain.check(&frame);
            }
        }
    }
    domain.end(10 * 256 * 256, &["chain_too_long", "no_ports", "ports"]);
}

/// Every length field of every extension header behind up to seven others, where
/// the datagram or the frame ends at one of the edges that it could matter at:
/// of the header by each way to reckon its length, of the ports and of the flags
/// behind it.
pub fn every_length_at_its_edges() {
    let mut domain = Domain::new("IPv6: lengths of extension headers at their edges");
    for before in 0..=7 {
        let kinds: Vec<u8> = EXTENSIONS.into_iter().cycle().take(before).collect();
        for (kind, last) in EXTENSIONS
            .into_iter()
            .flat_map(|kind| [(kind, 6), (kind, 17)])
        {
            let (first, mut payload) = chain(&kinds, kind);
            let start = payload.len();
            let at = ETHERNET + IPV6 + start;
            payload.extend([0; ROOM]);
            payload[start] = last;
            let whole = ipv6_frame(first, &payload);
            for length in 0..=u8::MAX {
                let mut frame = whole.clone();
                frame[at + 1] = length;
                let field = usize::from(length);
                for reckoned in [8, (field + 1) * 8, (field + 2) * 4] {
                    for more in EDGES {
                        let end = start + reckoned.saturating_add_signed(more);
                        domain.check(&frame[..ETHERNET + IPV6 + end]);
                        set(&mut frame, ETHERNET + 4, end as u16);
                        domain.check(&frame);
                        set(&mut frame, ETHERNET + 4, payload.len() as u16);
                    }
                }
            }
        }
    }
    domain.end(
        8 * 16 * 256 * 3 * 7 * 2,
        &["chain_truncated", "ports", "ports_truncated"],
    );
}

/// Before and at the end of a header, of ports, and of TCP's flags.
const EDGES: [isize; 7] = [-1, 0, 1, 3, 4, 13, 14];

/// Every sequence of up to four extension headers, before protocols with ports
/// and without, in frames of every length.
pub fn every_sequence() {
    let mut domain = Domain::new("IPv6: sequences of extension headers, cut anywhere");
    let mut size = 0;
    for length in 0..=4 {
        let last = [6, 17, 58, 50, 59];
        size += 8_u64.pow(length) * 5 * u64::from(14 + 40 + 8 * length + 20 + 1);
        sequences(length, |kinds| {
            for last in last {
                let (first, mut payload) = chain(kinds, last);
                payload.extend(SEGMENT);
                let frame = ipv6_frame(first, &payload);
                for end in 0..=frame.len() {
                    domain.check(&frame[..end]);
                }
            }
        });
    }
    domain.end(
        size,
        &[
            "chain_truncated",
            "ip_truncated",
            "link_truncated",
            "no_ports",
            "ports",
            "ports_truncated",
        ],
    );
}

/// Every sequence of eight extension headers, before TCP, and before one more.
pub fn every_sequence_of_eight() {
    let mut domain = Domain::new("IPv6: sequences of eight extension headers");
    for last in [6, 60] {
        sequences(8, |kinds| {
            let (first, mut payload) = chain(kinds, last);
            payload.extend(SEGMENT);
            domain.check(&ipv6_frame(first, &payload));
        });
    }
    domain.end(2 * 8_u64.pow(8), &["chain_too_long", "ports"]);
}

/// Every sequence of so many kinds.
fn sequences(length: u32, mut show: impl FnMut(&[u8])) {
    let mut kinds = vec![0; length as usize];
    for number in 0..8_usize.pow(length) {
        for (place, kind) in kinds.iter_mut().enumerate() {
            *kind = EXTENSIONS[number >> (3 * place) & 7];
        }
        show(&kinds);
    }
}

/// Every offset, reserved bit and flag of a fragment header, behind up to seven
/// others and before headers of every kind.
pub fn every_fragment() {
    let mut domain = Domain::new("IPv6: fragment offset and flags");
    for before in 0..=7 {
        let mut kinds: Vec<u8> = EXTENSIONS.into_iter().cycle().take(before).collect();
        kinds.push(44);
        for last in [6, 17, 60, 44, 59] {
            let (first, mut payload) = chain(&kinds, last);
            let at = ETHERNET + IPV6 + 8 * before + 2;
            payload.extend([6, 0, 0, 0, 0, 0, 0, 0]);
            payload.extend(SEGMENT);
            let mut frame = ipv6_frame(first, &payload);
            every_value(&mut frame, at, |frame| domain.check(frame));
        }
    }
    domain.end(
        8 * 5 * 65_536,
        &[
            "chain_too_long",
            "fragment",
            "no_ports",
            "ports",
            "tcp_fragment",
        ],
    );
}
