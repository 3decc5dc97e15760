//! The packet on the command line, and the frame that it stands for.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, TcpHeader};
use filter_common::{
    Protocol,
    parse::{TCP_ACK, TCP_SYN},
};
use thiserror::Error;

/// What carries the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A protocol with ports.
    Ports(Protocol),
    /// ICMP or ICMPv6, by the family of the addresses.
    Icmp,
    /// Any other IP protocol, by its number.
    Other(u8),
}

impl Transport {
    /// The protocol whose ports are read, if it is one of them.
    pub const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Ports(protocol) => Some(protocol),
            Self::Icmp | Self::Other(_) => None,
        }
    }

    fn number(self, is_v4: bool) -> u8 {
        match self {
            Self::Ports(protocol) => protocol.number(),
            Self::Icmp if is_v4 => 1,
            Self::Icmp => 58,
            Self::Other(number) => number,
        }
    }
}

impl FromStr for Transport {
    type Err = BadPacket;

    fn from_str(text: &str) -> Result<Self, BadPacket> {
        if let Some(protocol) = Protocol::ALL.into_iter().find(|p| p.name() == text) {
            return Ok(Self::Ports(protocol));
        }
        if matches!(text, "icmp" | "icmpv6" | "icmp6") {
            return Ok(Self::Icmp);
        }
        let number: u8 = text.parse().map_err(|_| BadPacket::UnknownProtocol {
            text: text.to_owned(),
        })?;
        Ok(Protocol::from_number(number).map_or(Self::Other(number), Self::Ports))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(protocol) => f.write_str(protocol.name()),
            Self::Icmp => f.write_str("icmp"),
            Self::Other(number) => write!(f, "protocol {number}"),
        }
    }
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What carries it.
    pub transport: Transport,
    /// Where it comes from.
    pub source: IpAddr,
    /// 0 where there are no ports.
    pub source_port: u16,
    /// Where it is headed.
    pub destination: IpAddr,
    /// 0 where there are no ports.
    pub destination_port: u16,
    /// The flags of a TCP header.
    pub tcp_flags: u8,
}

/// Why there is no such packet.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadPacket {
    /// Not a protocol.
    #[error(
        "{text:?} is no protocol: use tcp, udp, sctp, dccp, udplite, icmp or an IP protocol number"
    )]
    UnknownProtocol {
        /// As it was written.
        text: String,
    },
    /// Not an address with a port.
    #[error("{text:?}: write an address with a port, like 203.0.113.9:25 or [2001:db8::9]:25")]
    NoPort {
        /// As it was written.
        text: String,
    },
    /// Not an address.
    #[error("{text:?}: write an address without a port, {transport} has none")]
    NoAddress {
        /// As it was written.
        text: String,
        /// What carries the packet.
        transport: String,
    },
    /// Not a list of TCP flags.
    #[error(
        "{text:?} is no TCP flag: use fin, syn, rst, psh, ack, urg, separated by commas, or none"
    )]
    UnknownFlag {
        /// As it was written.
        text: String,
    },
    /// IPv4 to IPv6, or the other way round.
    #[error("{packet}: one address is IPv4, the other IPv6")]
    MixedFamilies {
        /// The packet.
        packet: String,
    },
    /// The interface is not filtered on.
    #[error("interface {name} is not in the configuration; it has {}", known.join(", "))]
    UnknownInterface {
        /// As it was written.
        name: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// The library cannot build the frame.
    #[error("cannot build the frame: {reason}")]
    Unbuildable {
        /// What it says.
        reason: String,
    },
}

const FLAGS: [(&str, u8); 6] = [
    ("fin", 0x01),
    ("syn", TCP_SYN),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", TCP_ACK),
    ("urg", 0x20),
];

impl Packet {
    /// Reads a packet as the command line gives it.
    ///
    /// # Errors
    ///
    /// When one of the words is not what it should be.
    pub fn parse(
        transport: &str,
        source: &str,
        destination: &str,
        flags: &str,
    ) -> Result<Self, BadPacket> {
        let transport: Transport = transport.parse()?;
        let end = |text: &str| match transport.protocol() {
            Some(_) => text
                .parse::<SocketAddr>()
                .map(|end| (end.ip(), end.port()))
                .map_err(|_| BadPacket::NoPort {
                    text: text.to_owned(),
                }),
            None => text
                .parse::<IpAddr>()
                .map(|address| (address, 0))
                .map_err(|_| BadPacket::NoAddress {
                    text: text.to_owned(),
                    transport: transport.to_string(),
                }),
        };
        let (source, source_port) = end(source)?;
        let (destination, destination_port) = end(destination)?;
        let is_tcp = transport == Transport::Ports(Protocol::Tcp);
        let packet = Self {
            transport,
            source,
            source_port,
            destination,
            destination_port,
            tcp_flags: if is_tcp { tcp_flags(flags)? } else { 0 },
        };
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(BadPacket::MixedFamilies {
                packet: packet.to_string(),
            });
        }
        Ok(packet)
    }

    /// The packet in an Ethernet frame.
    ///
    /// # Errors
    ///
    /// When the addresses are of different families.
    pub fn frame(&self) -> Result<Vec<u8>, BadPacket> {
        let unbuildable = |reason: String| BadPacket::Unbuildable { reason };
        let payload = self.payload();
        let number = IpNumber(self.transport.number(self.source.is_ipv4()));
        let (kind, header) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = payload.len() as u16;
                let header =
                    Ipv4Header::new(length, 64, number, source.octets(), destination.octets())
                        .map_err(|error| unbuildable(error.to_string()))?;
                (EtherType::IPV4, header.to_bytes().to_vec())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    payload_length: payload.len() as u16,
                    next_header: number,
                    hop_limit: 64,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                (EtherType::IPV6, header.to_bytes().to_vec())
            }
            _ => {
                return Err(BadPacket::MixedFamilies {
                    packet: self.to_string(),
                });
            }
        };
        let ethernet = Ethernet2Header {
            ether_type: kind,
            ..Ethernet2Header::default()
        };
        Ok([ethernet.to_bytes().to_vec(), header, payload].concat())
    }

    fn payload(&self) -> Vec<u8> {
        match self.transport {
            Transport::Ports(Protocol::Tcp) => {
                let mut header = TcpHeader::new(self.source_port, self.destination_port, 0, 64_240);
                header.syn = self.tcp_flags & TCP_SYN != 0;
                let mut bytes = header.to_bytes().to_vec();
                bytes[13] = self.tcp_flags;
                bytes
            }
            // The other four begin with the two ports; nothing after them is read.
            Transport::Ports(_) => {
                let mut bytes = self.source_port.to_be_bytes().to_vec();
                bytes.extend(self.destination_port.to_be_bytes());
                bytes.extend([0; 8]);
                bytes
            }
            Transport::Icmp | Transport::Other(_) => vec![0; 8],
        }
    }
}

fn tcp_flags(text: &str) -> Result<u8, BadPacket> {
    if text == "none" {
        return Ok(0);
    }
    text.split(',').try_fold(0, |flags, name| {
        let known = FLAGS.iter().find(|(known, _)| *known == name.trim());
        known
            .map(|(_, bit)| flags | bit)
            .ok_or_else(|| BadPacket::UnknownFlag {
                text: name.to_owned(),
            })
    })
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport.protocol().is_none() {
            return write!(
                f,
                "{} {} -> {}",
                self.transport, self.source, self.destination
            );
        }
        let source = SocketAddr::new(self.source, self.source_port);
        let destination = SocketAddr::new(self.destination, self.destination_port);
        write!(f, "{} {source} -> {destination}", self.transport)?;
        if self.transport == Transport::Ports(Protocol::Tcp) {
            let set = FLAGS.iter().filter(|(_, bit)| self.tcp_flags & bit != 0);
            let names: Vec<_> = set.map(|(name, _)| *name).collect();
            write!(f, " [{}]", names.join(","))?;
        }
        Ok(())
    }
}
