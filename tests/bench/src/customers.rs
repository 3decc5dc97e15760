//! Who lives where: up to a million customers with exemptions, in two families.

use std::{fmt::Write as _, net::IpAddr};

use filter_common::Family;
use ipnet::IpNet;

use super::spec::Customers;

/// Where the order of the places begins.
const SEED: u64 = 0x0070_616f;
/// Odd, and near 2^24 divided by the golden ratio: neighbours in the order are
/// far apart, and the first `n` of them are everywhere.
const FAR_APART: u64 = 0x009e_3779;
/// With twelve there would still be more than twenty customers in each /24, but the
/// number is to be odd.
const SPARSELY: u64 = 11;
/// A pool has 2^24 places.
const PLACES: u64 = (1 << 24) - 1;

/// Both families.
pub const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// How customers are spread over their pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// One beside the other.
    Dense,
    /// Everywhere.
    Scattered,
    /// Every eleventh place: in each /24 just too many for one line of the prefix
    /// table, so that about no million takes more of it.
    Every11th,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dense, Self::Scattered, Self::Every11th];
    /// Those for every case.
    pub const COMMON: [Self; 2] = [Self::Dense, Self::Scattered];

    /// Its name in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Scattered => "scattered",
            Self::Every11th => "every_11th",
        }
    }

    /// Where customers live: single addresses of 10.0.0.0/8, and prefixes of 56
    /// bits, as they are delegated to households, of 2001:db8::/32.
    pub const fn customers(self, family: Family) -> Customers {
        let (pool, shift) = match family {
            Family::V4 => (0x0a00_0000 << 32, 32),
            Family::V6 => (0x2001_0db8 << 32, 8),
        };
        let (stride, seed) = match self {
            Self::Dense => (1, 0),
            Self::Scattered => (FAR_APART, SEED),
            Self::Every11th => (SPARSELY, 0),
        };
        Customers {
            pool,
            stride,
            seed,
            mask: PLACES,
            shift,
        }
    }

    /// Every place of the pool.
    pub const fn whole_pool(family: Family) -> (Customers, u32) {
        (Self::Dense.customers(family), PLACES as u32 + 1)
    }
}

/// The pool of all customers.
pub fn pool(family: Family) -> IpNet {
    let text = match family {
        Family::V4 => "10.0.0.0/8",
        Family::V6 => "2001:db8::/32",
    };
    text.parse().unwrap()
}

/// The address of a customer that begins with these bits.
pub fn address(family: Family, bits: u64) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(((bits >> 32) as u32).into()),
        Family::V6 => IpAddr::V6((u128::from(bits) << 64).into()),
    }
}

/// The prefixes of so many customers.
pub fn prefixes(layout: Layout, family: Family, count: u32) -> impl Iterator<Item = IpNet> {
    let customers = layout.customers(family);
    let length = match family {
        Family::V4 => 32,
        Family::V6 => 56,
    };
    (0..u64::from(count))
        .map(move |index| IpNet::new_assert(address(family, customers.nth(index)), length))
}

/// What every customer is exempted for.
pub const EXEMPTED: u16 = 443;
/// What some are exempted for besides, and others not: so many policies.
const SOMETIMES: [u16; 4] = [109, 110, 194, 1080];

/// A configuration with so many prefixes in each family. Customers with the same
/// exemptions are one here: how many names there are is of no concern to the program.
pub fn configuration(layout: Layout, count: u32) -> String {
    let mut text = String::from(
        r#"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25", "2001:db9::25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["100.64.0.0/10", "2001:dba::/32"]
[[pool]]
name = "static"
kind = "static"
prefixes = ["10.0.0.0/8", "2001:db8::/32"]
"#,
    );
    let kinds = 1 << SOMETIMES.len();
    for kind in 0..kinds {
        let mut list = String::new();
        for family in FAMILIES {
            for prefix in prefixes(layout, family, count).skip(kind).step_by(kinds) {
                writeln!(list, "\"{prefix}\",").unwrap();
            }
        }
        if list.is_empty() {
            continue;
        }
        let sometimes = (0..).zip(SOMETIMES);
        let also = sometimes.filter(|(bit, _)| kind & (1 << bit) != 0);
        let ports: String = also.map(|(_, port)| format!(", {port}")).collect();
        let form = format!("allow_inbound = [{EXEMPTED}{ports}]\nprefixes = [\n{list}]");
        write!(text, "[[customer]]\nname = \"kind-{kind}\"\n{form}\n").unwrap();
    }
    text
}
