//! When exemptions were last used.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a frame was last let in because of an exemption of a prefix, or mail let out: to
/// the minute, whatever the port was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// Since when a controller watches it: before, nobody knows.
    pub watched_since: Timestamp,
    /// When it was last used. None where it was not, for as long as it is watched.
    pub last_used: Option<Timestamp>,
    /// The whole days for which controllers have watched it since, or since they began to.
    /// Setting the clock changes nothing about it, and days on which none ran are not counted.
    pub unused_days: u32,
}

impl fmt::Display for LastUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_used {
            Some(at) => write!(f, "{at}"),
            None => write!(f, "never since {}", self.watched_since),
        }
    }
}

/// An exemption of a prefix: a customer's, or temporary ones, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionUse {
    /// The prefix.
    pub prefix: IpNet,
    /// The customer, if one holds it.
    pub customer: Option<String>,
    /// Of the customer.
    pub ticket: Option<String>,
    /// The numbers of the temporary exemptions of just this prefix.
    pub temporary: Vec<u64>,
    /// When it was used.
    #[serde(flatten)]
    pub last_use: LastUse,
}

/// Exemptions that were not used for some days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// How many there are.
    pub total: u64,
    /// The first [`MOST`](Self::MOST) of them, those that were unused for the longest first.
    pub exemptions: Vec<ExemptionUse>,
}

impl Unused {
    /// More are for nobody to read at once.
    pub const MOST: usize = 10_000;
}

/// How many exemptions are watched, and are used by nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseCounts {
    /// Prefixes with an exemption, permanent or temporary, that holds.
    pub watched: u64,
    /// Those of them that were watched for 90 days and more since they were last used.
    pub unused_90_days: u64,
}
