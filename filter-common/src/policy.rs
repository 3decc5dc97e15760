//! What the tables say of a port and of an address.

use core::mem::offset_of;

use crate::counters::{NO_POOL, PORTS};

/// A transport protocol whose ports poolguard reads. All five keep the source
/// and destination ports in the first four bytes of their header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// RFC 9293.
    Tcp = 0,
    /// RFC 768.
    Udp = 1,
    /// RFC 9260.
    Sctp = 2,
    /// RFC 4340.
    Dccp = 3,
    /// RFC 3828.
    UdpLite = 4,
}

impl Protocol {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Tcp, Self::Udp, Self::Sctp, Self::Dccp, Self::UdpLite];

    /// The protocol with this IP protocol number, if it has ports.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            33 => Some(Self::Dccp),
            136 => Some(Self::UdpLite),
            _ => None,
        }
    }

    /// The IP protocol number that IANA assigned.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
            Self::Dccp => 33,
            Self::UdpLite => 136,
        }
    }

    /// The name that `/etc/protocols` and nft use, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Dccp => "dccp",
            Self::UdpLite => "udplite",
        }
    }
}

/// What a port number is to this configuration: 0 where nobody cares, else one
/// of up to 63 *classes* of ports that are forbidden somewhere or that mail is sent to.
/// All ports of a class are treated alike. A set of classes is a 64-bit mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortClass(pub u8);

/// The class of every port, by its number in host byte order.
pub type PortClasses = [u8; 1 << 16];

/// The counter slot of every port, by its number in host byte order: that of the port,
/// or of the range, as the configuration writes it. 0 for a port that nobody cares
/// about.
pub type PortSlots = [u8; 1 << 16];

const _: () = assert!(PORTS as usize - 1 <= u8::MAX as usize);

impl PortClass {
    /// Nobody cares about this port.
    pub const UNWATCHED: Self = Self(0);

    /// The highest class there can be.
    pub const MAX: u8 = 63;

    /// The mask that has this class alone.
    #[inline(always)]
    pub const fn bit(self) -> u64 {
        // The mask keeps a damaged table from overflowing the shift.
        1 << (self.0 & Self::MAX)
    }

    /// Whether `mask` contains this class.
    #[inline(always)]
    pub const fn is_in(self, mask: u64) -> bool {
        mask & self.bit() != 0
    }
}

/// What holds for every address of one kind: the same pool, the same exemptions.
///
/// A value of the program's policy table: no padding, host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Policy {
    /// The classes that the pool forbids, a mask for each [`Protocol`].
    pub forbidden: [u64; Protocol::COUNT],
    /// The classes among them that an exemption opens, in the same shape.
    pub exempt: [u64; Protocol::COUNT],
    /// The counter slot of the pool; [`NO_POOL`] for
    /// a mail server outside every pool.
    pub pool: u32,
    /// The `FLAG_` constants below.
    pub flags: u32,
}

/// The address is one of the provider's mail servers.
pub const FLAG_MAIL_SERVER: u32 = 1;
/// What would be dropped is counted and passed.
pub const FLAG_MONITOR: u32 = 2;
/// The customer may send mail past the provider's mail servers.
pub const FLAG_SMTP_OUT: u32 = 4;

/// The policy of an address that is in no pool and is no mail server.
pub static NO_POLICY: Policy = Policy {
    forbidden: [0; Protocol::COUNT],
    exempt: [0; Protocol::COUNT],
    pool: NO_POOL,
    flags: 0,
};

impl Policy {
    /// Whether any of `flags` is set.
    #[inline(always)]
    pub const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether the pool forbids this class of port for this protocol.
    #[inline(always)]
    pub fn forbids(&self, protocol: Protocol, class: PortClass) -> bool {
        class.is_in(self.forbidden[protocol as usize])
    }

    /// Whether an exemption opens this class of port for this protocol.
    #[inline(always)]
    pub fn exempts(&self, protocol: Protocol, class: PortClass) -> bool {
        class.is_in(self.exempt[protocol as usize])
    }
}

/// What happens to frames toward forbidden ports from 1024 up, which may be
/// the answer to a connection that the customer opened from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ReturnTraffic {
    /// The reverse of a flow recently seen leaving passes, all else is dropped.
    #[default]
    Track = 0,
    /// TCP segments that open a connection and UDP are dropped, all else passes.
    Syn = 1,
    /// Everything is dropped.
    Drop = 2,
}

impl ReturnTraffic {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Syn => "syn",
            Self::Drop => "drop",
        }
    }
}

/// What holds for the whole box: a constant of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// The classes of the ports that mail is sent to.
    pub mail_ports: u64,
    /// The classes of the ports from 1024 up, to which `return_traffic` applies.
    pub high_ports: u64,
    /// What happens there.
    pub return_traffic: ReturnTraffic,
    /// Whether rule 5 is off: customers may send mail directly.
    pub direct_smtp: bool,
    /// Whether rule 6 is off: answers to mail pass, whoever receives them.
    pub smtp_replies: bool,
    /// Whether the whole box only monitors.
    pub monitor: bool,
}

impl Settings {
    /// Before anybody has said what holds.
    pub const UNSET: Self = Self {
        mail_ports: 0,
        high_ports: 0,
        return_traffic: ReturnTraffic::Track,
        direct_smtp: false,
        smtp_replies: false,
        monitor: false,
    };

    /// As they lie in memory, with zeros between them.
    pub fn to_bytes(self) -> [u8; size_of::<Self>()] {
        let Self {
            mail_ports,
            high_ports,
            return_traffic,
            direct_smtp,
            smtp_replies,
            monitor,
        } = self;
        let mut bytes = [0; size_of::<Self>()];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(offset_of!(Self, mail_ports), &mail_ports.to_ne_bytes());
        put(offset_of!(Self, high_ports), &high_ports.to_ne_bytes());
        put(offset_of!(Self, return_traffic), &[return_traffic as u8]);
        put(offset_of!(Self, direct_smtp), &[direct_smtp.into()]);
        put(offset_of!(Self, smtp_replies), &[smtp_replies.into()]);
        put(offset_of!(Self, monitor), &[monitor.into()]);
        bytes
    }
}
