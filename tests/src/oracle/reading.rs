//! What there is to know about a frame before anyone asks who may have it.

use std::net::IpAddr;

use super::{link, network};

/// A frame, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Something other than IP.
    NotIp,
    /// No addresses can be read, for this cause; the IP header starts or would
    /// have started here.
    Unreadable(Cause, usize),
    /// An IP datagram.
    Datagram(Datagram),
}

/// An IP datagram whose header could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where its header starts, in bytes from the start of the frame.
    pub at: usize,
    /// Who says that it sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// What it carries.
    pub content: Content,
}

/// What is in a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The ports are hidden, for this cause.
    Hidden(Cause),
    /// A later fragment.
    LaterFragment,
    /// A protocol without ports.
    Portless,
    /// Ports.
    Segment(Segment),
}

/// The start of a transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which one.
    pub transport: Transport,
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// TCP with SYN and without ACK.
    pub opens_connection: bool,
}

/// The transport protocols with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 4340.
    Dccp,
    /// RFC 9260.
    Sctp,
    /// RFC 3828.
    UdpLite,
}

impl Transport {
    /// By the number that IANA assigned.
    pub fn of(number: u8) -> Option<Self> {
        Some(match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            132 => Self::Sctp,
            136 => Self::UdpLite,
            _ => return None,
        })
    }

    /// As configurations and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Dccp => "dccp",
            Self::Sctp => "sctp",
            Self::UdpLite => "udplite",
        }
    }
}

/// Why a frame is not let past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Rules 1 to 4.
    InboundPort,
    /// Rule 5.
    SmtpOut,
    /// The frame ends before IP begins.
    LinkTruncated,
    /// The wrong version of IP.
    IpVersion,
    /// A header length or total length that cannot be.
    IpHeaderLength,
    /// The frame ends inside the IP header.
    IpTruncated,
    /// Too short for its ports, or TCP flags.
    PortsTruncated,
    /// A TCP fragment that could overwrite the flags.
    TcpFragment,
    /// A chain of extension headers that ends early.
    ChainTruncated,
    /// A chain of more extension headers than are walked.
    ChainTooLong,
    /// More than two VLAN tags.
    VlanDepth,
    /// A PPP protocol number with too many zeros before it.
    PppZeros,
    /// Rule 6.
    SmtpReply,
    /// Rule 7.
    Source,
}

impl Cause {
    /// The label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InboundPort => "inbound_port",
            Self::SmtpOut => "smtp_out",
            Self::LinkTruncated => "link_truncated",
            Self::IpVersion => "ip_version",
            Self::IpHeaderLength => "ip_header_length",
            Self::IpTruncated => "ip_truncated",
            Self::PortsTruncated => "ports_truncated",
            Self::TcpFragment => "tcp_fragment",
            Self::ChainTruncated => "chain_truncated",
            Self::ChainTooLong => "chain_too_long",
            Self::VlanDepth => "vlan_depth",
            Self::PppZeros => "ppp_zeros",
            Self::SmtpReply => "smtp_reply",
            Self::Source => "source",
        }
    }

    /// The label `rule`.
    pub fn rule(self) -> &'static str {
        match self {
            Self::InboundPort => "inbound_port",
            Self::SmtpOut => "smtp_out",
            Self::SmtpReply => "smtp_reply",
            Self::Source => "source",
            Self::LinkTruncated | Self::IpVersion | Self::IpHeaderLength | Self::IpTruncated => {
                "malformed"
            }
            Self::PortsTruncated
            | Self::TcpFragment
            | Self::ChainTruncated
            | Self::ChainTooLong
            | Self::VlanDepth
            | Self::PppZeros => "hidden_ports",
        }
    }
}

/// Reads a frame.
pub fn read(frame: &[u8]) -> Reading {
    use link::Payload;
    match link::read(frame) {
        Payload::Ipv4(bytes) => network::ipv4(bytes, frame.len() - bytes.len()),
        Payload::Ipv6(bytes) => network::ipv6(bytes, frame.len() - bytes.len()),
        Payload::Other => Reading::NotIp,
        // The rules count bytes from the IP header on, of which there are none.
        // The project counts from the header that cannot be read.
        Payload::Truncated(rest) => {
            Reading::Unreadable(Cause::LinkTruncated, frame.len() - rest.len())
        }
        // IP would have begun behind the second tag.
        Payload::TooManyTags(rest) => {
            Reading::Unreadable(Cause::VlanDepth, frame.len() - rest.len())
        }
        Payload::TooManyZeros(session) => {
            Reading::Unreadable(Cause::PppZeros, frame.len() - session.len())
        }
    }
}
