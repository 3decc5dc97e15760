//! IP datagrams.

use std::net::IpAddr;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6Header};
use filter_common::Protocol;

use super::{Arrival, Extension, Link, link::ethertype, transport};

/// An address and a port.
pub type Endpoint = (IpAddr, u16);

/// The options of the tests, IPv4: no operation (RFC 791, section 3.1). Read as
/// ports by mistake they are 257, which nobody forbids.
const NO_OPERATION: u8 = 1;

/// One datagram and the headers around it. Every method gives the datagram
/// back with one thing changed, and lengths stay honest unless it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    link: Link,
    options: Vec<u8>,
    fragment: (u16, bool),
    extensions: Vec<Extension>,
    protocol: u8,
    payload: Vec<u8>,
    claimed_length: Option<u16>,
    edits: Vec<(usize, u8)>,
    trailer: Vec<u8>,
}

/// A datagram of any protocol.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Datagram {
    Datagram {
        source,
        destination,
        link: Link::default(),
        options: Vec::new(),
        fragment: (0, false),
        extensions: Vec::new(),
        protocol,
        payload: payload.to_vec(),
        claimed_length: None,
        edits: Vec::new(),
        trailer: Vec::new(),
    }
}

/// The first packet of a conversation.
pub fn segment(protocol: Protocol, source: Endpoint, destination: Endpoint) -> Datagram {
    let payload = transport::segment(protocol, source.1, destination.1);
    ip(source.0, destination.0, protocol.number(), &payload)
}

/// A TCP segment that opens a connection.
pub fn tcp(source: Endpoint, destination: Endpoint) -> Datagram {
    segment(Protocol::Tcp, source, destination)
}

/// A UDP datagram.
pub fn udp(source: Endpoint, destination: Endpoint) -> Datagram {
    segment(Protocol::Udp, source, destination)
}

/// An SCTP packet.
pub fn sctp(source: Endpoint, destination: Endpoint) -> Datagram {
    segment(Protocol::Sctp, source, destination)
}

impl Datagram {
    /// With these TCP flags and no others.
    pub fn flags(mut self, flags: u8) -> Self {
        self.payload[13] = flags;
        self
    }

    /// IPv4: with so many bytes of options, a multiple of 4, all "no operation".
    pub fn options(self, length: usize) -> Self {
        self.options_of(&vec![NO_OPERATION; length])
    }

    /// IPv4: with exactly these options.
    pub fn options_of(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// A fragment: `offset` in units of 8 bytes, and whether more follow. In
    /// IPv6 that is one more extension header.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if self.source.is_ipv6() {
            return self.extension(Extension::Fragment(offset, more));
        }
        self.fragment = (offset, more);
        self
    }

    /// With one more extension header, after those that it has.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With several more.
    pub fn chain(mut self, extensions: impl IntoIterator<Item = Extension>) -> Self {
        self.extensions.extend(extensions);
        self
    }

    /// The transport header and what follows it cut down to `length` bytes.
    pub fn payload_of(mut self, length: usize) -> Self {
        self.payload.truncate(length);
        self
    }

    /// Another protocol number over the same bytes.
    pub fn protocol(mut self, number: u8) -> Self {
        self.protocol = number;
        self
    }

    /// A lie: the length field of the IP header says `length`, whatever is there.
    pub fn claiming(mut self, length: u16) -> Self {
        self.claimed_length = Some(length);
        self
    }

    /// A lie: the byte at `offset` of the IP header is `value`.
    pub fn edit(mut self, offset: usize, value: u8) -> Self {
        self.edits.push((offset, value));
        self
    }

    /// Ethernet padding: so many zero bytes after the end of the datagram.
    pub fn padded(self, length: usize) -> Self {
        self.followed_by(&vec![0; length])
    }

    /// These bytes after the end of the datagram.
    pub fn followed_by(mut self, trailer: &[u8]) -> Self {
        self.trailer = trailer.to_vec();
        self
    }

    /// In one more VLAN tag, inside those that it has: its kind, and its 16
    /// bits of control information.
    pub fn tag(mut self, kind: u16, control: u16) -> Self {
        self.link.tags.push((kind, control));
        self
    }

    /// In a PPPoE session.
    pub fn pppoe(self) -> Self {
        let protocol = if self.source.is_ipv6() { 0x57 } else { 0x21 };
        self.ppp(&[0, protocol])
    }

    /// In a PPPoE session in which PPP begins with this.
    pub fn ppp(mut self, header: &[u8]) -> Self {
        self.link.ppp = Some(header.to_vec());
        self
    }

    /// The length of the IP header and the extension headers.
    pub fn header_length(&self) -> usize {
        let fixed = if self.source.is_ipv6() { 40 } else { 20 };
        fixed + self.options.len() + self.chain_bytes().1.len()
    }

    /// The IP header and all that it carries, without the frame around it.
    pub fn ip_bytes(&self) -> Vec<u8> {
        let (first, chain) = self.chain_bytes();
        let mut bytes = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let options = Ipv4Options::try_from(&self.options[..]).unwrap();
                let length =
                    Ipv4Header::MIN_LEN + self.options.len() + chain.len() + self.payload.len();
                let mut header = Ipv4Header {
                    total_len: self.claimed_length.unwrap_or(length as u16),
                    identification: 0x7001,
                    more_fragments: self.fragment.1,
                    fragment_offset: IpFragOffset::try_new(self.fragment.0).unwrap(),
                    time_to_live: 64,
                    protocol: IpNumber(first),
                    source: source.octets(),
                    destination: destination.octets(),
                    options,
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = (chain.len() + self.payload.len()) as u16;
                let header = Ipv6Header {
                    payload_length: self.claimed_length.unwrap_or(length),
                    next_header: IpNumber(first),
                    hop_limit: 64,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                header.to_bytes().to_vec()
            }
            _ => panic!(
                "{} and {} are of two families",
                self.source, self.destination
            ),
        };
        for (offset, value) in &self.edits {
            bytes[*offset] = *value;
        }
        bytes.extend_from_slice(&chain);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The whole frame.
    pub fn arrival(&self) -> Arrival {
        let kind = if self.source.is_ipv6() {
            ethertype::IPV6
        } else {
            ethertype::IPV4
        };
        self.arrival_as(kind)
    }

    /// A lie: the whole frame, its link layer naming the wrong kind of content.
    pub fn arrival_as(&self, kind: u16) -> Arrival {
        let mut bytes = self.ip_bytes();
        bytes.extend_from_slice(&self.trailer);
        self.link.arrival(kind, &bytes)
    }

    /// The number of the first header after the IP header, and the chain.
    fn chain_bytes(&self) -> (u8, Vec<u8>) {
        let mut next = self.protocol;
        let mut chain = Vec::new();
        for extension in self.extensions.iter().rev() {
            let mut bytes = extension.to_bytes(next);
            bytes.append(&mut chain);
            chain = bytes;
            next = extension.number();
        }
        (next, chain)
    }
}
