//! A bridge that the real binary filters, and the far ends of its cables.

use std::time::Duration;

use lab::{Machine, Namespace, Port, bridge};

use crate::{configs::address, frames::tcp, wire::Side};

/// How long a frame may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long frames that are not to arrive are waited for.
const MOMENT: Duration = Duration::from_millis(20);

/// The two configurations agree on every probe, and on nothing else that can be
/// different.
pub(crate) const CONFIGURATIONS: [&str; 2] = [
    r#"
max_change = "100%"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24", "2001:db8:100::/40"]
[[pool]]
name = "business"
kind = "static"
prefixes = ["203.0.113.0/24"]
[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [443]
"#,
    r#"
max_change = "100%"
[ports]
forbidden = [8080, 8000, 443, 80, 25, 6667, 119]
return_traffic = "syn"
[[interface]]
name = "eth0"
role = "network"
[[interface]]
name = "eth1"
role = "customer"
[mail]
servers = ["192.0.2.0/24", "2001:db8:25::/64"]
[[pool]]
name = "elsewhere"
kind = "virtual-pop"
prefixes = ["10.0.0.0/8", "2001:db8:ffff::/48"]
[[pool]]
name = "leased-lines"
kind = "static"
prefixes = ["203.0.113.0/28", "10.9.0.0/16"]
forbidden = [443, 8080, 1]
[[pool]]
name = "dialup-again"
kind = "dynamic"
prefixes = ["198.51.100.0/25", "2001:db8:100::/44"]
[[customer]]
name = "acme-and-sons"
prefixes = ["203.0.113.8/30"]
allow_inbound = ["443/tcp", 1]
allow_smtp_out = true
"#,
];

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The customers' side.
    Customers,
    /// The network's.
    Network,
    /// An interface where nothing is filtered: its frames are judged on their way out.
    Unfiltered,
}

impl Origin {
    /// Which side the frames arrive on that pass.
    pub(super) fn far_side(self) -> Side {
        match self {
            Self::Customers => Side::Network,
            Self::Network | Self::Unfiltered => Side::Customers,
        }
    }
}

/// A kind of frame whose fate no fault may change.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) from: Origin,
    pub(super) passes: bool,
    frame: Vec<u8>,
    /// Where its TCP sequence number is.
    number_at: usize,
}

/// Source, destination and destination port, from where, and whether it is to pass. The
/// last one from everywhere passes.
const PROBES: [(Origin, &str, &str, u16, bool); 16] = [
    (Origin::Network, "192.0.2.200", "198.51.100.9", 80, false),
    (Origin::Network, "192.0.2.200", "203.0.113.9", 443, true),
    (Origin::Network, "192.0.2.200", "203.0.113.9", 8080, false),
    (Origin::Network, "2001:db8::9", "2001:db8:100::9", 25, false),
    (Origin::Network, "2001:db8::9", "2001:db8:100::9", 22, true),
    (Origin::Network, "192.0.2.200", "198.51.100.9", 81, true),
    (Origin::Customers, "198.51.100.9", "192.88.99.9", 25, false),
    (Origin::Customers, "198.51.100.9", "192.0.2.25", 25, true),
    (
        Origin::Customers,
        "2001:db8:100::9",
        "2001:db8::9",
        25,
        false,
    ),
    (
        Origin::Customers,
        "2001:db8:100::9",
        "2001:db8::9",
        443,
        true,
    ),
    (Origin::Customers, "198.51.100.9", "192.88.99.9", 80, true),
    (Origin::Unfiltered, "192.0.2.201", "198.51.100.9", 80, false),
    (Origin::Unfiltered, "192.0.2.201", "203.0.113.9", 443, true),
    (
        Origin::Unfiltered,
        "192.0.2.201",
        "203.0.113.9",
        8080,
        false,
    ),
    (
        Origin::Unfiltered,
        "2001:db8::8",
        "2001:db8:100::9",
        25,
        false,
    ),
    (Origin::Unfiltered, "192.0.2.201", "198.51.100.9", 81, true),
];

/// Of the probes, those from the network: to a dynamic customer, to a static one,
/// who can be exempted, and one that passes.
pub(crate) const FORBIDDEN: usize = 0;
pub(super) const EXEMPTED: usize = 2;
const PERMITTED: usize = 5;

/// The far ends of the cables.
#[derive(Debug)]
pub(crate) struct Ends {
    customers: Port,
    network: Port,
    /// Of [`UNFILTERED`], where the box has one.
    unfiltered: Option<Port>,
    pub(super) probes: Vec<Probe>,
    sent: u32,
}

impl Ends {
    pub(crate) fn new(outside: &Namespace) -> Self {
        Self {
            customers: port(outside, "eth1"),
            network: port(outside, "eth0"),
            unfiltered: None,
            probes: probes(|from| from != Origin::Unfiltered),
            sent: 0,
        }
    }

    /// Sends from where nothing is filtered, too.
    fn with_unfiltered(self, outside: &Namespace) -> Self {
        Self {
            unfiltered: Some(port(outside, UNFILTERED)),
            probes: probes(|_| true),
            ..self
        }
    }

    /// Sends nothing but what is forbidden, and so waits a moment for what should not
    /// arrive.
    pub(crate) fn forbidden_alone(mut self) -> Self {
        self.probes.retain(|probe| !probe.passes);
        Self {
            customers: self.customers.with_patience(MOMENT),
            network: self.network.with_patience(MOMENT),
            ..self
        }
    }

    /// Where all can come from that is sent.
    pub(super) fn origins(&self) -> impl Iterator<Item = Origin> + use<> {
        let unfiltered = self.unfiltered.as_ref().map(|_| Origin::Unfiltered);
        [Origin::Customers, Origin::Network]
            .into_iter()
            .chain(unfiltered)
    }

    /// The next frame that arrives on a side.
    pub(super) fn receive(&mut self, side: Side) -> Option<Vec<u8>> {
        match side {
            Side::Customers => self.customers.receive(),
            Side::Network => self.network.receive(),
        }
    }

    /// Sends a frame of this kind, and gives back its number.
    pub(super) fn send(&mut self, kind: usize) -> u32 {
        self.sent += 1;
        let probe = &mut self.probes[kind];
        probe.frame[probe.number_at..][..4].copy_from_slice(&self.sent.to_be_bytes());
        let (from, frame) = (probe.from, probe.frame.clone());
        let port = match from {
            Origin::Customers => Some(&mut self.customers),
            Origin::Network => Some(&mut self.network),
            Origin::Unfiltered => self.unfiltered.as_mut(),
        };
        port.expect("its probes are sent").send(&frame);
        self.sent
    }

    /// Whether a frame of this kind, from the network, passes at the moment.
    pub(crate) fn passes(&mut self, kind: usize) -> bool {
        let number = self.send(kind);
        let after_it = self.send(PERMITTED);
        let mut passed = false;
        loop {
            let frame = self.receive(Side::Customers);
            match self.number(&frame.expect("what is permitted passes")) {
                arrived if arrived == after_it => return passed,
                arrived => passed |= arrived == number,
            }
        }
    }

    /// The number of a frame that has arrived: none is there but those sent.
    pub(super) fn number(&self, frame: &[u8]) -> u32 {
        let is = |probe: &&Probe| {
            let (before, after) = (probe.number_at, probe.number_at + 4);
            frame.len() == probe.frame.len()
                && frame[..before] == probe.frame[..before]
                && frame[after..] == probe.frame[after..]
        };
        let probe = self.probes.iter().find(is);
        let probe = probe.unwrap_or_else(|| panic!("a frame that nobody sent: {frame:02x?}"));
        let bytes = frame[probe.number_at..][..4].try_into();
        u32::from_be_bytes(bytes.expect("four bytes"))
    }
}

/// All probes from such places.
fn probes(wanted: impl Fn(Origin) -> bool) -> Vec<Probe> {
    let probes = PROBES.iter().filter(|(from, ..)| wanted(*from));
    let probes = probes.map(|&(from, source, destination, port, passes)| {
        let [source, destination] = [source, destination].map(address);
        let arrival = tcp((source, 40_000), (destination, port)).arrival();
        let header = if source.is_ipv4() { 20 } else { 40 };
        Probe {
            from,
            passes,
            number_at: arrival.ip_offset + header + 4,
            frame: arrival.bytes,
        }
    });
    probes.collect()
}

fn port(outside: &Namespace, interface: &str) -> Port {
    Port::open(outside, interface).with_patience(PATIENCE)
}

/// Makes a bridge of a box, and its two interfaces ports of that.
pub(crate) fn make_bridge(inside: &Namespace) {
    bridge::build(inside, &["eth0", "eth1"]);
}

/// An interface of the box that no configuration names, beside the network's.
const UNFILTERED: &str = "eth2";

/// Keeps the frames of these two interfaces from each other: both lead to customers only.
fn part_from_each_other(inside: &Namespace) {
    for interface in ["eth0", UNFILTERED] {
        inside.ip(&format!(
            "link set {interface} type bridge_slave isolated on"
        ));
    }
}

/// The box, with a bpffs of its own.
pub(super) struct Site {
    pub(super) machine: Machine,
    pub(super) ends: Ends,
}

impl Site {
    pub(super) fn new() -> Self {
        let machine = Machine::with_bpffs();
        machine.add_veth(UNFILTERED);
        bridge::build(&machine.namespace, &["eth0", "eth1", UNFILTERED]);
        part_from_each_other(&machine.namespace);
        machine.configure(CONFIGURATIONS[0]);
        Self {
            ends: Ends::new(&machine.outside).with_unfiltered(&machine.outside),
            machine,
        }
    }

    /// Makes the network's interface, which is another one now, a port of the
    /// bridge.
    pub(super) fn plug_in(&mut self) {
        let inside = &self.machine.namespace;
        inside.ip("link set eth0 master br0");
        bridge::until_forwarding(inside, "eth0");
        part_from_each_other(inside);
        self.ends.network = port(&self.machine.outside, "eth0");
    }
}
