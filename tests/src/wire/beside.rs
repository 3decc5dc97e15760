//! The stories, told on the wire past the filter's arrival: what the network sends comes
//! in at an interface without the filter, and is judged on its way out to the customers.

use jiff::Timestamp;
use lab::{Port, bridge};

use super::{FAR_ENDS, Wire, sentinel, what_became_of};
use crate::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    fixture::{Counters, Done, FLOWS, Filter, series},
    frames::Arrival,
    kernel::as_if_arrived,
};

/// The interface without the filter.
const BESIDE: &str = "eth2";

/// A box with a third interface in its bridge.
pub struct Beside {
    wire: Wire,
    port: Port,
    sentinels: u64,
}

impl Beside {
    /// One that enforces a configuration.
    pub fn filtering(config: &Configuration, now: Timestamp) -> Self {
        let wire = Wire::filtering(config, now);
        let inside = &wire.appliance.inside;
        inside.join(BESIDE, &wire.outside, "beside");
        inside.ip(&format!("link set {BESIDE} master br0"));
        // What comes in at the one does not go out at the other.
        for port in [BESIDE, NETWORK] {
            inside.ip(&format!("link set {port} type bridge_slave isolated on"));
        }
        bridge::until_forwarding(inside, BESIDE);
        for (_, far_end) in FAR_ENDS {
            lab::cable::until_sending(&wire.outside, far_end);
        }
        let port = Port::open(&wire.outside, "beside");
        Self {
            wire,
            port,
            sentinels: 0,
        }
    }

    /// What comes out toward the customers of a frame that comes in there.
    pub fn sends(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.port.send(frame);
        self.sentinels += 1;
        // No other sender's.
        let sentinel = sentinel(u64::MAX - self.sentinels);
        self.port.send(&sentinel);
        let mut arrived = Vec::new();
        loop {
            match self.wire.cables.customers.receive() {
                Some(frame) if frame == sentinel => return arrived,
                Some(frame) => arrived.push(frame),
                None => panic!("a sentinel was lost"),
            }
        }
    }
}

impl Filter for Beside {
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done {
        if interface != NETWORK {
            return self.wire.arrive(interface, frame);
        }
        let arrived = self.sends(&frame.bytes);
        what_became_of(frame, &arrived)
    }

    fn counters(&mut self) -> Counters {
        let counters = self.wire.appliance.counters();
        let mut counters = self.wire.cables.without_sentinels(counters);
        let passed = series("egress_passed_packets", &[("interface", CUSTOMERS)]);
        let passed = counters.get_mut(&passed);
        *passed.unwrap_or_else(|| panic!("it is counted")) -= self.sentinels;
        counters.insert(FLOWS.to_owned(), self.wire.appliance.flows());
        as_if_arrived(counters)
    }

    fn wait(&mut self, _seconds: u64) {
        unreachable!("no test waits for time to pass");
    }
}
