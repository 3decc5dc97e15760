//! IPv6 extension headers, and the one that IPv4 shares with it.

use etherparse::{IpAuthHeader, IpFragOffset, IpNumber, Ipv6FragmentHeader, Ipv6RawExtHeader};

/// One header of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// RFC 8200, section 4.3, of so many times 8 bytes beyond the first 8.
    HopByHop(u8),
    /// RFC 8200, section 4.4, of a type that nobody uses.
    Routing(u8),
    /// RFC 8200, section 4.6.
    Destination(u8),
    /// RFC 6275, section 6.1.
    Mobility(u8),
    /// RFC 7401, section 5.1.
    Hip(u8),
    /// RFC 5533, section 5.1.
    Shim6(u8),
    /// RFC 8200, section 4.5: the offset in units of 8 bytes, and whether more
    /// fragments follow.
    Fragment(u16, bool),
    /// RFC 4302, with an integrity check value of so many bytes, a multiple of 4.
    Authentication(usize),
    /// Whatever these bytes say, under this header number. The first byte gets
    /// the number of the next header, as everywhere.
    Raw(u8, Vec<u8>),
}

impl Extension {
    /// The IP protocol number that announces it.
    pub fn number(&self) -> u8 {
        match self {
            Self::HopByHop(_) => 0,
            Self::Routing(_) => 43,
            Self::Fragment(..) => 44,
            Self::Authentication(_) => 51,
            Self::Destination(_) => 60,
            Self::Mobility(_) => 135,
            Self::Hip(_) => 139,
            Self::Shim6(_) => 140,
            Self::Raw(number, _) => *number,
        }
    }

    /// The header itself, in front of a header with the number `next`.
    pub fn to_bytes(&self, next: u8) -> Vec<u8> {
        match self {
            Self::HopByHop(units)
            | Self::Routing(units)
            | Self::Destination(units)
            | Self::Mobility(units)
            | Self::Hip(units)
            | Self::Shim6(units) => {
                let payload = vec![0; 6 + 8 * usize::from(*units)];
                let header = Ipv6RawExtHeader::new_raw(IpNumber(next), &payload).unwrap();
                header.to_bytes().to_vec()
            }
            Self::Fragment(offset, more) => {
                let offset = IpFragOffset::try_new(*offset).unwrap();
                Ipv6FragmentHeader::new(IpNumber(next), offset, *more, 0x7001)
                    .to_bytes()
                    .to_vec()
            }
            Self::Authentication(length) => {
                let check = vec![0; *length];
                let header = IpAuthHeader::new(IpNumber(next), 1, 1, &check).unwrap();
                header.to_bytes().to_vec()
            }
            Self::Raw(_, bytes) => {
                let mut bytes = bytes.clone();
                if let Some(first) = bytes.first_mut() {
                    *first = next;
                }
                bytes
            }
        }
    }
}
