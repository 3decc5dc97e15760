//! The flows that were seen leaving, and when.

use std::{collections::HashMap, net::IpAddr};

use super::reading::Transport;

/// RFC 5382, REQ-5: two hours and four minutes.
const TCP_SECONDS: u64 = 2 * 3600 + 4 * 60;
/// RFC 4787, REQ-5: five minutes.
const OTHER_SECONDS: u64 = 5 * 60;

/// One flow, as its first sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) from: (IpAddr, u16),
    pub(super) to: (IpAddr, u16),
}

/// The rules say "recently". A packet that comes this soon after the one that
/// was noted need not be noted, and a flow may be remembered that much longer.
const GRACE_SECONDS: u64 = 16;

/// When packets of a flow were seen leaving.
#[derive(Clone, Copy, Debug)]
struct Seen {
    noted: u64,
    last: u64,
}

/// All flows that were seen leaving.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<Flow, Seen>);

impl Flows {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn remember(&mut self, flow: Flow, now: u64) {
        let seen = self.0.entry(flow).or_insert(Seen {
            noted: now,
            last: now,
        });
        seen.last = now;
        if now - seen.noted >= GRACE_SECONDS {
            seen.noted = now;
        }
    }

    /// Whether a packet is the answer to what was recently seen leaving.
    pub(super) fn is_answer(&self, packet: Flow, now: u64) -> bool {
        let reverse = Flow {
            from: packet.to,
            to: packet.from,
            ..packet
        };
        let Some(seen) = self.0.get(&reverse) else {
            return false;
        };
        let lifetime = match packet.transport {
            Transport::Tcp => TCP_SECONDS,
            _ => OTHER_SECONDS,
        };
        let is_answer = now - seen.noted < lifetime + GRACE_SECONDS;
        // What holds whichever packet is noted.
        let silence = now - seen.last;
        assert!(is_answer || silence > lifetime, "{packet:?} at {now}");
        assert!(
            !is_answer || silence < lifetime + GRACE_SECONDS,
            "{packet:?} at {now}"
        );
        is_answer
    }
}
