//! How many addresses something concerns.

use std::fmt;

use filter_common::Family;
use serde::{Deserialize, Serialize};

/// A number of addresses: single ones in IPv4, networks of 64 bits in IPv6,
/// which is what one customer line gets at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// IPv4 addresses.
    pub ipv4: u64,
    /// IPv6 /64s, also those of which a part is concerned.
    pub ipv6_64s: u64,
}

impl Addresses {
    /// None at all.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n| if n == 1 { "" } else { "es" };
        match (self.ipv4, self.ipv6_64s) {
            (0, 0) => f.write_str("no address"),
            (v4, 0) => write!(f, "{v4} address{}", plural(v4)),
            (0, v6) => write!(f, "{v6} /64{}", if v6 == 1 { "" } else { "s" }),
            (v4, v6) => {
                let s = if v6 == 1 { "" } else { "s" };
                write!(f, "{v4} address{} and {v6} /64{s}", plural(v4))
            }
        }
    }
}

/// A stretch of addresses that the same holds for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) family: Family,
    pub(super) first: u128,
    pub(super) last: u128,
}

/// Counts the addresses of stretches that come in ascending order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    counted: Addresses,
    /// The first /64 that has not been counted: two stretches can share one.
    next_64: u128,
}

impl Counter {
    pub(super) fn add(&mut self, range: Range) {
        match range.family {
            Family::V4 => {
                let more = saturated(range.last - range.first + 1);
                self.counted.ipv4 = self.counted.ipv4.saturating_add(more);
            }
            Family::V6 => {
                let first = (range.first >> 64).max(self.next_64);
                let next = (range.last >> 64) + 1;
                let more = saturated(next.saturating_sub(first));
                self.counted.ipv6_64s = self.counted.ipv6_64s.saturating_add(more);
                self.next_64 = next;
            }
        }
    }

    pub(super) fn total(&self) -> Addresses {
        self.counted
    }
}

fn saturated(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(family: Family, ranges: &[(u128, u128)]) -> String {
        let mut counter = Counter::default();
        for &(first, last) in ranges {
            counter.add(Range {
                family,
                first,
                last,
            });
        }
        counter.total().to_string()
    }

    #[test]
    fn a_64_that_stretches_share_is_counted_once() {
        const NET: u128 = 1 << 64;
        assert_eq!(count(Family::V6, &[(5, 5), (7, 9)]), "1 /64");
        assert_eq!(count(Family::V6, &[(5, NET), (NET + 1, NET + 2)]), "2 /64s");
        assert_eq!(count(Family::V6, &[(0, NET - 1), (NET, 3 * NET)]), "4 /64s");
        assert_eq!(
            count(Family::V6, &[(0, u128::MAX)]),
            format!("{} /64s", u64::MAX)
        );
    }

    #[test]
    fn ipv4_is_counted_address_by_address() {
        assert_eq!(count(Family::V4, &[]), "no address");
        assert_eq!(count(Family::V4, &[(5, 5)]), "1 address");
        assert_eq!(
            count(Family::V4, &[(0, u32::MAX.into())]),
            "4294967296 addresses"
        );
    }
}
