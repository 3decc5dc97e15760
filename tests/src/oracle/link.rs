//! From the Ethernet header to the IP header.

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

/// RFC 2516. etherparse 0.21 knows no PPPoE.
const PPPOE_SESSION: EtherType = EtherType(0x8864);
/// Version, type, code, session, length.
const PPPOE_HEADER: usize = 6;
/// The address and control field of PPP in HDLC (RFC 1662).
const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];
/// So many zero bytes may a protocol number begin with.
const ZEROS: usize = 4;
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
    /// Too many zeros before the number of PPP's protocol; the session.
    TooManyZeros(&'a [u8]),
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

/// 802.1Q, 802.1ad, and the two numbers that the latter's tag had before.
/// Anything else that resembles a tag is no IP.
fn is_tag(kind: EtherType) -> bool {
    matches!(
        kind,
        EtherType::VLAN_TAGGED_FRAME
            | EtherType::PROVIDER_BRIDGING
            | EtherType::VLAN_DOUBLE_TAGGED_FRAME
            | EtherType(0x9200)
    )
}

/// The fields of the PPPoE header are not believed, its length is.
fn session(bytes: &[u8]) -> Payload<'_> {
    let ppp_header = bytes.get(PPPOE_HEADER..).unwrap_or_default();
    let field = ppp_header
        .strip_prefix(&ADDRESS_AND_CONTROL)
        .unwrap_or(ppp_header);
    // RFC 1661, section 6.5: zeros before a number change nothing about it. So
    // only one is left of several.
    let zeros = field.iter().take_while(|byte| **byte == 0).count();
    match &field[zeros.saturating_sub(1)..] {
        [] | [_] if zeros <= ZEROS => Payload::Truncated(bytes),
        _ if zeros > ZEROS => Payload::TooManyZeros(bytes),
        // RFC 1661, section 2: the last byte of a protocol number is odd, all
        // before it are even. So an odd first byte is a compressed number.
        [only, rest @ ..] if only % 2 == 1 => ppp(u16::from(*only), rest),
        [high, low, rest @ ..] => ppp(u16::from_be_bytes([*high, *low]), rest),
        _ => unreachable!("{zeros} zeros are too many"),
    }
}

fn ppp(protocol: u16, rest: &[u8]) -> Payload<'_> {
    match protocol {
        PPP_IPV4 => Payload::Ipv4(rest),
        PPP_IPV6 => Payload::Ipv6(rest),
        _ => Payload::Other,
    }
}
