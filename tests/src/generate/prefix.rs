//! Prefixes that nest, touch and lie apart.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::{prelude::*, sample::Index};

use super::bytes;

/// Where nesting starts: documentation prefixes and both ends of what customers can have.
/// All of them together are less than a configuration takes.
const ROOTS: [&str; 10] = [
    "198.51.100.0/24",
    "10.0.0.0/8",
    "1.0.0.0/8",
    "192.0.0.0/6",
    "223.255.255.0/24",
    "2001:db8::/32",
    "2001:db8:0:25::/64",
    "2001::/16",
    "2000::/48",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:0/112",
];

/// A prefix in another one.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Nested {
    #[arbitrary(with = bytes::index)]
    outer: Index,
    longer: u8,
    bits: Bits,
}

#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
enum Bits {
    Zeros,
    Ones,
    Some(u128),
}

/// Draws one.
pub fn nested() -> impl Strategy<Value = Nested> {
    let longer = prop_oneof![
        2 => Just(0_u8),
        4 => 1..=4_u8,
        // To the edge of a byte, where tables have their seams.
        2 => prop::sample::select(vec![8_u8, 16, 24, 32]),
        2 => 1..=128_u8,
        // A single host.
        2 => Just(128),
    ];
    let bits = prop_oneof![
        Just(Bits::Zeros),
        Just(Bits::Ones),
        any::<u128>().prop_map(Bits::Some),
    ];
    (any::<Index>(), longer, bits).prop_map(|(outer, longer, bits)| Nested {
        outer,
        longer,
        bits,
    })
}

impl Nested {
    /// In one of the roots or of `known`.
    pub fn anywhere(&self, known: &[IpNet]) -> Option<IpNet> {
        let mut outer: Vec<IpNet> = ROOTS.iter().map(|root| root.parse().unwrap()).collect();
        outer.extend(known);
        self.inside(&outer)
    }

    /// In one of `outer`; `None` where no configuration can have that prefix.
    pub fn inside(&self, outer: &[IpNet]) -> Option<IpNet> {
        let outer = (!outer.is_empty()).then(|| self.outer.get(outer))?;
        let length = outer
            .prefix_len()
            .saturating_add(self.longer)
            .min(outer.max_prefix_len());
        let bits = match self.bits {
            Bits::Zeros => 0,
            Bits::Ones => u128::MAX,
            Bits::Some(bits) => bits,
        };
        let first = match host(outer, bits) {
            IpAddr::V4(address) => IpNet::new(address.into(), length),
            IpAddr::V6(address) => IpNet::new(address.into(), length),
        };
        let prefix = first.unwrap().trunc();
        let is_mapped = matches!(prefix.addr(), IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
        (prefix.prefix_len() > 0 && !is_mapped).then_some(prefix)
    }
}

/// The address in a prefix whose host bits are the first ones of `bits`.
pub fn host(prefix: &IpNet, bits: u128) -> IpAddr {
    let length = u32::from(prefix.prefix_len());
    match prefix.network() {
        IpAddr::V4(network) => {
            let host = ((bits >> 96) as u32).checked_shr(length).unwrap_or(0);
            IpAddr::V4((network.to_bits() | host).into())
        }
        IpAddr::V6(network) => {
            let host = bits.checked_shr(length).unwrap_or(0);
            IpAddr::V6((network.to_bits() | host).into())
        }
    }
}
