//! From the first byte of a frame to its ports, or the reason why not.
//!
//! Ethernet II, up to two VLAN tags (IEEE 802.1Q), a PPPoE session (RFC 2516)
//! with PPP in every form that some receiver takes (RFC 1661, RFC 1662), IPv4
//! with options (RFC 791), IPv6 with extension headers (RFC 8200), and the five
//! protocols of [`Protocol`].
//!
//! Lengths in the frame are held against each other and against the frame: the
//! ports must lie inside the IP datagram, whatever follows it. The header of a
//! PPPoE session is believed in nothing, so that no value in it can keep a
//! datagram from being read.

mod plain;

pub use plain::plain;

use crate::{
    address::{Address, Family},
    frame::Frame,
    policy::Protocol,
    verdict::{DropReason, Uninspected},
};

/// The most VLAN tags that are read past.
pub const MAX_VLAN_TAGS: usize = 2;

/// The most zero bytes that a PPP protocol number may begin with. As everybody
/// writes the number of IP, it begins with one.
pub const MAX_PPP_ZEROS: usize = 4;

/// The most extension headers that are walked. RFC 8200, section 4.1, allows
/// for seven before the upper-layer header.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// The SYN bit of [`Packet::tcp_flags`].
pub const TCP_SYN: u8 = 0x02;
/// The ACK bit of [`Packet::tcp_flags`].
pub const TCP_ACK: u8 = 0x10;

const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
const PPPOE_HEADER: usize = 6;
const IPV4_HEADER: usize = 20;
/// More than any frame has: a length that says nothing.
const LONGEST_UNCUT: usize = 1 << 20;
const IPV6_HEADER: usize = 40;
/// Where the flags of a TCP header end.
const TCP_FLAGS_END: usize = 14;

/// As they lie in memory, in network byte order: most frames are told apart by them, and
/// turning what was read round would be work.
mod ethertype {
    pub(super) const IPV4: u16 = 0x0800_u16.to_be();
    pub(super) const IPV6: u16 = 0x86dd_u16.to_be();
    pub(super) const VLAN: u16 = 0x8100_u16.to_be();
    pub(super) const SERVICE_VLAN: u16 = 0x88a8_u16.to_be();
    /// What switches called the service tag before IEEE 802.1ad.
    pub(super) const OLD_SERVICE_VLANS: [u16; 2] = [0x9100_u16.to_be(), 0x9200_u16.to_be()];
    pub(super) const PPPOE_SESSION: u16 = 0x8864_u16.to_be();
}

mod ppp {
    /// RFC 1662, section 3.1.
    pub(super) const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];
    pub(super) const IPV4: u16 = 0x0021_u16.to_be();
    pub(super) const IPV6: u16 = 0x0057_u16.to_be();
}

mod header {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HIP: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// A packet whose ports were found. Most packets are decided by these alone, so
/// [`endpoints`](Self::endpoints) reads the addresses for those that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The IP version.
    pub family: Family,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The source port, host byte order.
    pub source_port: u16,
    /// The destination port, host byte order.
    pub destination_port: u16,
    /// The flags of a TCP header (its 14th byte); zero for other protocols.
    pub tcp_flags: u8,
    /// Where the IP header starts, in bytes from the start of the frame.
    pub ip_offset: u32,
}

/// Whom a packet is from and for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The source address.
    pub source: Address,
    /// The destination address.
    pub destination: Address,
}

impl Packet {
    /// The addresses in the IP header of the frame that the packet was found in: `None`
    /// for another frame, which has none there.
    #[inline(always)]
    pub fn endpoints<F: Frame + ?Sized>(&self, frame: &F) -> Option<Endpoints> {
        let at = frame.opaque(self.ip_offset as usize);
        Some(match self.family {
            Family::V4 => {
                let both = frame.bytes::<8>(at + 12)?;
                Endpoints {
                    source: Address::v4(field::<0, 4>(&both)),
                    destination: Address::v4(field::<4, 4>(&both)),
                }
            }
            Family::V6 => {
                let both = frame.bytes::<32>(at + 8)?;
                Endpoints {
                    source: Address::v6(field::<0, 16>(&both)),
                    destination: Address::v6(field::<16, 16>(&both)),
                }
            }
        })
    }
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A packet with ports.
    Packet(Packet),
    /// A frame that has no ports.
    Portless(Portless),
    /// A frame that ought to have ports and does not show them.
    Unreadable(Unreadable),
}

/// A frame that is passed for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portless {
    /// Why there are no ports.
    pub reason: Uninspected,
    /// Where the IP header starts; zero if there is none.
    pub ip_offset: u32,
    /// The source address, if it is IP.
    pub source: Option<Address>,
}

/// A frame that is dropped for what it does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why; never one of the port rules.
    pub reason: DropReason,
    /// Where the IP header starts or was looked for.
    pub ip_offset: u32,
    /// Source and destination, where they could be read.
    pub addresses: Option<(Address, Address)>,
}

impl Unreadable {
    /// A frame in which no IP header could be read where one should begin, at
    /// `ip_offset`.
    #[inline(always)]
    pub(crate) const fn at(ip_offset: u32) -> Self {
        Self {
            reason: DropReason::IpTruncated,
            ip_offset,
            addresses: None,
        }
    }
}

/// An IP header, and where what it carries begins and ends.
struct Datagram {
    ip_offset: usize,
    source: Address,
    destination: Address,
    /// The number of the next header.
    next: u8,
    /// Where the next header starts.
    at: usize,
    /// Where the datagram ends, by its own account.
    end: usize,
}

impl Datagram {
    #[inline(always)]
    fn unreadable(&self, reason: DropReason) -> Parsed {
        Parsed::Unreadable(Unreadable {
            reason,
            ip_offset: self.ip_offset as u32,
            addresses: Some((self.source, self.destination)),
        })
    }

    #[inline(always)]
    fn portless(&self, reason: Uninspected) -> Parsed {
        Parsed::Portless(Portless {
            reason,
            ip_offset: self.ip_offset as u32,
            source: Some(self.source),
        })
    }
}

/// Anything but IP.
const NOT_IP: Parsed = Parsed::Portless(Portless {
    reason: Uninspected::NotIp,
    ip_offset: 0,
    source: None,
});

#[inline(always)]
const fn broken(reason: DropReason, ip_offset: usize) -> Parsed {
    Parsed::Unreadable(Unreadable {
        reason,
        ip_offset: ip_offset as u32,
        addresses: None,
    })
}

/// Reads a frame.
#[inline(always)]
pub fn parse<F: Frame + ?Sized>(frame: &F) -> Parsed {
    let Some(kind) = frame.bytes::<2>(ETHERNET_HEADER - 2) else {
        return broken(DropReason::LinkTruncated, 0);
    };
    let mut kind = u16::from_ne_bytes(kind);
    let mut at = ETHERNET_HEADER;

    let mut tags = 0;
    while is_tag(kind) {
        if tags == MAX_VLAN_TAGS {
            return broken(DropReason::VlanDepth, at);
        }
        let Some([_, _, high, low]) = frame.bytes::<VLAN_TAG>(at) else {
            return broken(DropReason::LinkTruncated, at);
        };
        kind = u16::from_ne_bytes([high, low]);
        at += VLAN_TAG;
        tags += 1;
    }

    if kind == ethertype::PPPOE_SESSION {
        // To the verifier, PPP begins anywhere and ends anywhere: it would walk
        // all that follows for each form of PPP behind each stack of tags.
        let (protocol, start) = match ppp(frame, frame.opaque(at + PPPOE_HEADER)) {
            Ok(found) => found,
            Err(reason) => return broken(reason, at),
        };
        kind = match protocol {
            ppp::IPV4 => ethertype::IPV4,
            ppp::IPV6 => ethertype::IPV6,
            _ => return NOT_IP,
        };
        at = frame.opaque(start);
    }

    match kind {
        ethertype::IPV4 => ipv4(frame, at),
        // Several stacks of headers lead here, and the walk that follows is long.
        ethertype::IPV6 => ipv6(frame, frame.opaque(at)),
        _ => NOT_IP,
    }
}

/// IEEE 802.1Q and 802.1ad, and what came before the latter.
#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    let [old, other_old] = ethertype::OLD_SERVICE_VLANS;
    kind == ethertype::VLAN || kind == ethertype::SERVICE_VLAN || kind == old || kind == other_old
}

/// The PPP protocol number, in network byte order, and where what it names begins.
///
/// PPPoE has no address and control field (RFC 2516, section 6), and should have
/// the number in two bytes (section 7). Receivers take more than that, unasked:
/// FreeBSD's `ng_ppp` strips the field, once; it takes a number of one byte, and
/// so did Linux before 2026. The last byte of a number is odd, those before it are
/// even (RFC 1661, section 2), and zero bytes before it make no difference, as many
/// as there are (section 6.5).
///
/// A frame in which fewer than two bytes are left ends inside this header.
#[inline(always)]
fn ppp<F: Frame + ?Sized>(frame: &F, mut at: usize) -> Result<(u16, usize), DropReason> {
    let mut field = two_bytes(frame, at)?;
    if field == ppp::ADDRESS_AND_CONTROL {
        at += ppp::ADDRESS_AND_CONTROL.len();
        field = two_bytes(frame, at)?;
    }
    let mut zeros = 1;
    while field == [0, 0] {
        if zeros == MAX_PPP_ZEROS {
            return Err(DropReason::PppZeros);
        }
        zeros += 1;
        at += 1;
        field = two_bytes(frame, at)?;
    }
    Ok(match field {
        [only, _] if only & 1 == 1 => (u16::from_ne_bytes([0, only]), at + 1),
        both => (u16::from_ne_bytes(both), at + 2),
    })
}

/// Two bytes of a PPP header.
#[inline(always)]
fn two_bytes<F: Frame + ?Sized>(frame: &F, at: usize) -> Result<[u8; 2], DropReason> {
    match frame.bytes::<2>(at) {
        Some(bytes) => Ok(bytes),
        None => Err(DropReason::LinkTruncated),
    }
}

#[inline(always)]
fn ipv4<F: Frame + ?Sized>(frame: &F, at: usize) -> Parsed {
    let Some(header) = frame.bytes::<IPV4_HEADER>(at) else {
        return broken(DropReason::IpTruncated, at);
    };
    if header[0] >> 4 != 4 {
        return broken(DropReason::IpVersion, at);
    }
    let header_length = (header[0] & 0x0f) as usize * 4;
    let mut total_length = u16::from_be_bytes(field::<2, 2>(&header)) as usize;
    if total_length == 0 && frame.is_uncut() {
        total_length = LONGEST_UNCUT;
    }
    if header_length < IPV4_HEADER || total_length < header_length {
        return broken(DropReason::IpHeaderLength, at);
    }
    if header_length > IPV4_HEADER && frame.bytes::<1>(at + header_length - 1).is_none() {
        return broken(DropReason::IpTruncated, at);
    }
    let datagram = Datagram {
        ip_offset: at,
        source: Address::v4(field::<12, 4>(&header)),
        destination: Address::v4(field::<16, 4>(&header)),
        next: header[9],
        at: at + header_length,
        end: at + total_length,
    };
    let fragment_offset = u16::from_be_bytes(field::<6, 2>(&header)) & 0x1fff;
    if fragment_offset != 0 {
        return later_fragment(&datagram, fragment_offset);
    }
    upper_layer(frame, datagram, Family::V4)
}

#[inline(always)]
fn ipv6<F: Frame + ?Sized>(frame: &F, at: usize) -> Parsed {
    let Some(header) = frame.bytes::<IPV6_HEADER>(at) else {
        return broken(DropReason::IpTruncated, at);
    };
    if header[0] >> 4 != 6 {
        return broken(DropReason::IpVersion, at);
    }
    let payload_length = u16::from_be_bytes(field::<4, 2>(&header)) as usize;
    let next = header[6];
    let datagram = Datagram {
        ip_offset: at,
        source: Address::v6(field::<8, 16>(&header)),
        destination: Address::v6(field::<24, 16>(&header)),
        next,
        at: at + IPV6_HEADER,
        // A jumbogram (RFC 2675) gives its length in a hop-by-hop option. It is
        // read to the end of the frame: receivers that ignore the option do so.
        end: if payload_length == 0 && (next == header::HOP_BY_HOP || frame.is_uncut()) {
            usize::MAX
        } else {
            at + IPV6_HEADER + payload_length
        },
    };
    upper_layer(frame, datagram, Family::V6)
}

/// The `N` bytes of a header at offset `AT`, in one piece: byte by byte the
/// compiler would load each by itself and put them together again.
#[inline(always)]
fn field<const AT: usize, const N: usize>(header: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[AT..AT + N]);
    field
}

/// A fragment that is not the first one: it carries no ports, and is useless
/// without the first one, which is judged. `offset` is in units of 8 bytes.
///
/// RFC 1858, section 3: at offset 1 a TCP fragment could overwrite the flags
/// that the first one was judged by.
#[inline(always)]
fn later_fragment(datagram: &Datagram, offset: u16) -> Parsed {
    if offset == 1 && datagram.next == Protocol::Tcp.number() {
        return datagram.unreadable(DropReason::TcpFragment);
    }
    datagram.portless(Uninspected::Fragment)
}

/// Walks the extension headers up to the ports.
///
/// IPv4 knows one of them, the authentication header (RFC 4302); the other
/// numbers are protocols without ports there.
#[inline(always)]
fn upper_layer<F: Frame + ?Sized>(frame: &F, mut datagram: Datagram, family: Family) -> Parsed {
    for walked in 0..=MAX_EXTENSION_HEADERS {
        if let Some(protocol) = Protocol::from_number(datagram.next) {
            return ports(frame, &datagram, protocol);
        }
        if !is_extension(datagram.next, family) {
            return datagram.portless(Uninspected::NoPorts);
        }
        if walked == MAX_EXTENSION_HEADERS {
            break;
        }
        let Some(header) = frame.bytes::<8>(datagram.at) else {
            return datagram.unreadable(DropReason::ChainTruncated);
        };
        let length = extension_length(datagram.next, header[1]);
        let is_fragment = datagram.next == header::FRAGMENT;
        datagram.next = header[0];
        datagram.at += length;
        if datagram.at > datagram.end || frame.bytes::<1>(datagram.at - 1).is_none() {
            return datagram.unreadable(DropReason::ChainTruncated);
        }
        if is_fragment {
            let offset = u16::from_be_bytes([header[2], header[3]]) >> 3;
            if offset != 0 {
                return later_fragment(&datagram, offset);
            }
        }
    }
    datagram.unreadable(DropReason::ChainTooLong)
}

#[inline(always)]
const fn is_extension(next: u8, family: Family) -> bool {
    match (family, next) {
        (_, header::AUTHENTICATION) => true,
        (Family::V4, _) => false,
        (
            Family::V6,
            header::HOP_BY_HOP
            | header::ROUTING
            | header::FRAGMENT
            | header::DESTINATION
            | header::MOBILITY
            | header::HIP
            | header::SHIM6,
        ) => true,
        (Family::V6, _) => false,
    }
}

/// The whole length of an extension header in bytes, by its length field.
#[inline(always)]
const fn extension_length(kind: u8, field: u8) -> usize {
    match kind {
        // RFC 4302, section 2.2: in 4-byte units, minus 2.
        header::AUTHENTICATION => (field as usize + 2) * 4,
        // RFC 8200, section 4.5: the field is reserved.
        header::FRAGMENT => 8,
        // RFC 8200, section 4.3: in 8-byte units, not including the first 8 bytes.
        _ => (field as usize + 1) * 8,
    }
}

#[inline(always)]
fn ports<F: Frame + ?Sized>(frame: &F, datagram: &Datagram, protocol: Protocol) -> Parsed {
    let is_tcp = matches!(protocol, Protocol::Tcp);
    let needed = if is_tcp { TCP_FLAGS_END } else { 4 };
    if datagram.at + needed > datagram.end {
        return datagram.unreadable(DropReason::PortsTruncated);
    }
    let Some([source_high, source_low, high, low]) = frame.bytes::<4>(datagram.at) else {
        return datagram.unreadable(DropReason::PortsTruncated);
    };
    let tcp_flags = if is_tcp {
        let Some([flags]) = frame.bytes::<1>(datagram.at + TCP_FLAGS_END - 1) else {
            return datagram.unreadable(DropReason::PortsTruncated);
        };
        flags
    } else {
        0
    };
    Parsed::Packet(Packet {
        family: datagram.source.family,
        protocol,
        source_port: u16::from_be_bytes([source_high, source_low]),
        destination_port: u16::from_be_bytes([high, low]),
        tcp_flags,
        ip_offset: datagram.ip_offset as u32,
    })
}
