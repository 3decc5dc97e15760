//! How much a change comes to.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;

use super::{Addresses, ports::PortNumbers, reach::Reach, segments::side_by_side};
use crate::{config::PoolKind, intent::Intent};

/// How much a change comes to: in all, and of each thing that a slip may be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// As in a [`Change`](super::Change).
    pub customers: Addresses,
    /// As in a [`Change`](super::Change).
    pub opened: Addresses,
    /// As in a [`Change`](super::Change).
    pub closed: Addresses,
    /// As in a [`Change`](super::Change).
    pub gained: u64,
    /// As in a [`Change`](super::Change).
    pub lost: u64,
    /// The pools of the old configuration.
    pub(super) pools: Vec<PoolExtent>,
    /// What comes into pools that was in none, by their kind.
    pub(super) added: Vec<Added>,
    /// Prefixes of pools that become longer or shorter by more than a bit.
    pub(super) masks: Vec<Mask>,
    /// What customers were read from, and has nothing in it any more.
    pub(super) emptied: Vec<Emptied>,
}

/// What becomes of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PoolExtent {
    pub(super) name: String,
    pub(super) kind: PoolKind,
    /// The kind of the pool of the same name, if there still is one.
    pub(super) new_kind: Option<PoolKind>,
    pub(super) size: Addresses,
    pub(super) opened: Addresses,
    pub(super) closed: Addresses,
    /// What of it is in a pool of the same kind afterwards.
    pub(super) kept: Addresses,
    /// What of it is in any pool afterwards.
    pub(super) pooled: Addresses,
    /// The customers with an exemption in it.
    pub(super) exempted: u64,
    /// The customers that gain one.
    pub(super) gained: u64,
    /// The customers that lose one.
    pub(super) lost: u64,
    /// Those of them who have none left.
    pub(super) bereft: u64,
}

/// Addresses that come into pools of a kind, and that something is opened or closed
/// toward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) kind: PoolKind,
    pub(super) addresses: Addresses,
}

/// A prefix of a pool that has another mask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mask {
    pub(super) pool: String,
    pub(super) from: IpNet,
    pub(super) to: IpNet,
}

/// An entry of `include` or `customer_lists` with nothing left in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Emptied {
    pub(super) what: String,
    /// How many customers were read from it, who all lose something.
    pub(super) customers: u64,
}

/// In a line.
impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            opened,
            closed,
            gained,
            lost,
            ..
        } = self;
        write!(
            f,
            "opened: {opened}; closed: {closed}; customers with exemptions: {gained} gain and {lost} \
             lose something"
        )
    }
}

impl Extent {
    /// Compares two intents as they hold at `now`, and counts only: besides a number
    /// for each customer with exemptions, a change of a million pieces takes no more
    /// memory than one of none.
    pub fn between(old: &Intent, new: &Intent, now: Timestamp) -> Self {
        let numbers = PortNumbers::of([old, new]);
        let mut reach = Reach::new([old, new], &numbers, now);
        side_by_side(old, new, |range, old, new| reach.add(range, old, new));
        reach.extent()
    }
}
