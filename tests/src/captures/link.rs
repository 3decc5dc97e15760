//! What was captured elsewhere than on Ethernet, as it would arrive there.
//!
//! Numbers of link types are those of the registry of the tcpdump project.

use pcap_parser::Linktype;

use crate::frames::{
    Link,
    link::{ethernet, ethertype},
};

/// `LINKTYPE_PPP`, and with the framing of RFC 1662.
const PPP: Linktype = Linktype(9);
/// `DLT_RAW`, which is 12 or 14 on some systems and got into files.
const OLD_RAW: [Linktype; 2] = [Linktype(12), Linktype(14)];

/// A frame, and what it was called where it was captured.
pub type Frame = (&'static str, Vec<u8>);

/// The packet in an Ethernet frame.
///
/// # Errors
///
/// What it is, where there is no such frame.
pub fn frame(link: Linktype, bytes: &[u8]) -> Result<Frame, String> {
    let payload = |name, kind, payload| Ok((name, ethernet(kind, payload).bytes));
    match link {
        Linktype::ETHERNET => Ok(("on Ethernet", bytes.to_vec())),
        Linktype::IPV4 => payload("without a link layer", ethertype::IPV4, bytes),
        Linktype::IPV6 => payload("without a link layer", ethertype::IPV6, bytes),
        raw if raw == Linktype::RAW || OLD_RAW.contains(&raw) => match bytes.first() {
            Some(first) if first >> 4 == 6 => {
                payload("without a link layer", ethertype::IPV6, bytes)
            }
            _ => payload("without a link layer", ethertype::IPV4, bytes),
        },
        // Its last two bytes are an EtherType.
        Linktype::LINUX_SLL => match bytes.split_first_chunk::<16>() {
            Some(([.., high, low], rest)) => {
                payload("Linux cooked", u16::from_be_bytes([*high, *low]), rest)
            }
            None => Err("a cut Linux cooked header".to_owned()),
        },
        // Most of it has an address and control field.
        PPP => {
            let session = Link {
                ppp: Some(Vec::new()),
                ..Link::default()
            };
            Ok(("PPP", session.arrival(0, bytes).bytes))
        }
        Linktype::NULL | Linktype::LOOP => match bytes.split_first_chunk::<4>() {
            Some((family, rest)) => match address_family(*family) {
                2 => payload("loopback", ethertype::IPV4, rest),
                // NetBSD and OpenBSD, FreeBSD, macOS.
                24 | 28 | 30 => payload("loopback", ethertype::IPV6, rest),
                other => Err(format!("loopback of address family {other}")),
            },
            None => Err("a cut loopback header".to_owned()),
        },
        other => Err(format!("link type {}", other.0)),
    }
}

/// In the byte order of whoever captured it. All of them are small.
fn address_family(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes).min(u32::from_be_bytes(bytes))
}
