//! What can become of a frame, and why.

use crate::{counters::NO_POOL, policy::Protocol};

/// The verdict on one frame.
///
/// Plain fields rather than an enum with payloads: every byte of it is written
/// on every path, which the kernel's verifier asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What decided, and which way.
    pub outcome: Outcome,
    /// Why the frame was dropped or would have been; `None` for other outcomes.
    pub reason: Option<DropReason>,
    /// The counter slot of the pool that the outcome concerns: the
    /// destination's, or for rule 5 the sender's. [`NO_POOL`] where none does,
    /// and for rule 7.
    pub pool: u32,
    /// The counter slot of the pool of a customer whose mail rule 5 would have
    /// stopped, had no exemption let it past; [`NO_POOL`] otherwise. The rules
    /// for inbound traffic came after it.
    pub smtp_exempted: u32,
    /// The counter slot of the port that the outcome is about: of the source port for rule
    /// 6, of the destination port otherwise. 0 where nobody watches it, or none was read.
    pub port: u32,
    /// The protocol of that port; TCP where no port was read.
    pub protocol: Protocol,
    /// Where the IP header starts or was looked for, in bytes from the start of
    /// the frame. Dropped bytes count from here.
    pub ip_offset: u32,
}

impl Verdict {
    /// Before anything was looked at: what is not known yet, or never will be, is
    /// as it is here.
    pub const BLANK: Self = Self {
        outcome: Outcome::Unwatched,
        reason: None,
        pool: NO_POOL,
        smtp_exempted: NO_POOL,
        port: 0,
        protocol: Protocol::Tcp,
        ip_offset: 0,
    };

    /// Whether the frame goes on.
    #[inline(always)]
    pub const fn passes(&self) -> bool {
        !matches!(self.outcome, Outcome::Drop)
    }
}

/// What decided, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Passed: not IP.
    NotIp,
    /// Passed: a fragment other than the first one of its datagram.
    Fragment,
    /// Passed: an IP protocol without ports.
    NoPorts,
    /// Passed: nobody forbids the destination port anywhere, and no mail is sent from
    /// the source port.
    Unwatched,
    /// Passed: a port is watched, but not forbidden between these two addresses.
    Allowed,
    /// Passed: mail to or from one of the provider's mail servers.
    MailServer,
    /// Passed: rule 3 or 4 matched and an exemption let it past.
    Exempted,
    /// Passed: the answer to a flow that the customer opened.
    Return,
    /// Passed because of monitor mode; dropped otherwise.
    WouldDrop,
    /// Dropped.
    Drop,
}

impl Outcome {
    /// Its name in machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::Fragment => "fragment",
            Self::NoPorts => "no_ports",
            Self::Unwatched => "unwatched",
            Self::Allowed => "allowed",
            Self::MailServer => "mail_server",
            Self::Exempted => "exempted",
            Self::Return => "return",
            Self::WouldDrop => "would_drop",
            Self::Drop => "drop",
        }
    }

    /// What becomes of a frame without a port to look at: it passes.
    #[inline(always)]
    pub(crate) const fn of_uninspected(reason: Uninspected) -> Self {
        match reason {
            Uninspected::NotIp => Self::NotIp,
            Uninspected::Fragment => Self::Fragment,
            Uninspected::NoPorts => Self::NoPorts,
        }
    }
}

/// Why a frame without ports was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Uninspected {
    /// ARP, LLDP, PPPoE discovery, PPP control protocols: anything but IP.
    NotIp = 0,
    /// A fragment other than the first one of its datagram.
    Fragment = 1,
    /// ICMP, ICMPv6, ESP, GRE, a tunnel: an IP protocol without ports.
    NoPorts = 2,
}

impl Uninspected {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::NotIp, Self::Fragment, Self::NoPorts];

    /// The value of the label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::Fragment => "fragment",
            Self::NoPorts => "no_ports",
        }
    }
}

/// The rules as the metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rule {
    /// Rules 1 to 4: a forbidden port of a customer.
    InboundPort = 0,
    /// Rule 5: mail past the provider's mail servers.
    SmtpOut = 1,
    /// A header that no receiver accepts.
    Malformed = 2,
    /// A frame that keeps its ports from being read.
    HiddenPorts = 3,
    /// Rule 6: an answer to mail that its receiver may not have sent.
    SmtpReply = 4,
    /// Rule 7: a source address that is in no pool.
    Source = 5,
}

impl Rule {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; Self::COUNT] = [
        Self::InboundPort,
        Self::SmtpOut,
        Self::Malformed,
        Self::HiddenPorts,
        Self::SmtpReply,
        Self::Source,
    ];

    /// Whether it can deny frames that concern a pool, or else frames that concern
    /// none.
    pub const fn can_deny(self, of_a_pool: bool) -> bool {
        match self {
            // They protect the address that they look at, which is in a pool.
            Self::InboundPort | Self::SmtpReply => of_a_pool,
            // The address cannot be read, or is in no pool.
            Self::Malformed | Self::Source => !of_a_pool,
            Self::SmtpOut | Self::HiddenPorts => true,
        }
    }

    /// The value of the label `rule`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InboundPort => "inbound_port",
            Self::SmtpOut => "smtp_out",
            Self::Malformed => "malformed",
            Self::HiddenPorts => "hidden_ports",
            Self::SmtpReply => "smtp_reply",
            Self::Source => "source",
        }
    }
}

/// Why a frame is dropped, to the last detail that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// Rules 1 to 4.
    InboundPort = 0,
    /// Rule 5.
    SmtpOut = 1,
    /// The frame ends inside its Ethernet, VLAN, PPPoE or PPP header.
    LinkTruncated = 2,
    /// The version in the IP header is not the one that the link layer names.
    IpVersion = 3,
    /// IHL below 5, or a total length that does not cover the header (RFC 791).
    IpHeaderLength = 4,
    /// The frame ends inside the IP header.
    IpTruncated = 5,
    /// A first fragment or whole datagram that ends before its ports, or for
    /// TCP before its flags (RFC 1858).
    PortsTruncated = 6,
    /// A TCP fragment at offset 8, which can overwrite the flags (RFC 1858).
    TcpFragment = 7,
    /// A chain of extension headers that the datagram cuts short (RFC 7112).
    ChainTruncated = 8,
    /// More extension headers than the program walks.
    ChainTooLong = 9,
    /// More than two VLAN tags.
    VlanDepth = 10,
    /// More zero bytes before a PPP protocol number than the program reads past.
    PppZeros = 11,
    /// Rule 6.
    SmtpReply = 12,
    /// Rule 7.
    Source = 13,
}

impl DropReason {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 14] = [
        Self::InboundPort,
        Self::SmtpOut,
        Self::LinkTruncated,
        Self::IpVersion,
        Self::IpHeaderLength,
        Self::IpTruncated,
        Self::PortsTruncated,
        Self::TcpFragment,
        Self::ChainTruncated,
        Self::ChainTooLong,
        Self::VlanDepth,
        Self::PppZeros,
        Self::SmtpReply,
        Self::Source,
    ];

    /// Whether more bytes could have led to another verdict.
    #[inline(always)]
    pub const fn is_cut_short(self) -> bool {
        matches!(
            self,
            Self::LinkTruncated | Self::IpTruncated | Self::PortsTruncated | Self::ChainTruncated
        )
    }

    /// The rule that it is counted under.
    #[inline(always)]
    pub const fn rule(self) -> Rule {
        match self {
            Self::InboundPort => Rule::InboundPort,
            Self::SmtpOut => Rule::SmtpOut,
            Self::LinkTruncated | Self::IpVersion | Self::IpHeaderLength | Self::IpTruncated => {
                Rule::Malformed
            }
            Self::PortsTruncated
            | Self::TcpFragment
            | Self::ChainTruncated
            | Self::ChainTooLong
            | Self::VlanDepth
            | Self::PppZeros => Rule::HiddenPorts,
            Self::SmtpReply => Rule::SmtpReply,
            Self::Source => Rule::Source,
        }
    }

    /// The value of the label `reason`.
    pub const fn name(self) -> &'static str {
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
}
