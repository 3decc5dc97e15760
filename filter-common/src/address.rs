//! IP addresses in the one shape that tables are searched with.

/// The IP version of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, RFC 791.
    V4,
    /// IPv6, RFC 8200.
    V6,
}

impl Family {
    /// The number of bits in an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// An address of either family, left-aligned: the first bit on the wire is the
/// highest bit of `high`, so that a prefix of length `n` is the first `n` bits
/// in both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Which family the bits belong to.
    pub family: Family,
    /// Bits 0 to 63 in network order; IPv4 uses the upper half alone.
    pub high: u64,
    /// Bits 64 to 127 in network order; zero for IPv4.
    pub low: u64,
}

impl Address {
    /// An IPv4 address from its bytes in network order.
    #[inline(always)]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Self {
            family: Family::V4,
            high: (u32::from_be_bytes(bytes) as u64) << 32,
            low: 0,
        }
    }

    /// An IPv6 address from its bytes in network order.
    #[inline(always)]
    pub const fn v6(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self {
            family: Family::V6,
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }
}

impl Address {
    /// Whether it is what a host that has no address yet sends from: `0.0.0.0`, `::`.
    #[inline(always)]
    pub const fn is_unspecified(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// Whether it holds on one link only: 169.254.0.0/16 (RFC 3927), fe80::/10
    /// (RFC 4291).
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        match self.family {
            Family::V4 => self.high >> 48 == 0xa9fe,
            Family::V6 => self.high >> 54 == 0xfe80 >> 6,
        }
    }
}

impl From<Address> for core::net::IpAddr {
    fn from(address: Address) -> Self {
        let bits = u128::from(address.high) << 64 | u128::from(address.low);
        match address.family {
            Family::V4 => core::net::Ipv4Addr::from_bits((address.high >> 32) as u32).into(),
            Family::V6 => core::net::Ipv6Addr::from_bits(bits).into(),
        }
    }
}

impl From<core::net::IpAddr> for Address {
    fn from(address: core::net::IpAddr) -> Self {
        match address {
            core::net::IpAddr::V4(address) => Self::v4(address.octets()),
            core::net::IpAddr::V6(address) => Self::v6(address.octets()),
        }
    }
}
