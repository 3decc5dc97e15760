//! The stories, told on the wire.
//!
//! The box is a bridge between two interfaces, `eth1` toward the customers and
//! `eth0` toward the network, as in the configurations. At the other end of
//! each cable a raw socket sends and receives, in a namespace of its own. What
//! passes comes out at the far side, byte for byte.
//!
//! That a frame is dropped is told without waiting: a *sentinel* is sent after
//! it, which always passes. When the sentinel is there and the frame is not, it
//! will not come any more.

mod beside;
mod choice;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use dataplane::{Dataplane as _, DataplaneError, Demand, Event};
use filter_common::Protocol;
use jiff::Timestamp;
use lab::{
    Namespace, Port, bridge,
    cable::{take_redirected, until_sending},
    cpu::stay_on_this_cpu,
};

pub use beside::Beside;
pub use choice::Choice;
pub use session::Session;

use crate::{
    configs::{CUSTOMERS, Configuration, NETWORK, address},
    fixture::{Counters, Done, FLOWS, Filter, Fixture, Step, extent, series, tell},
    frames::{Arrival, ip, transport},
    host,
    kernel::{Apparatus, for_one_filter_each, must},
};

/// Tells every story, and panics with all that went wrong.
pub fn tell_all(stories: Vec<Fixture>) {
    tell_with(stories, Wire::filtering);
}

/// Tells the same stories to a box whose interfaces are joined by a wire. All else is
/// to be the same.
pub fn tell_all_by_wire(stories: Vec<Fixture>) {
    tell_with(stories, Wire::joining);
}

/// Tells the same stories to a box into which what the network sends comes where nothing
/// filters. All else is to be the same.
///
/// A frame that ends in its tags or in its session gets to no way out: the kernel throws
/// it away as it takes off the tag (`skb_vlan_untag()` in `net/core/skbuff.c`).
pub fn tell_all_on_the_way_out(mut stories: Vec<Fixture>) {
    for story in &mut stories {
        story.steps.retain(|step| match step {
            Step::Frame { expected, .. } => !expected.is_for("link_truncated"),
            Step::Wait { .. } => true,
        });
    }
    tell_with(stories, Beside::filtering);
}

fn tell_with<F: Filter>(stories: Vec<Fixture>, box_with: fn(&Configuration, Timestamp) -> F) {
    let mut complaints = Vec::new();
    for stories in for_one_filter_each(stories) {
        println!("{}", extent(&stories));
        let mut wire = box_with(&stories[0].config, stories[0].now);
        complaints.extend(stories.iter().filter_map(|s| tell(s, &mut wire).err()));
    }
    assert!(
        complaints.is_empty(),
        "{} stories went wrong\n\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

/// The box, and the cables that lead to it.
pub struct Wire {
    /// The two cables.
    pub cables: Cables,
    /// The box and the filter in it.
    pub appliance: Appliance,
    /// Where the far ends of the cables are.
    pub outside: Namespace,
}

/// What is at the other ends of the cables.
const FAR_ENDS: [(&str, &str); 2] = [(CUSTOMERS, "customers"), (NETWORK, "network")];

impl Wire {
    /// A box that filters nothing.
    pub fn new() -> Self {
        let outside = Namespace::new();
        let appliance = Appliance::bridging(&outside, &outside);
        Self::between(appliance, outside)
    }

    /// A box whose interfaces nothing joins.
    pub fn unjoined() -> Self {
        let (inside, outside) = (Namespace::new(), Namespace::new());
        for (interface, outer) in FAR_ENDS {
            inside.join(interface, &outside, outer);
            take_redirected(&inside, interface, &outside, outer);
        }
        Self::between(Appliance::new(inside), outside)
    }

    /// Makes an interface of such a box anew, which was deleted, and its cable.
    pub fn plug_in_again(&mut self, side: Side) {
        let (port, outer) = match side {
            Side::Customers => (&mut self.cables.customers, "customers"),
            Side::Network => (&mut self.cables.network, "network"),
        };
        let (inside, outside) = (&self.appliance.inside, &self.outside);
        inside.join(side.interface(), outside, outer);
        take_redirected(inside, side.interface(), outside, outer);
        *port = Port::open(outside, outer);
    }

    /// Makes the network's interface of a bridging box anew, with this index.
    pub fn give_index(&mut self, index: u32) {
        let (inside, outside) = (&self.appliance.inside, &self.outside);
        let there = outside.path();
        inside.ip("link delete eth0");
        inside.ip(&format!(
            "link add eth0 index {index} up mtu 9000 type veth peer name network mtu 9000 netns {}",
            there.display()
        ));
        outside.ip("link set network up");
        inside.ip("link set eth0 master br0");
        self.until_forwarding(NETWORK);
        self.cables.network = Port::open(&self.outside, "network");
    }

    fn between(appliance: Appliance, outside: Namespace) -> Self {
        stay_on_this_cpu();
        Self {
            cables: Cables {
                customers: Port::open(&outside, "customers"),
                network: Port::open(&outside, "network"),
                sentinels: 0,
                passed: BTreeMap::new(),
            },
            appliance,
            outside,
        }
    }

    /// Waits until the bridge forwards through an interface that was down, and until
    /// the far ends of the cables send again.
    pub fn until_forwarding(&self, interface: &str) {
        bridge::until_forwarding(&self.appliance.inside, interface);
        for (_, far_end) in FAR_ENDS {
            until_sending(&self.outside, far_end);
        }
    }

    /// A box that enforces a configuration, and joins its interfaces by a wire.
    pub fn joining(config: &Configuration, now: Timestamp) -> Self {
        let mut wire = Self::unjoined();
        must(wire.appliance.enforce(&config.clone().by_wire(), now));
        wire
    }

    /// A box that enforces a configuration.
    pub fn filtering(config: &Configuration, now: Timestamp) -> Self {
        let mut wire = Self::new();
        must(wire.appliance.enforce(config, now));
        wire
    }
}

/// The two sides of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Behind `eth1`.
    Customers,
    /// Behind `eth0`.
    Network,
}

impl Side {
    /// The interface of the box on that side.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Customers => CUSTOMERS,
            Self::Network => NETWORK,
        }
    }
}

/// The far ends of the cables to the box.
#[derive(Debug)]
pub struct Cables {
    customers: Port,
    network: Port,
    sentinels: u64,
    /// How many sentinels arrived at each interface of the box.
    passed: BTreeMap<&'static str, u64>,
}

impl Cables {
    /// Sends a frame toward the box, without waiting for what becomes of it.
    pub fn send(&mut self, from: Side, frame: &[u8]) {
        match from {
            Side::Customers => self.customers.send(frame),
            Side::Network => self.network.send(frame),
        }
    }

    /// What has come out at the far side of all that was sent since the last
    /// time. A sentinel is sent, and what arrives before it is what arrives.
    pub fn arrived(&mut self, from: Side) -> Vec<Vec<u8>> {
        self.sentinels += 1;
        let sentinel = sentinel(self.sentinels);
        self.send(from, &sentinel);
        *self.passed.entry(from.interface()).or_default() += 1;
        let far = match from {
            Side::Customers => &mut self.network,
            Side::Network => &mut self.customers,
        };
        let mut arrived = Vec::new();
        loop {
            match far.receive() {
                Some(frame) if frame == sentinel => return arrived,
                Some(frame) => arrived.push(frame),
                None => panic!("a sentinel from {from:?} was lost"),
            }
        }
    }

    /// Forgets the sentinels sent so far: nothing has counted them.
    pub fn forget(&mut self) {
        self.passed.clear();
    }

    /// Takes the sentinels out of what a box has counted.
    pub fn without_sentinels(&self, mut counters: Counters) -> Counters {
        for (interface, passed) in &self.passed {
            let name = series("passed_packets", &[("interface", interface)]);
            let counter = counters.get_mut(&name).unwrap();
            assert!(*counter >= *passed, "every sentinel is counted");
            *counter -= passed;
        }
        counters
    }
}

/// The box and the filter in it.
pub struct Appliance {
    /// Where its interfaces are.
    pub inside: Namespace,
    /// Its data plane.
    pub apparatus: Apparatus,
}

impl Appliance {
    /// With these interfaces, and without a configuration.
    pub fn new(inside: Namespace) -> Self {
        Self {
            inside,
            apparatus: Apparatus::open(),
        }
    }

    /// A bridge between an interface `customers` of the one namespace and an
    /// interface `network` of the other.
    pub fn bridging(customers: &Namespace, network: &Namespace) -> Self {
        let inside = Namespace::new();
        for ((interface, outer), outside) in FAR_ENDS.into_iter().zip([customers, network]) {
            inside.join(interface, outside, outer);
        }
        bridge::build(&inside, &FAR_ENDS.map(|(interface, _)| interface));
        Self::new(inside)
    }

    /// Puts a configuration into force, as a start or a reload does.
    ///
    /// # Errors
    ///
    /// When the data plane refuses.
    pub fn enforce(
        &mut self,
        config: &Configuration,
        now: Timestamp,
    ) -> Result<(), DataplaneError> {
        let compiled = host::load(config, now);
        let dataplane = self.apparatus.dataplane();
        let generation = dataplane.load(&compiled)?;
        self.inside
            .run(|| dataplane.enforce(generation, Demand::All))
            .map(drop)
    }

    /// Has another controller take over from one that died.
    pub fn restart(&mut self) {
        let apparatus = &mut self.apparatus;
        apparatus.abandon();
        // What is attached here is another's anywhere else.
        self.inside.run(|| apparatus.take_over());
    }

    /// What the data plane notices of its interfaces, a line each.
    pub fn reconcile(&mut self) -> Vec<String> {
        let dataplane = self.apparatus.dataplane();
        let events = must(self.inside.run(|| dataplane.reconcile(&BTreeSet::new())));
        let told = events.into_iter().map(|(interface, event)| match event {
            Event::Attached => format!("{interface} attached"),
            Event::Lost => format!("{interface} lost"),
            Event::Failed(error) => format!("{interface} failed: {error}"),
            Event::Unpinned(error) => format!("{interface} unpinned: {error}"),
            Event::Unfit(error) => format!("{interface} unfit: {error}"),
            Event::Open(error) => format!("{interface} open: {error}"),
        });
        told.collect()
    }

    /// All counters, those of sentinels included.
    pub fn counters(&self) -> Counters {
        host::read(&must(self.apparatus.books().totals()))
    }

    /// How many flows are remembered.
    pub fn flows(&mut self) -> u64 {
        must(self.apparatus.dataplane().flows()).table_use().entries
    }

    /// Its directory in bpffs.
    pub fn pins(&self) -> PathBuf {
        self.apparatus.instance().pin_directory()
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // What was set on the interfaces is set back where they are.
        let apparatus = &mut self.apparatus;
        self.inside.run(|| apparatus.clean_up());
    }
}

/// What became of a frame of which this arrived at the far end: it, or nothing.
#[track_caller]
fn what_became_of(frame: &Arrival, arrived: &[Vec<u8>]) -> Done {
    assert!(arrived.len() <= 1, "one frame was sent: {arrived:02x?}");
    for other in arrived {
        assert_eq!(*other, frame.bytes, "another frame");
    }
    Done {
        passes: !arrived.is_empty(),
        verdict: None,
    }
}

impl Filter for Wire {
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done {
        let from = if interface == CUSTOMERS {
            Side::Customers
        } else {
            Side::Network
        };
        self.cables.send(from, &frame.bytes);
        let arrived = self.cables.arrived(from);
        what_became_of(frame, &arrived)
    }

    fn counters(&mut self) -> Counters {
        let mut counters = self.cables.without_sentinels(self.appliance.counters());
        counters.insert(FLOWS.to_owned(), self.appliance.flows());
        counters
    }

    fn wait(&mut self, _seconds: u64) {
        unreachable!("no test waits for time to pass");
    }
}

/// A frame that passes under every configuration: to a port that nobody
/// forbids, between addresses that are in no pool, the first of them one that rule 7
/// lets past. No two are the same.
fn sentinel(number: u64) -> Vec<u8> {
    let [from, to] = ["169.254.2.201", "192.0.2.202"].map(address);
    let mut payload = transport::segment(Protocol::Udp, 9, 9);
    payload.extend_from_slice(&number.to_be_bytes());
    ip(from, to, Protocol::Udp.number(), &payload)
        .arrival()
        .bytes
}
