//! What nft cannot see, and must therefore let past.

use etherparse::{Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6HeaderSlice, SingleVlanHeaderSlice};

use crate::oracle::{
    Reading, read,
    reading::{Cause, Content},
};

/// Why nft's answer can be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blindness {
    /// The kernel takes one VLAN tag off before nft sees a frame. What is behind
    /// a second one, or behind one of an old kind, which is no tag to the kernel's
    /// `eth_type_vlan`, or in a PPPoE session, is no IP to it.
    Link,
    /// A broken IP header (the kernel's `nft_set_pktinfo_ipv4_validate` and its
    /// like): nft knows no transport header, and its rules do not match.
    Header,
    /// The same for a length that goes beyond the frame, where poolguard judges
    /// the ports that are there.
    Length,
    /// Mobility, HIP and Shim6 headers are upper layers to the kernel's
    /// `ipv6_find_hdr`; so is AH, which nft asks it not to pass.
    Extension,
    /// What poolguard drops because it shows no ports, or could change them
    /// later; nft matches what it finds, if it finds anything.
    Hidden,
}

/// Whether nft sees enough of a frame, and if not, why.
pub fn blindness(frame: &[u8]) -> Option<Blindness> {
    let reading = read(frame);
    let (at, content) = match &reading {
        // Not even poolguard sees more.
        Reading::NotIp => return None,
        Reading::Unreadable(Cause::VlanDepth | Cause::PppZeros | Cause::LinkTruncated, _) => {
            return Some(Blindness::Link);
        }
        Reading::Unreadable(..) => return Some(Blindness::Header),
        Reading::Datagram(datagram) => (datagram.at, &datagram.content),
    };
    if link_header(frame) != Some(at) {
        return Some(Blindness::Link);
    }
    let datagram = &frame[at..];
    if datagram.len() < claimed_length(datagram) {
        return Some(Blindness::Length);
    }
    if has_unknown_extension(datagram) {
        return Some(Blindness::Extension);
    }
    matches!(content, Content::Hidden(_)).then_some(Blindness::Hidden)
}

/// The length of an Ethernet header with at most one VLAN tag.
fn link_header(frame: &[u8]) -> Option<usize> {
    let header = Ethernet2HeaderSlice::from_slice(frame).ok()?;
    let (kind, rest) = (header.ether_type().0, &frame[14..]);
    let (kind, length) = match kind {
        0x8100 | 0x88a8 => (
            SingleVlanHeaderSlice::from_slice(rest).ok()?.ether_type().0,
            18,
        ),
        _ => (kind, 14),
    };
    matches!(kind, 0x0800 | 0x86dd).then_some(length)
}

/// How long a datagram says that it is.
fn claimed_length(datagram: &[u8]) -> usize {
    match (
        Ipv4HeaderSlice::from_slice(datagram),
        Ipv6HeaderSlice::from_slice(datagram),
    ) {
        (Ok(header), _) => header.total_len().into(),
        (_, Ok(header)) => 40 + usize::from(header.payload_length()),
        _ => 0,
    }
}

/// Whether there is an extension header that the kernel does not walk past.
fn has_unknown_extension(datagram: &[u8]) -> bool {
    if let Ok(header) = Ipv4HeaderSlice::from_slice(datagram) {
        return header.protocol().0 == 51;
    }
    let (mut number, mut at) = (datagram[6], 40);
    while let Some([next, length]) = datagram.get(at..at + 2) {
        at += match number {
            0 | 43 | 60 => 8 + 8 * usize::from(*length),
            44 => 8,
            other => return matches!(other, 51 | 135 | 139 | 140),
        };
        number = *next;
    }
    matches!(number, 51 | 135 | 139 | 140)
}
