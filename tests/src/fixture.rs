//! What a story is made of, and how it is told to a filter.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use filter_common::{Outcome, Protocol, counters::Direction};
use jiff::Timestamp;

use crate::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    frames::Arrival,
};

/// Counters by the name and labels that the metrics export them under.
pub type Counters = BTreeMap<String, u64>;

/// When the stories play, unless they say otherwise.
const NOW: &str = "2026-06-15T12:00:00Z";

/// A story: under this configuration, these things happen in this order.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// What it shows, as a sentence.
    pub name: String,
    /// What is configured.
    pub config: Configuration,
    /// When the configuration is loaded.
    pub now: Timestamp,
    /// Whether it matters which flows were remembered before.
    pub alone: bool,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame arrives.
    Frame {
        /// At this interface.
        interface: &'static str,
        /// This is it.
        arrival: Arrival,
        /// This becomes of it.
        expected: Expected,
    },
    /// Time passes.
    Wait {
        /// So many seconds.
        seconds: u64,
    },
}

impl Fixture {
    /// An empty story.
    pub fn new(name: impl Into<String>, config: Configuration) -> Self {
        Self {
            name: name.into(),
            config,
            now: NOW.parse().unwrap(),
            alone: false,
            steps: Vec::new(),
        }
    }

    /// The configuration is loaded at this moment (RFC 3339).
    pub fn loaded_at(mut self, moment: &str) -> Self {
        self.now = moment.parse().unwrap();
        self
    }

    /// No other story may have been told to the same filter before: it
    /// remembers flows.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// A frame arrives from the provider's network.
    pub fn network(self, arrival: impl Into<Arrival>, expected: Expected) -> Self {
        self.at(NETWORK, arrival, expected)
    }

    /// A frame arrives from the customers' side.
    pub fn customers(self, arrival: impl Into<Arrival>, expected: Expected) -> Self {
        self.at(CUSTOMERS, arrival, expected)
    }

    /// The same frame arrives from the network and from the customers' side,
    /// with the same result.
    pub fn anywhere(self, arrival: impl Into<Arrival>, expected: Expected) -> Self {
        let arrival = arrival.into();
        self.network(arrival.clone(), expected.clone())
            .customers(arrival, expected)
    }

    /// A frame arrives at an interface.
    pub fn at(
        mut self,
        interface: &'static str,
        arrival: impl Into<Arrival>,
        expected: Expected,
    ) -> Self {
        self.steps.push(Step::Frame {
            interface,
            arrival: arrival.into(),
            expected,
        });
        self
    }

    /// Time passes.
    pub fn wait(mut self, seconds: u64) -> Self {
        self.steps.push(Step::Wait { seconds });
        self
    }
}

/// What becomes of a frame, and which counters that moves.
#[derive(Clone, Debug)]
pub struct Expected {
    outcome: Outcome,
    /// The rule, the reason, and the pool that the drop is counted for.
    denied: Option<(&'static str, &'static str, String)>,
    /// Under which port or range it is counted.
    port: Option<(Direction, Protocol, String)>,
    uninspected: Option<&'static str>,
    exempted: Vec<(&'static str, String)>,
    answered: Option<String>,
    remembered: bool,
}

/// The name under which the number of remembered flows stands among the
/// counters.
pub const FLOWS: &str = "remembered flows";

/// Passes, and nothing but the interface counts it.
fn passes(outcome: Outcome) -> Expected {
    Expected {
        outcome,
        denied: None,
        port: None,
        uninspected: None,
        exempted: Vec::new(),
        answered: None,
        remembered: false,
    }
}

fn denied(rule: &'static str, reason: &'static str, pool: &str) -> Expected {
    Expected {
        denied: Some((rule, reason, pool.to_owned())),
        ..passes(Outcome::Drop)
    }
}

fn uninspected(outcome: Outcome, reason: &'static str) -> Expected {
    Expected {
        uninspected: Some(reason),
        ..passes(outcome)
    }
}

/// Passes: nobody forbids that port anywhere.
pub fn unwatched() -> Expected {
    passes(Outcome::Unwatched)
}

/// Passes: that port is forbidden to others, or on the way back only.
pub fn allowed() -> Expected {
    passes(Outcome::Allowed)
}

/// Passes: it is mail to or from one of the provider's mail servers.
pub fn mail_server() -> Expected {
    passes(Outcome::MailServer)
}

/// Passes: not IP.
pub fn not_ip() -> Expected {
    uninspected(Outcome::NotIp, "not_ip")
}

/// Passes: a fragment that is not the first one.
pub fn fragment() -> Expected {
    uninspected(Outcome::Fragment, "fragment")
}

/// Passes: an IP protocol without ports.
pub fn no_ports() -> Expected {
    uninspected(Outcome::NoPorts, "no_ports")
}

/// Passes: rule 3 or 4 matched, and a customer of this pool is exempted.
pub fn exempted(pool: &str) -> Expected {
    Expected {
        exempted: vec![("inbound_port", pool.to_owned())],
        ..passes(Outcome::Exempted)
    }
}

/// Passes: the answer to a flow that a customer of this pool opened.
pub fn answer(pool: &str) -> Expected {
    Expected {
        answered: Some(pool.to_owned()),
        ..passes(Outcome::Return)
    }
}

/// Dropped under rules 1 to 4, and counted for this port or range.
pub fn inbound(pool: &str, protocol: Protocol, port: impl fmt::Display) -> Expected {
    Expected {
        port: Some((Direction::Inbound, protocol, port.to_string())),
        ..denied("inbound_port", "inbound_port", pool)
    }
}

/// Dropped under rule 5: mail from a customer of this pool.
pub fn smtp_out(pool: &str, port: u16) -> Expected {
    Expected {
        port: Some((Direction::Outbound, Protocol::Tcp, port.to_string())),
        ..denied("smtp_out", "smtp_out", pool)
    }
}

/// Dropped under rule 6: an answer from this port to a customer of this pool.
pub fn smtp_reply(pool: &str, port: u16) -> Expected {
    Expected {
        port: Some((Direction::Reply, Protocol::Tcp, port.to_string())),
        ..denied("smtp_reply", "smtp_reply", pool)
    }
}

/// Dropped under rule 7.
pub fn forged() -> Expected {
    denied("source", "source", crate::configs::NO_POOL)
}

/// Dropped for a broken header.
pub fn malformed(reason: &'static str) -> Expected {
    denied("malformed", reason, crate::configs::NO_POOL)
}

/// Dropped for ports that cannot be read.
pub fn hidden(reason: &'static str, pool: &str) -> Expected {
    denied("hidden_ports", reason, pool)
}

impl Expected {
    /// Not dropped after all: monitor mode counts it and lets it pass.
    pub fn monitored(mut self) -> Self {
        assert_eq!(self.outcome, Outcome::Drop, "only what is dropped");
        self.outcome = Outcome::WouldDrop;
        self
    }

    /// And rule 5 matched before, but a customer of this pool is exempted.
    pub fn smtp_exempted(mut self, pool: &str) -> Self {
        self.exempted.push(("smtp_out", pool.to_owned()));
        self
    }

    /// And it is remembered as a flow that was not remembered before.
    pub fn remembered(mut self) -> Self {
        self.remembered = true;
        self
    }

    /// Whether it is denied for this reason.
    pub fn is_for(&self, reason: &str) -> bool {
        let denied = self.denied.as_ref();
        denied.is_some_and(|(_, why, _)| *why == reason)
    }

    /// Whether the frame goes on.
    pub fn passes(&self) -> bool {
        self.outcome != Outcome::Drop
    }

    /// The change of every counter; what is not in it does not change.
    pub fn counters(&self, interface: &str, arrival: &Arrival) -> Counters {
        let mut counters = Counters::new();
        let mut add = |metric: &str, labels: &[(&str, &str)], n: u64| {
            counters.insert(series(metric, labels), n);
        };
        if self.passes() {
            add("passed_packets", &[("interface", interface)], 1);
        }
        if let Some((rule, reason, pool)) = &self.denied {
            let by_pool = [("pool", pool.as_str()), ("rule", *rule)];
            let by_reason = [("reason", *reason), ("rule", *rule)];
            if self.passes() {
                add("would_drop_packets", &by_pool, 1);
                add("would_drop_by_reason_packets", &by_reason, 1);
            } else {
                add("dropped_packets", &by_pool, 1);
                add("dropped_bytes", &by_pool, arrival.counted_bytes());
                add("dropped_by_reason_packets", &by_reason, 1);
            }
        }
        if let Some((direction, protocol, port)) = &self.port {
            let labels = [
                ("direction", direction.name()),
                ("port", port),
                ("proto", protocol.name()),
            ];
            let how = if self.passes() {
                "would_drop"
            } else {
                "dropped"
            };
            add(&format!("{how}_by_port_packets"), &labels, 1);
        }
        if let Some(reason) = self.uninspected {
            add("uninspected_packets", &[("reason", reason)], 1);
        }
        for (rule, pool) in &self.exempted {
            add("exempted_packets", &[("pool", pool), ("rule", rule)], 1);
        }
        if let Some(pool) = &self.answered {
            add("return_packets", &[("pool", pool)], 1);
        }
        if self.remembered {
            counters.insert(FLOWS.to_owned(), 1);
        }
        // A frame that is all link layer has no byte to count.
        counters.retain(|_, n| *n != 0);
        counters
    }

    /// The verdict in words.
    fn verdict(&self) -> Verdict {
        Verdict {
            outcome: self.outcome,
            reason: self.denied.as_ref().map(|(_, reason, _)| *reason),
        }
    }
}

/// A counter as the metrics write it.
pub fn series(metric: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("poolguard_{metric}_total{{{}}}", labels.join(","))
}

/// What decided, where a filter can be asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which way.
    pub outcome: Outcome,
    /// Why it was dropped or would have been.
    pub reason: Option<&'static str>,
}

/// What a filter did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether the frame goes on.
    pub passes: bool,
    /// Why, where the filter can say so; the kernel returns one bit.
    pub verdict: Option<Verdict>,
}

/// Something that filters: the decision function, the program, the box.
pub trait Filter {
    /// Lets a frame arrive.
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done;

    /// All counters, those that are zero as well, and [`FLOWS`].
    fn counters(&mut self) -> Counters;

    /// Lets time pass.
    fn wait(&mut self, seconds: u64);
}

/// How much there is to tell, for `--nocapture`.
pub fn extent(stories: &[Fixture]) -> String {
    let is_frame = |step: &&Step| matches!(step, Step::Frame { .. });
    let frames = |story: &Fixture| story.steps.iter().filter(is_frame).count();
    let frames: usize = stories.iter().map(frames).sum();
    format!("{} stories, {frames} frames", stories.len())
}

/// Tells a story to a filter, to its end.
///
/// # Errors
///
/// Everything that went other than the story says, in words.
pub fn tell(fixture: &Fixture, filter: &mut impl Filter) -> Result<(), String> {
    let mut complaints = String::new();
    let mut before = filter.counters();
    for (number, step) in fixture.steps.iter().enumerate() {
        let (interface, arrival, expected) = match step {
            Step::Frame {
                interface,
                arrival,
                expected,
            } => (interface, arrival, expected),
            Step::Wait { seconds } => {
                filter.wait(*seconds);
                continue;
            }
        };
        let done = filter.arrive(interface, arrival);
        let after = filter.counters();
        let complaint = compare(interface, arrival, expected, done, &moved(&before, &after));
        before = after;
        if !complaint.is_empty() {
            let place = format!("step {} of {:?}", number + 1, fixture.name);
            let _ = writeln!(
                complaints,
                "{place}\n  {arrival} at {interface}\n{complaint}"
            );
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints)
    }
}

fn compare(
    interface: &str,
    arrival: &Arrival,
    expected: &Expected,
    done: Done,
    moved: &Counters,
) -> String {
    let mut complaint = String::new();
    if done.passes != expected.passes() {
        let word = |passes| if passes { "passes" } else { "is dropped" };
        let (want, got) = (word(expected.passes()), word(done.passes));
        let _ = writeln!(complaint, "  expected that it {want}; it {got}");
    }
    if let Some(verdict) = done.verdict
        && verdict != expected.verdict()
    {
        let want = expected.verdict();
        let _ = writeln!(complaint, "  expected {want:?}\n  decided  {verdict:?}");
    }
    let wanted = expected.counters(interface, arrival);
    for name in wanted
        .keys()
        .chain(moved.keys().filter(|n| !wanted.contains_key(*n)))
    {
        let (want, got) = (wanted.get(name), moved.get(name));
        if want != got {
            let count = |n: Option<&u64>| n.map_or("unchanged".to_owned(), |n| format!("+{n}"));
            let (want, got) = (count(want), count(got));
            let _ = writeln!(complaint, "  {name}: expected {want}, is {got}");
        }
    }
    complaint
}

/// What moved. Counters never go backwards, and a name once there stays.
pub fn moved(before: &Counters, after: &Counters) -> Counters {
    for (name, value) in before {
        let now = after.get(name);
        assert!(now >= Some(value), "{name} went from {value} to {now:?}");
    }
    after
        .iter()
        .map(|(name, value)| (name.clone(), value - before.get(name).unwrap_or(&0)))
        .filter(|(_, difference)| *difference != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configs::{self, DIALUP, Hosts},
        frames::tcp,
        host,
    };

    /// What a story says when it goes wrong.
    fn complaint(expected: Expected) -> String {
        let net = Hosts::v4();
        let frame = tcp((net.internet, 40_000), (net.dialup, 80));
        let story = Fixture::new("a story", configs::base()).network(frame, expected);
        host::tell_one(&story).unwrap_err()
    }

    #[test]
    fn a_wrong_verdict_is_noticed() {
        let complaint = complaint(unwatched());
        assert!(complaint.contains("step 1 of \"a story\""), "{complaint}");
        assert!(
            complaint.contains("expected that it passes; it is dropped"),
            "{complaint}"
        );
        assert!(
            complaint.contains(
                r#"poolguard_passed_packets_total{interface="eth0"}: expected +1, is unchanged"#
            ),
            "{complaint}"
        );
        assert!(
            complaint.contains(
                r#"poolguard_dropped_bytes_total{pool="dialup-east",rule="inbound_port"}: expected unchanged, is +49"#
            ),
            "{complaint}"
        );
    }

    #[test]
    fn a_wrong_reason_is_noticed_though_the_verdict_is_right() {
        let complaint = complaint(hidden("ports_truncated", DIALUP));
        assert!(!complaint.contains("expected that it"), "{complaint}");
        assert!(complaint.contains("decided"), "{complaint}");
        assert!(
            complaint.contains(
                r#"poolguard_dropped_by_port_packets_total{direction="inbound",port="80",proto="tcp"}: expected unchanged, is +1"#
            ),
            "{complaint}"
        );
    }

    #[test]
    fn every_counter_is_looked_at() {
        let complaint = complaint(inbound(DIALUP, Protocol::Tcp, 81));
        assert_eq!(complaint.matches(": expected").count(), 2, "{complaint}");
    }

    #[test]
    #[should_panic = "went from 2 to Some(1)"]
    fn a_counter_that_goes_backwards_is_noticed() {
        let counter = |value| Counters::from([("a".to_owned(), value)]);
        moved(&counter(2), &counter(1));
    }
}
