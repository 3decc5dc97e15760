//! From what was counted to samples.

use std::fmt;

use filter_common::{
    DropReason, Protocol, Rule, Uninspected,
    counters::{Direction, NO_POOL, PoolCounter, Row, Slot},
};

use super::Totals;
use crate::compile::NO_POOL_NAME;

/// A metric that the program counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// The text of `# HELP`.
    pub help: &'static str,
}

macro_rules! counters {
    ($($constant:ident = $name:literal: $help:literal;)*) => {
        $(#[doc = $help] pub(crate) const $constant: &Metric = &Metric { name: $name, help: $help };)*
        /// Every metric that [`samples`] can give.
        pub const COUNTERS: &[&Metric] = &[$($constant),*];
    };
}

counters! {
    DROPPED_PACKETS = "poolguard_dropped_packets_total":
        "Frames dropped, by the rule that dropped them and the pool that it protects (for smtp_out, that the mail came from).";
    DROPPED_BYTES = "poolguard_dropped_bytes_total":
        "Bytes of the frames dropped, from the IP header on.";
    DROPPED_BY_PORT = "poolguard_dropped_by_port_packets_total":
        "The drops of inbound_port and smtp_out again, by destination port.";
    DROPPED_BY_REASON = "poolguard_dropped_by_reason_packets_total":
        "All drops again, by the last detail of the reason.";
    WOULD_DROP_PACKETS = "poolguard_would_drop_packets_total":
        "Frames passed because of monitor mode that would have been dropped.";
    WOULD_DROP_BY_REASON = "poolguard_would_drop_by_reason_packets_total":
        "The same again, by the last detail of the reason.";
    PASSED_PACKETS = "poolguard_passed_packets_total":
        "Frames passed, by the interface that they arrived at.";
    UNSENT_PACKETS = "poolguard_wire_unsent_packets_total":
        "Frames that were to pass and had nowhere to go, by the interface that they arrived at: the other end of its wire was missing.";
    EXEMPTED_PACKETS = "poolguard_exempted_packets_total":
        "Frames passed that a rule matched and an exemption let past.";
    RETURN_PACKETS = "poolguard_return_packets_total":
        "Frames passed as answers to a flow that the customer opened from a forbidden port.";
    UNINSPECTED_PACKETS = "poolguard_uninspected_packets_total":
        "Frames passed without a port to look at.";
}

/// One counter with its labels.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What is counted.
    pub metric: &'static Metric,
    /// In alphabetical order of the label's name.
    pub labels: Vec<(&'static str, String)>,
    /// Since the counters were made.
    pub value: u64,
}

impl Sample {
    /// The value of a label; empty where there is none of this name.
    pub fn label(&self, name: &str) -> &str {
        let label = self.labels.iter().find(|(label, _)| *label == name);
        label.map_or("", |(_, value)| value)
    }
}

/// The sample's name and labels, as the text format writes them.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        write!(f, "{}{{{}}}", self.metric.name, labels.join(","))
    }
}

/// Every counter of every name, those that are zero as well: a series that
/// appears only with its first event hides that event from rates.
/// What cannot occur (a pool in the drops of rule `malformed`, whose frames
/// have no readable address) is left out.
pub fn samples(totals: &Totals) -> Vec<Sample> {
    let mut list = List(Vec::new());
    for reason in Uninspected::ALL {
        let labels = vec![("reason", reason.name().to_owned())];
        let slot = Slot::uninspected(reason);
        list.push(UNINSPECTED_PACKETS, labels, totals.uninspected[slot.column]);
    }
    for reason in DropReason::ALL {
        let labels = || {
            vec![
                ("reason", reason.name().to_owned()),
                ("rule", reason.rule().name().to_owned()),
            ]
        };
        let dropped = Slot::dropped_by_reason(reason).column;
        let dropped = totals.dropped_by_reason[dropped];
        list.push(DROPPED_BY_REASON, labels(), dropped);
        let would_drop = Slot::would_drop_by_reason(reason).column;
        let would_drop = totals.would_drop_by_reason[would_drop];
        list.push(WOULD_DROP_BY_REASON, labels(), would_drop);
    }
    for (interface, counted) in &totals.interfaces {
        let labels = || vec![("interface", interface.clone())];
        list.push(PASSED_PACKETS, labels(), counted.passed);
        list.push(UNSENT_PACKETS, labels(), counted.unsent);
    }
    for (pool, row) in &totals.pools {
        list.pool(pool, row);
    }
    for (port, row) in &totals.ports {
        list.port(*port, row);
    }
    list.0
}

struct List(Vec<Sample>);

impl List {
    fn push(&mut self, metric: &'static Metric, labels: Vec<(&'static str, String)>, value: u64) {
        self.0.push(Sample {
            metric,
            labels,
            value,
        });
    }

    fn pool(&mut self, name: &str, row: &Row) {
        let labels = |rule: Rule| vec![("pool", name.to_owned()), ("rule", rule.name().to_owned())];
        // The columns are the same whichever pool it is.
        let value = |counter| row[Slot::pool(NO_POOL, counter).column];
        for rule in Rule::ALL.into_iter().filter(|rule| can_deny(*rule, name)) {
            let packets = value(PoolCounter::DroppedPackets(rule));
            let bytes = value(PoolCounter::DroppedBytes(rule));
            let would = value(PoolCounter::WouldDropPackets(rule));
            self.push(DROPPED_PACKETS, labels(rule), packets);
            self.push(DROPPED_BYTES, labels(rule), bytes);
            self.push(WOULD_DROP_PACKETS, labels(rule), would);
        }
        if name == NO_POOL_NAME {
            return;
        }
        let inbound = value(PoolCounter::ExemptedInbound);
        let smtp_out = value(PoolCounter::ExemptedSmtpOut);
        let answers = value(PoolCounter::ReturnPackets);
        self.push(EXEMPTED_PACKETS, labels(Rule::InboundPort), inbound);
        self.push(EXEMPTED_PACKETS, labels(Rule::SmtpOut), smtp_out);
        self.push(RETURN_PACKETS, vec![("pool", name.to_owned())], answers);
    }

    fn port(&mut self, number: u16, row: &Row) {
        for direction in Direction::ALL {
            for protocol in Protocol::ALL {
                // Rule 5 is about TCP alone.
                if direction == Direction::Outbound && protocol != Protocol::Tcp {
                    continue;
                }
                let labels = vec![
                    ("direction", direction.name().to_owned()),
                    ("port", number.to_string()),
                    ("proto", protocol.name().to_owned()),
                ];
                // The columns are the same whichever port it is.
                let column = Slot::port(0, direction, protocol).column;
                self.push(DROPPED_BY_PORT, labels, row[column]);
            }
        }
    }
}

/// Whether a rule can deny frames that concern this pool.
fn can_deny(rule: Rule, pool: &str) -> bool {
    match rule {
        Rule::InboundPort => pool != NO_POOL_NAME,
        Rule::Malformed => pool == NO_POOL_NAME,
        Rule::SmtpOut | Rule::HiddenPorts => true,
    }
}
