//! The frames that are decided, and what varies in them.

use std::net::IpAddr;

use filter_common::{Family, Role};
use poolguard_tests::frames::{
    Arrival, Extension, flags,
    link::ethertype::{SERVICE_VLAN, VLAN},
    tcp,
};

use super::{
    customers::{EXEMPTED, FAMILIES, Layout, address},
    spec::{Customers, Spec},
};

/// How many customers have opened a flow whose answers are [`Kind::Return`].
pub const REMEMBERED: u32 = 8192;

/// What there is to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A port that nobody forbids.
    Unwatched,
    /// A forbidden port.
    Dropped,
    /// A forbidden port, and the customer has an exemption.
    Exempted,
    /// Rule 5: mail from a customer to the Internet.
    SmtpOut,
    /// Rule 6: what a mail server elsewhere answers to a customer.
    SmtpReply,
    /// A forbidden port behind three IPv6 extension headers.
    ExtensionHeaders,
    /// A forbidden port in two VLAN tags and a PPPoE session.
    QinqPppoe,
    /// A forbidden port from 1024 up, and the customer has opened no such flow.
    Unsolicited,
    /// The same, and the customer has.
    Return,
    /// Random sources, all forbidden ports, the whole pool: a scan.
    Flood,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Unwatched,
        Self::Dropped,
        Self::Exempted,
        Self::SmtpOut,
        Self::SmtpReply,
        Self::ExtensionHeaders,
        Self::QinqPppoe,
        Self::Unsolicited,
        Self::Return,
        Self::Flood,
    ];

    /// Its name in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unwatched => "unwatched",
            Self::Dropped => "dropped",
            Self::Exempted => "exempted",
            Self::SmtpOut => "smtp_out",
            Self::SmtpReply => "smtp_reply",
            Self::ExtensionHeaders => "extension_headers",
            Self::QinqPppoe => "qinq_pppoe",
            Self::Unsolicited => "unsolicited",
            Self::Return => "return",
            Self::Flood => "flood",
        }
    }
}

/// A kind of frame in one family.
#[derive(Clone, Debug)]
pub struct Case {
    /// What there is to decide.
    pub kind: Kind,
    /// The IP version.
    pub family: Family,
    /// What the interface faces that the frame arrives at.
    pub role: Role,
    /// What becomes of it.
    pub passes: bool,
    /// The frame, but for what varies.
    pub frame: Vec<u8>,
    ip_offset: usize,
}

impl Case {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let kinds = |family| Kind::ALL.map(|kind| Self::new(kind, family));
        FAMILIES
            .map(kinds)
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }

    /// A kind of frame; `None` where this family has no such thing.
    pub fn new(kind: Kind, family: Family) -> Option<Self> {
        let (customer, stranger) = ends(family);
        let inbound = |port| tcp((stranger, 40_000), (customer, port));
        let datagram = match kind {
            Kind::Unwatched => inbound(8081),
            Kind::Dropped | Kind::Flood => inbound(80),
            Kind::Exempted => inbound(EXEMPTED),
            Kind::SmtpOut => tcp((customer, 40_000), (stranger, 25)),
            Kind::SmtpReply => {
                tcp((stranger, 25), (customer, 40_000)).flags(flags::SYN | flags::ACK)
            }
            Kind::ExtensionHeaders if family == Family::V4 => return None,
            Kind::ExtensionHeaders => inbound(80).chain([
                Extension::HopByHop(0),
                Extension::Destination(0),
                Extension::Routing(0),
            ]),
            Kind::QinqPppoe => inbound(80).tag(SERVICE_VLAN, 7).tag(VLAN, 9).pppoe(),
            Kind::Unsolicited => tcp((stranger, 40_001), (customer, 8080)),
            Kind::Return => inbound(8080).flags(flags::ACK),
        };
        let role = match kind {
            Kind::SmtpOut => Role::Customer,
            _ => Role::Network,
        };
        Some(Self::of(kind, family, role, datagram.arrival()))
    }

    /// What a customer sends whose answers are then [`Kind::Return`].
    pub fn opening(family: Family) -> Self {
        let (customer, stranger) = ends(family);
        let datagram = tcp((customer, 8080), (stranger, 40_000));
        Self::of(Kind::Return, family, Role::Customer, datagram.arrival())
    }

    fn of(kind: Kind, family: Family, role: Role, arrival: Arrival) -> Self {
        let passes = matches!(kind, Kind::Unwatched | Kind::Exempted | Kind::Return);
        Self {
            kind,
            family,
            role,
            passes,
            frame: arrival.bytes,
            ip_offset: arrival.ip_offset,
        }
    }

    /// Which customers the frames are for, or from.
    fn customers(&self, layout: Layout, prefixes: u32) -> (Customers, u32) {
        let customers = layout.customers(self.family);
        match self.kind {
            Kind::Flood => Layout::whole_pool(self.family),
            Kind::Return => (customers, prefixes.min(REMEMBERED)),
            _ => (customers, prefixes),
        }
    }

    /// What varies, if there are so many prefixes.
    pub fn spec(&self, layout: Layout, prefixes: u32) -> Spec {
        let (customers, count) = self.customers(layout, prefixes);
        let (source, destination, length, life) = match self.family {
            Family::V4 => (12, 16, 4, 8),
            Family::V6 => (8, 24, 16, 6),
        };
        let (own, other) = match self.role {
            Role::Customer => (source, destination),
            Role::Network | Role::Mixed => (destination, source),
        };
        let is_flood = self.kind == Kind::Flood;
        let at = |offset: usize| (self.ip_offset + offset) as u32;
        let only_if = |condition: bool, offset| if condition { offset } else { 0 };
        let varied = |byte| {
            let is_in = |start: usize| (start..start + length).contains(&byte);
            is_in(own) || is_flood && is_in(other) || (10..12).contains(&byte)
        };
        let header = &self.frame[self.ip_offset..][..20];
        let words = (0..20).step_by(2).filter(|byte| !varied(*byte));
        let sum = words.map(|byte| u32::from(u16::from_be_bytes([header[byte], header[byte + 1]])));
        Spec {
            customers,
            count,
            customer_at: at(own),
            stranger_at: only_if(is_flood, at(other + length - 4)),
            // Without options the ports follow the header.
            port_at: only_if(is_flood, at(destination + length + 2)),
            checksum_at: only_if(self.family == Family::V4, at(10)),
            header_sum: sum.sum(),
            interface: 0,
            life_at: at(life) as u16,
            life: [header[life], header[life + 1]],
        }
    }
}

/// A customer and somebody else.
fn ends(family: Family) -> (IpAddr, IpAddr) {
    let customer = address(family, Layout::Dense.customers(family).nth(0));
    let stranger = match family {
        Family::V4 => "192.0.2.9",
        Family::V6 => "2001:db9::9",
    };
    (customer, stranger.parse().unwrap())
}
