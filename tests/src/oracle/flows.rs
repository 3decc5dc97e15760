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

/// The flows and the second of their last packet.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<Flow, u64>);

impl Flows {
    pub(super) fn remember(&mut self, flow: Flow, now: u64) {
        self.0.insert(flow, now);
    }

    /// Whether a packet is the answer to what was recently seen leaving.
    pub(super) fn is_answer(&self, packet: Flow, now: u64) -> bool {
        let reverse = Flow {
            from: packet.to,
            to: packet.from,
            ..packet
        };
        let lifetime = match packet.transport {
            Transport::Tcp => TCP_SECONDS,
            _ => OTHER_SECONDS,
        };
        self.0
            .get(&reverse)
            .is_some_and(|seen| now - seen <= lifetime)
    }
}
