//! Frames, honest and hostile.
//!
//! A frame is built from the inside out: [`transport`] gives the segment,
//! [`datagram`] puts IP headers around it, [`link`] Ethernet, VLAN tags and
//! PPPoE. etherparse writes every header that it knows; what it would refuse to
//! write, because no honest sender does, is edited in afterwards.

pub mod datagram;
pub mod extension;
pub mod link;
pub mod transport;

pub use datagram::{Datagram, ip, sctp, segment, tcp, udp};
pub use extension::Extension;
pub use link::Link;
pub use transport::flags;

/// A frame as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From the Ethernet header on, without the frame check sequence.
    pub bytes: Vec<u8>,
    /// Where the IP header starts or would have to: dropped bytes count from
    /// here.
    pub ip_offset: usize,
}

impl Arrival {
    /// The same frame, cut off after `length` bytes.
    pub fn cut_to(mut self, length: usize) -> Self {
        self.bytes.truncate(length);
        self
    }

    /// The same frame, its IP header looked for at `offset`: where the filter
    /// gives up before it.
    pub fn counted_from(mut self, offset: usize) -> Self {
        self.ip_offset = offset;
        self
    }

    /// A lie: the byte at `offset` of the frame is `value`.
    pub fn edit(mut self, offset: usize, value: u8) -> Self {
        self.bytes[offset] = value;
        self
    }

    /// The bytes that the metrics count when the frame is dropped.
    pub fn counted_bytes(&self) -> u64 {
        self.bytes.len().saturating_sub(self.ip_offset) as u64
    }
}

impl From<&Datagram> for Arrival {
    fn from(datagram: &Datagram) -> Self {
        datagram.arrival()
    }
}

impl From<Datagram> for Arrival {
    fn from(datagram: Datagram) -> Self {
        datagram.arrival()
    }
}

/// As tcpdump -x would have it, without the spaces: to be pasted elsewhere.
impl std::fmt::Display for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes ", self.bytes.len())?;
        self.bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
