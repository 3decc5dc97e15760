//! Flows that customers opened from a port that is forbidden toward them.
//!
//! NAT devices use every port from 1024 up as a source port, 1080, 8000 and
//! 8080 among them. With `return_traffic = "track"` the program remembers each
//! flow that leaves a customer from such a port, and lets its reverse in.

use crate::{
    address::{Address, Family},
    policy::Protocol,
};

/// How long after the last packet from the customer a flow counts as recently
/// seen, for TCP: two hours and four minutes, RFC 5382 REQ-5.
pub const TCP_LIFETIME_SECONDS: u64 = 7_440;

/// The same for all other protocols: five minutes, RFC 4787 REQ-5.
pub const OTHER_LIFETIME_SECONDS: u64 = 300;

/// A flow is written again only when what is remembered of it is older than
/// this, so that a busy connection costs a read a packet, not a write.
pub const REFRESH_SECONDS: u64 = 16;

/// How many flows are remembered; the least recently used one makes room.
///
/// Three ports of 64,512: a flow in 21,504 leaves from one of them. A million
/// customers with a hundred connections each hold some 4,700 such flows.
pub const CAPACITY: u32 = 65_536;

/// One flow, as the customer sees it. It is a key of the program's table, so
/// it has no padding, and every byte counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Flow {
    /// The customer's address: `high` and `low` of [`Address`].
    pub customer: [u64; 2],
    /// The address at the other end.
    pub peer: [u64; 2],
    /// The customer's port, host byte order.
    pub customer_port: u16,
    /// The port at the other end, host byte order.
    pub peer_port: u16,
    /// The IP protocol number.
    pub protocol: u8,
    /// 4 or 6: an IPv4 address and an IPv6 address can have the same bits.
    pub version: u8,
    /// Always zero.
    pub reserved: u16,
}

impl Flow {
    /// The flow between a customer's address and port and a peer's.
    #[inline(always)]
    pub const fn new(
        protocol: Protocol,
        (customer, customer_port): (Address, u16),
        (peer, peer_port): (Address, u16),
    ) -> Self {
        Self {
            customer: [customer.high, customer.low],
            peer: [peer.high, peer.low],
            customer_port,
            peer_port,
            protocol: protocol.number(),
            version: match customer.family {
                Family::V4 => 4,
                Family::V6 => 6,
            },
            reserved: 0,
        }
    }
}

/// How long a flow of this protocol is remembered after it was written, in
/// seconds.
///
/// The customer may have sent a last packet up to [`REFRESH_SECONDS`] later
/// without another write. The lifetimes count from that one, and the RFCs allow
/// for more time, not for less.
#[inline(always)]
pub const fn lifetime_seconds(protocol: Protocol) -> u64 {
    REFRESH_SECONDS
        + match protocol {
            Protocol::Tcp => TCP_LIFETIME_SECONDS,
            _ => OTHER_LIFETIME_SECONDS,
        }
}
