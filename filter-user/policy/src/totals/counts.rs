//! The counts in [`Totals`], each with what it counts.

use filter_common::{
    DropReason, Protocol, Rule, Uninspected,
    counters::{Direction, NO_POOL, PoolCounter, Row, Slot},
};

use super::Totals;
use crate::{compile::NO_POOL_NAME, config::PortRange};

/// What a rule denied of the frames that concern a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied<'a> {
    /// What denied.
    pub rule: Rule,
    /// As the configuration names it, or [`NO_POOL_NAME`].
    pub pool: &'a str,
    /// Frames dropped.
    pub dropped_packets: u64,
    /// Their bytes, from the IP header on.
    pub dropped_bytes: u64,
    /// Frames that monitor mode let pass.
    pub would_drop_packets: u64,
}

impl Denied<'_> {
    /// Whether there is anything to tell.
    pub fn occurred(&self) -> bool {
        let counts = [
            self.dropped_packets,
            self.dropped_bytes,
            self.would_drop_packets,
        ];
        counts != [0; 3]
    }
}

/// What passed of the frames that concern a pool, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permitted<'a> {
    /// As the configuration names it.
    pub pool: &'a str,
    /// Frames toward it that an exemption let past rules 1 to 4.
    pub exempted_inbound: u64,
    /// Frames from it that an exemption let past rule 5.
    pub exempted_smtp_out: u64,
    /// Frames that answer a flow which the customer opened.
    pub answers: u64,
}

/// What was denied because of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeniedByPort {
    /// The destination port or the range that it is in, as the configuration writes it;
    /// for rule 6 the source port.
    pub ports: PortRange,
    /// Toward a customer, or from one, or an answer toward one.
    pub direction: Direction,
    /// What the frames were of.
    pub protocol: Protocol,
    /// Frames dropped.
    pub dropped: u64,
    /// Frames that monitor mode let pass.
    pub would_drop: u64,
}

impl Totals {
    /// Frames passed, by the interface that they arrived at.
    pub fn passed(&self) -> impl Iterator<Item = (&str, u64)> {
        let interfaces = self.interfaces.iter();
        interfaces.map(|(name, counted)| (name.as_str(), counted.passed))
    }

    /// Frames that were to pass and had nowhere to go, by the interface that they
    /// arrived at.
    pub fn unsent(&self) -> impl Iterator<Item = (&str, u64)> {
        let interfaces = self.interfaces.iter();
        interfaces.map(|(name, counted)| (name.as_str(), counted.unsent))
    }

    /// Packets that were judged on the way out, by the interface that they left at: those
    /// that passed, and those that were dropped.
    pub fn judged_out(&self) -> impl Iterator<Item = (&str, [u64; 2])> {
        let interfaces = self.interfaces.iter();
        interfaces.map(|(name, counted)| (name.as_str(), [counted.passed_out, counted.dropped_out]))
    }

    /// What each rule denied for each pool; what cannot occur is left out.
    pub fn denied(&self) -> impl Iterator<Item = Denied<'_>> {
        let pools = self.pools.iter();
        pools.flat_map(|(pool, row)| {
            let rules = Rule::ALL.into_iter();
            let rules = rules.filter(move |rule| rule.can_deny(pool != NO_POOL_NAME));
            rules.map(move |rule| Denied {
                rule,
                pool,
                dropped_packets: of_pool(row, PoolCounter::DroppedPackets(rule)),
                dropped_bytes: of_pool(row, PoolCounter::DroppedBytes(rule)),
                would_drop_packets: of_pool(row, PoolCounter::WouldDropPackets(rule)),
            })
        })
    }

    /// What passed by an exemption or as an answer, for each pool.
    pub fn permitted(&self) -> impl Iterator<Item = Permitted<'_>> {
        let pools = self.pools.iter().filter(|(pool, _)| *pool != NO_POOL_NAME);
        pools.map(|(pool, row)| Permitted {
            pool,
            exempted_inbound: of_pool(row, PoolCounter::ExemptedInbound),
            exempted_smtp_out: of_pool(row, PoolCounter::ExemptedSmtpOut),
            answers: of_pool(row, PoolCounter::ReturnPackets),
        })
    }

    /// What was denied because of each watched port.
    pub fn denied_by_port(&self) -> impl Iterator<Item = DeniedByPort> {
        let ways = Direction::ALL.into_iter().flat_map(|direction| {
            let protocols = Protocol::ALL.into_iter();
            protocols.map(move |protocol| (direction, protocol))
        });
        let ways = ways.filter(|(direction, protocol)| direction.concerns(*protocol));
        let all = self.ports.iter();
        all.flat_map(move |(ports, row)| {
            ways.clone().map(move |(direction, protocol)| DeniedByPort {
                ports: *ports,
                direction,
                protocol,
                // The columns are the same whichever port it is.
                dropped: row[Slot::dropped_by_port(0, direction, protocol).column],
                would_drop: row[Slot::would_drop_by_port(0, direction, protocol).column],
            })
        })
    }

    /// Frames dropped, by the last detail of why.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let reasons = DropReason::ALL.into_iter();
        reasons.map(|reason| {
            let slot = Slot::dropped_by_reason(reason);
            (reason, self.dropped_by_reason[slot.column])
        })
    }

    /// Frames that monitor mode let pass, by the last detail of why not.
    pub fn would_drop_by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let reasons = DropReason::ALL.into_iter();
        reasons.map(|reason| {
            let slot = Slot::would_drop_by_reason(reason);
            (reason, self.would_drop_by_reason[slot.column])
        })
    }

    /// Frames passed without a port to look at.
    pub fn uninspected(&self) -> impl Iterator<Item = (Uninspected, u64)> {
        let reasons = Uninspected::ALL.into_iter();
        reasons.map(|reason| {
            let slot = Slot::uninspected(reason);
            (reason, self.uninspected[slot.column])
        })
    }
}

fn of_pool(row: &Row, counter: PoolCounter) -> u64 {
    // The columns are the same whichever pool it is.
    row[Slot::pool(NO_POOL, counter).column]
}
