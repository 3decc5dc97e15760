//! How much may change at once.

use std::fmt;

use thiserror::Error;

use super::Extent;
use crate::config::Share;

/// So many IPv4 addresses, or IPv6 /64s, may be opened or closed at once
/// whatever share that is: a /24. A limit on shares alone would be a nuisance
/// where there are few customers.
const ALWAYS_ALLOWED: u64 = 256;

/// A change that opens or closes more than it may.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "it would {}, and `max_change` is {limit}. `poolguard diff` shows what would change; \
     `poolguard reload --force` does it all the same",
    .excesses.iter().map(Excess::to_string).collect::<Vec<_>>().join(", ")
)]
pub struct TooMuch {
    /// In which respects.
    pub excesses: Vec<Excess>,
    /// The limit.
    pub limit: Share,
}

/// One respect in which a change is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// What would be done to them.
    pub direction: Direction,
    /// What is counted.
    pub unit: &'static str,
    /// How many it would be done to.
    pub affected: u64,
    /// How many there are.
    pub customers: u64,
}

/// Whether more or less would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Something would pass that does not.
    Open,
    /// Something would no longer pass.
    Close,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.direction {
            Direction::Open => "open",
            Direction::Close => "close",
        };
        write!(f, "{verb} {} {}", self.affected, self.unit)?;
        match Share::of(self.affected, self.customers) {
            Some(share) => write!(f, " of customers ({share} of {})", self.customers),
            None => write!(f, ", where there is no customer yet"),
        }
    }
}

/// Whether a change keeps within `limit`.
///
/// # Errors
///
/// When it does not.
pub fn check_limit(extent: Extent, limit: Share) -> Result<(), TooMuch> {
    let respects = [
        (Direction::Open, extent.opened),
        (Direction::Close, extent.closed),
    ];
    let excesses: Vec<_> = respects
        .into_iter()
        .flat_map(|(direction, affected)| {
            let customers = extent.customers;
            [
                ("IPv4 addresses", affected.ipv4, customers.ipv4),
                ("IPv6 /64s", affected.ipv6_64s, customers.ipv6_64s),
            ]
            .map(|(unit, affected, customers)| Excess {
                direction,
                unit,
                affected,
                customers,
            })
        })
        .filter(|excess| excess.affected > ALWAYS_ALLOWED)
        .filter(|excess| limit.is_exceeded_by(excess.affected, excess.customers))
        .collect();
    match excesses.is_empty() {
        true => Ok(()),
        false => Err(TooMuch { excesses, limit }),
    }
}
