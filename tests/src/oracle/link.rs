//! From the Ethernet header to the IP header.

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

/// RFC 2516. etherparse 0.21 knows no PPPoE.
const PPPOE_SESSION: EtherType = EtherType(0x8864);
/// Version, type, code, session, length.
const PPPOE_HEADER: usize = 6;
/// The protocol numbers of PPP for IP (RFC 1332, RFC 5072).
const PPP_IPV4: u16 = 0x21;
const PPP_IPV6: u16 = 0x57;

/// What a frame carries.
pub(super) enum Payload<'a> {
    /// What should be IPv4.
    Ipv4(&'a [u8]),
    /// What should be IPv6.
    Ipv6(&'a [u8]),
    /// Anything else.
    Other,
    /// The frame ends before that can be said, in the header that starts here.
    Truncated(&'a [u8]),
    /// A third VLAN tag; what follows the second one.
    TooManyTags(&'a [u8]),
}

/// Looks through Ethernet, at most two VLAN tags and a PPPoE session.
pub(super) fn read(frame: &[u8]) -> Payload<'_> {
    let Ok(ethernet) = Ethernet2HeaderSlice::from_slice(frame) else {
        return Payload::Truncated(frame);
    };
    let mut kind = ethernet.ether_type();
    let mut rest = &frame[ethernet.slice().len()..];
    for _ in 0..2 {
        if !is_tag(kind) {
            break;
        }
        let Ok(tag) = SingleVlanHeaderSlice::from_slice(rest) else {
            return Payload::Truncated(rest);
        };
        kind = tag.ether_type();
        rest = &rest[tag.slice().len()..];
    }
    match kind {
        tag if is_tag(tag) => Payload::TooManyTags(rest),
        EtherType::IPV4 => Payload::Ipv4(rest),
        EtherType::IPV6 => Payload::Ipv6(rest),
        PPPOE_SESSION => session(rest),
        _ => Payload::Other,
    }
}

/// 802.1Q and 802.1ad. Anything else that resembles a tag is no IP.
fn is_tag(kind: EtherType) -> bool {
    matches!(
        kind,
        EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING
    )
}

/// The fields of the PPPoE header are not believed, its length is.
fn session(bytes: &[u8]) -> Payload<'_> {
    match bytes.get(PPPOE_HEADER..) {
        // RFC 1661, section 2: the last byte of a protocol number is odd, all
        // before it are even. So an odd first byte is a compressed number.
        Some([only, rest @ ..]) if only % 2 == 1 => ppp(u16::from(*only), rest),
        Some([high, low, rest @ ..]) => ppp(u16::from_be_bytes([*high, *low]), rest),
        _ => Payload::Truncated(bytes),
    }
}

fn ppp(protocol: u16, rest: &[u8]) -> Payload<'_> {
    match protocol {
        PPP_IPV4 => Payload::Ipv4(rest),
        PPP_IPV6 => Payload::Ipv6(rest),
        _ => Payload::Other,
    }
}
