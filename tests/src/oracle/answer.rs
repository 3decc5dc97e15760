//! What can be seen of an opinion: the verdict, its reason, the counters.

use crate::fixture::{Counters, series};

use super::{
    directory::Directory,
    reading::{Cause, Content, Reading},
    rules::{Fate, Opinion},
};

/// What becomes of a frame, in the words of the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it goes on.
    pub passes: bool,
    /// Which way it went, as `explain` calls it.
    pub outcome: &'static str,
    /// Why it was dropped or would have been.
    pub reason: Option<&'static str>,
    /// How counters move. What is not in it does not.
    pub moved: Counters,
}

/// The pool label where there is no pool.
const NO_POOL: &str = "none";

/// Puts an opinion on a frame of `length` bytes into these words.
pub(super) fn answer(
    opinion: &Opinion<'_>,
    reading: &Reading,
    directory: &Directory<'_>,
    interface: &str,
    length: usize,
) -> Answer {
    let mut tally = Tally::default();
    let pool = opinion.pool.unwrap_or(NO_POOL);
    let fate = opinion.fate;
    if fate.passes() {
        tally.add("passed_packets", &[("interface", interface)], 1);
        if let Some(pool) = opinion.past_rule_5 {
            tally.add(
                "exempted_packets",
                &[("pool", pool), ("rule", "smtp_out")],
                1,
            );
        }
    }
    let uninspected = |tally: &mut Tally, reason| {
        tally.add("uninspected_packets", &[("reason", reason)], 1);
    };
    let (outcome, reason) = match fate {
        Fate::NotIp => {
            uninspected(&mut tally, "not_ip");
            ("not_ip", None)
        }
        Fate::LaterFragment => {
            uninspected(&mut tally, "fragment");
            ("fragment", None)
        }
        Fate::Portless => {
            uninspected(&mut tally, "no_ports");
            ("no_ports", None)
        }
        Fate::Unwatched => ("unwatched", None),
        Fate::Allowed => ("allowed", None),
        Fate::MailServer => ("mail_server", None),
        Fate::Exempted => {
            let labels = [("pool", pool), ("rule", "inbound_port")];
            tally.add("exempted_packets", &labels, 1);
            ("exempted", None)
        }
        Fate::Answer => {
            tally.add("return_packets", &[("pool", pool)], 1);
            ("return", None)
        }
        Fate::WouldDrop(cause) => {
            tally.denied(
                "would_drop",
                cause,
                pool,
                denied_port(cause, reading, directory),
            );
            ("would_drop", Some(cause.name()))
        }
        Fate::Drop(cause) => {
            tally.denied(
                "dropped",
                cause,
                pool,
                denied_port(cause, reading, directory),
            );
            let labels = [("pool", pool), ("rule", cause.rule())];
            tally.add("dropped_bytes", &labels, ip_bytes(reading, length));
            ("drop", Some(cause.name()))
        }
    };
    Answer {
        passes: fate.passes(),
        outcome,
        reason,
        moved: tally.0,
    }
}

/// The bytes from the IP header on.
fn ip_bytes(reading: &Reading, length: usize) -> u64 {
    let at = match reading {
        Reading::NotIp => length,
        Reading::Unreadable(_, at) => *at,
        Reading::Datagram(datagram) => datagram.at,
    };
    (length - at) as u64
}

/// Which way the frame was headed, the label of the port that this is about, and the
/// protocol.
type DeniedPort = (&'static str, String, &'static str);

fn denied_port(cause: Cause, reading: &Reading, directory: &Directory<'_>) -> Option<DeniedPort> {
    let Reading::Datagram(datagram) = reading else {
        return None;
    };
    let Content::Segment(segment) = datagram.content else {
        return None;
    };
    let (direction, port) = match cause {
        Cause::InboundPort => ("inbound", segment.destination_port),
        Cause::SmtpOut => ("outbound", segment.destination_port),
        Cause::SmtpReply => ("reply", segment.source_port),
        _ => return None,
    };
    Some((direction, directory.label(port), segment.transport.name()))
}

#[derive(Default)]
struct Tally(Counters);

impl Tally {
    fn add(&mut self, metric: &str, labels: &[(&str, &str)], n: u64) {
        if n > 0 {
            self.0.insert(series(metric, labels), n);
        }
    }

    fn denied(&mut self, how: &str, cause: Cause, pool: &str, port: Option<DeniedPort>) {
        let rule = ("rule", cause.rule());
        self.add(&format!("{how}_packets"), &[("pool", pool), rule], 1);
        let reason = ("reason", cause.name());
        self.add(&format!("{how}_by_reason_packets"), &[reason, rule], 1);
        // What is about a port, again.
        if let Some((direction, port, protocol)) = port {
            let labels = [
                ("direction", direction),
                ("port", &port),
                ("proto", protocol),
            ];
            self.add(&format!("{how}_by_port_packets"), &labels, 1);
        }
    }
}
