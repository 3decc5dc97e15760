//! The way out: what was not judged on arrival is judged where it leaves toward customers,
//! and nothing is judged twice. Needs root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::{Command, Stdio},
    time::Duration,
};

use aya::{
    Ebpf,
    programs::{LinkOrder, SchedClassifier, TcAttachType, tc::TcAttachOptions},
};
use dataplane::{Dataplane as _, DataplaneError, Demand, Event, ExitState, Way};
use filter_common::{Protocol, abi::JUDGED_BELOW_DEVICES};
use jiff::Timestamp;
use lab::{Namespace, Port, Scatterer, cable::has_tcx, command, pinned_link};
use poolguard_tests::{
    chapters,
    configs::{self, CUSTOMERS, Configuration, DIALUP, Hosts, NETWORK},
    fixture::{Counters, Fixture, inbound, moved, series, tell, unwatched},
    frames::{Arrival, tcp, udp},
    host,
    kernel::{TC_ACT_SHOT, TC_ACT_UNSPEC, must},
    test_each,
    wire::{self, Appliance, Choice, Side, Wire},
};

/// The stories that are told on the way out.
mod stories {
    use super::{Choice, Fixture, chapters, configs, test_each, wire};

    fn choice() -> Choice {
        Choice {
            of: vec![configs::base(), configs::monitor_box()],
            alone: &[
                "an answer passes once the customer has spoken (tcp, IPv4)",
                "a range is closed, and its neighbours are open (IPv4)",
            ],
            // They are about interfaces of another role.
            untold: &["a_mixed_interface_knows_customers_by_their_addresses"],
        }
    }

    fn tell(stories: Vec<Fixture>) {
        wire::tell_all_on_the_way_out(choice().among(stories));
    }

    chapters!(test_each, tell);

    #[test]
    fn the_choice_of_stories_holds() {
        choice().check();
    }
}

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// A frame that the base configuration permits.
fn open() -> Arrival {
    let net = Hosts::v4();
    tcp((net.internet, 40_000), (net.dialup, 81)).arrival()
}

/// A frame that it drops.
fn closed() -> Arrival {
    let net = Hosts::v4();
    tcp((net.internet, 40_000), (net.dialup, 80)).arrival()
}

/// The base configuration without the way out.
fn off() -> Configuration {
    configs::base().with(
        "role = \"customer\"",
        "role = \"customer\"\negress = \"off\"",
    )
}

/// The base configuration without the network's interface.
fn customers_alone() -> Configuration {
    let network = format!("[[interface]]\nname = \"{NETWORK}\"\nrole = \"network\"\n");
    configs::base().with(&network, "")
}

const WAYS: [Way; 2] = [Way::Tcx, Way::Clsact];

/// A box, and somebody on it who sends.
struct Sender {
    wire: Wire,
    port: Port,
}

impl Sender {
    fn on(wire: Wire) -> Self {
        let port = Port::open(&wire.appliance.inside, CUSTOMERS);
        Self { wire, port }
    }

    /// One that goes this way; none where the kernel does not know it.
    fn by(way: Way) -> Option<Self> {
        if way == Way::Tcx && !has_tcx() {
            println!("skipped: this kernel has no tcx");
            return None;
        }
        let mut wire = Wire::new();
        if way == Way::Clsact {
            wire.appliance.apparatus.without_tcx();
        }
        must(wire.appliance.enforce(&configs::base(), now()));
        let sender = Self::on(wire);
        assert_eq!(sender.state(), ExitState::Attached(way));
        Some(sender)
    }

    fn state(&self) -> ExitState {
        let readings = self.wire.appliance.apparatus.readings();
        self.wire
            .appliance
            .inside
            .run(|| readings.way_out(CUSTOMERS))
    }

    /// Sends a frame toward the customers. Says whether it gets there.
    fn sends(&mut self, frame: &Arrival) -> bool {
        let sent = self.port.try_send(&frame.bytes);
        let arrived = self.wire.cables.arrived(Side::Network);
        match sent {
            Ok(()) => assert_eq!(arrived, std::slice::from_ref(&frame.bytes)),
            // So the kernel tells of what `tc` drops.
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(nix::libc::ENOBUFS), "{error}");
                assert_eq!(arrived, [[0_u8; 0]; 0]);
            }
        }
        !arrived.is_empty()
    }

    fn judges(&mut self) -> bool {
        assert!(self.sends(&open()));
        !self.sends(&closed())
    }

    fn counters(&self) -> Counters {
        let counters = self.wire.appliance.counters();
        self.wire.cables.without_sentinels(counters)
    }

    /// The number of the link at the way out.
    fn link(&self) -> u64 {
        let pins = self.wire.appliance.pins().join("links/tcx");
        let pin = pins.read_dir().unwrap().next().unwrap().unwrap().path();
        pinned_link(&pin)["id"].as_u64().unwrap()
    }

    fn filters(&self) -> String {
        self.tc(&format!("filter show dev {CUSTOMERS} egress"))
    }

    fn tc(&self, words: &str) -> String {
        self.wire.appliance.inside.run(|| command("tc", words))
    }
}

fn at(metric: &str, interface: &str) -> String {
    series(metric, &[("interface", interface)])
}

#[test]
fn what_the_box_sends_is_judged_and_counted_where_it_leaves() {
    for way in WAYS {
        let Some(mut sender) = Sender::by(way) else {
            continue;
        };
        let before = sender.counters();
        assert!(sender.judges(), "{way:?}");
        let mut wanted = inbound(DIALUP, Protocol::Tcp, 80).counters(CUSTOMERS, &closed());
        wanted.insert(at("egress_passed_packets", CUSTOMERS), 1);
        wanted.insert(at("egress_dropped_packets", CUSTOMERS), 1);
        assert_eq!(moved(&before, &sender.counters()), wanted, "{way:?}");
    }
}

/// Through the kernel's own sockets.
#[test]
fn a_connection_that_the_box_opens_is_judged() {
    let wire = Wire::filtering(&configs::base(), now());
    let inside = &wire.appliance.inside;
    // So that it does not go to both sides. First, since a bridge has the lowest address
    // of its ports, and forgets its neighbours when it gets another one.
    inside.ip("link set eth0 nomaster");
    inside.ip("addr add 192.0.2.200/24 dev br0");
    inside.ip("route add 198.51.100.0/24 dev br0");
    inside.ip("neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev br0");
    let before = wire.appliance.counters();
    inside.run(|| {
        for port in [80, 81] {
            let to = SocketAddr::new(Hosts::v4().dialup, port);
            let answer = TcpStream::connect_timeout(&to, Duration::from_millis(100));
            assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            // The kernel may or may not tell.
            let _dropped = socket.send_to(b"hello", to);
        }
    });
    let moved = moved(&before, &wire.appliance.counters());
    for protocol in ["tcp", "udp"] {
        let labels = [
            ("direction", "inbound"),
            ("port", "80"),
            ("proto", protocol),
        ];
        let dropped = moved[&series("dropped_by_port_packets", &labels)];
        assert_eq!(dropped, 1, "{protocol} in {moved:?}");
    }
    assert_eq!(moved[&at("egress_dropped_packets", CUSTOMERS)], 2);
    assert!(
        moved[&at("egress_passed_packets", CUSTOMERS)] >= 2,
        "{moved:?}"
    );
}

#[test]
fn what_was_judged_on_arrival_is_not_judged_again() {
    let mut wire = Wire::filtering(&configs::base(), now());
    let before = wire.appliance.counters();
    let story = Fixture::new("the box forwards", configs::base())
        .network(open(), unwatched())
        .network(closed(), inbound(DIALUP, Protocol::Tcp, 80));
    tell(&story, &mut wire).unwrap_or_else(|complaints| panic!("{complaints}"));
    let after = wire.appliance.counters();
    for metric in ["egress_passed_packets", "egress_dropped_packets"] {
        assert_eq!(moved(&before, &after).get(&at(metric, CUSTOMERS)), None);
    }
    // Nor what the kernel has taken up into another device before it sends it on: here
    // the bridge, all of whose ports are judged.
    let net = Hosts::v4();
    let inside = &wire.appliance.inside;
    inside.ip("addr add 192.0.2.200/24 dev br0");
    inside.ip("route add 198.51.100.0/24 dev br0");
    inside.ip("neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev br0");
    inside.sysctl("ipv4/ip_forward", "1").unwrap();
    inside.sysctl("ipv4/conf/all/rp_filter", "0").unwrap();
    inside.sysctl("ipv4/conf/br0/rp_filter", "0").unwrap();
    inside.sysctl("ipv4/conf/all/send_redirects", "0").unwrap();
    inside.sysctl("ipv4/conf/br0/send_redirects", "0").unwrap();
    let shown: serde_json::Value = serde_json::from_str(&inside.ip("-json link show br0")).unwrap();
    let own = shown[0]["address"].as_str().unwrap().to_owned();
    let mut routed = udp((net.internet, 40_000), (net.dialup, 81)).arrival();
    for (byte, text) in routed.bytes.iter_mut().zip(own.split(':')) {
        *byte = u8::from_str_radix(text, 16).unwrap();
    }
    wire.cables.send(Side::Network, &routed.bytes);
    let arrived = wire.cables.arrived(Side::Network);
    assert_eq!(arrived.len(), 1, "it is routed: {arrived:02x?}");
    assert_ne!(arrived[0], routed.bytes);
    let moved = moved(&before, &wire.appliance.counters());
    assert_eq!(moved.get(&at("egress_passed_packets", CUSTOMERS)), None);
}

/// Those with low indices are looked up in another table than the rest.
#[test]
fn what_was_judged_on_arrival_is_known_whatever_the_index_of_the_device() {
    for index in [JUDGED_BELOW_DEVICES - 1, JUDGED_BELOW_DEVICES] {
        let mut wire = Wire::new();
        wire.give_index(index);
        must(wire.appliance.enforce(&configs::base(), now()));
        let counted = |wire: &Wire| wire.cables.without_sentinels(wire.appliance.counters());
        let before = counted(&wire);
        wire.cables.send(Side::Network, &open().bytes);
        assert_eq!(wire.cables.arrived(Side::Network), [open().bytes]);
        let arrived = (at("passed_packets", NETWORK), 1);
        assert_eq!(moved(&before, &counted(&wire)), Counters::from([arrived]));
        // Once nothing filters there any more, it is judged on its way out.
        must(wire.appliance.enforce(&customers_alone(), now()));
        let before = wire.appliance.counters();
        wire.cables.send(Side::Network, &closed().bytes);
        assert_eq!(wire.cables.arrived(Side::Network), [[0_u8; 0]; 0]);
        let moved = moved(&before, &wire.appliance.counters());
        let dropped = moved[&at("egress_dropped_packets", CUSTOMERS)];
        assert_eq!(dropped, 1, "index {index}");
    }
}

#[test]
fn a_controller_that_dies_leaves_the_way_out_filtered_and_the_next_takes_it_over() {
    for way in WAYS {
        let Some(mut sender) = Sender::by(way) else {
            continue;
        };
        sender.wire.appliance.apparatus.abandon();
        assert!(sender.port.try_send(&closed().bytes).is_err(), "{way:?}");
        sender.wire.appliance.restart();
        if way == Way::Clsact {
            sender.wire.appliance.apparatus.without_tcx();
        }
        let link = (way == Way::Tcx).then(|| sender.link());
        must(sender.wire.appliance.enforce(&configs::base(), now()));
        assert_eq!(sender.state(), ExitState::Attached(way));
        // Replaced where it is.
        assert_eq!((way == Way::Tcx).then(|| sender.link()), link);
        assert!(sender.judges(), "{way:?}");
        let dropped = sender.counters()[&at("egress_dropped_packets", CUSTOMERS)];
        assert_eq!(dropped, 2, "{way:?}: none is lost");
    }
}

#[test]
fn a_reload_turns_it_off_and_on_and_detaching_leaves_nothing() {
    for way in WAYS {
        let Some(mut sender) = Sender::by(way) else {
            continue;
        };
        must(sender.wire.appliance.enforce(&off(), now()));
        assert_eq!(sender.state(), ExitState::Open);
        assert!(!sender.judges(), "{way:?}");
        assert!(
            !sender
                .tc(&format!("qdisc show dev {CUSTOMERS}"))
                .contains("clsact")
        );
        must(sender.wire.appliance.enforce(&configs::base(), now()));
        assert!(sender.judges(), "{way:?}");
        let pins = sender.wire.appliance.pins();
        let Sender { wire, mut port } = sender;
        let mut wire = wire;
        let apparatus = &mut wire.appliance.apparatus;
        wire.appliance.inside.run(|| apparatus.detach());
        assert!(!pins.exists());
        port.try_send(&closed().bytes).unwrap();
        let shown = wire
            .appliance
            .inside
            .run(|| command("tc", &format!("qdisc show dev {CUSTOMERS}")));
        assert!(!shown.contains("clsact"), "{shown}");
    }
}

#[test]
fn what_others_have_at_the_way_out_is_left_alone() {
    let mut wire = Wire::new();
    let inside = &wire.appliance.inside;
    let theirs = [
        "qdisc add dev eth1 clsact",
        "filter add dev eth1 egress u32 match u32 0 0 classid 1:1",
    ];
    for words in theirs {
        inside.run(|| command("tc", words));
    }
    wire.appliance.apparatus.without_tcx();
    must(wire.appliance.enforce(&configs::base(), now()));
    let mut sender = Sender::on(wire);
    assert!(sender.judges());
    assert!(
        sender.filters().contains("poolguard-test-"),
        "{}",
        sender.filters()
    );
    must(sender.wire.appliance.enforce(&off(), now()));
    assert!(!sender.judges());
    let left = sender.filters();
    assert!(
        left.contains("u32") && !left.contains("poolguard"),
        "{left}"
    );
    // A qdisc that somebody made is not ours to remove, nor one that somebody uses.
    assert!(sender.tc("qdisc show dev eth1").contains("clsact"));
    sender.tc("filter del dev eth1 egress");
    sender.tc("qdisc del dev eth1 clsact");
    must(sender.wire.appliance.enforce(&configs::base(), now()));
    sender.tc("filter add dev eth1 ingress u32 match u32 0 0 classid 1:1");
    must(sender.wire.appliance.enforce(&off(), now()));
    assert!(sender.tc("filter show dev eth1 ingress").contains("u32"));
}

/// The programs that tcx runs at the way out, by their names, the first one first.
fn programs(namespace: &Namespace) -> Vec<String> {
    let query = || SchedClassifier::query_tcx(CUSTOMERS, TcAttachType::Egress).unwrap();
    let (_, programs) = namespace.run(query);
    let names = programs.iter().map(|info| info.name_as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn another_program_that_tcx_runs_is_left_alone_and_does_not_come_first() {
    if !has_tcx() {
        println!("skipped: this kernel has no tcx");
        return;
    }
    const OURS: &str = "poolguard_out";
    const THEIRS: &str = "stranger";
    let mut wire = Wire::new();
    let mut object = Ebpf::load(include_bytes!("../src/kernel/stranger.o")).unwrap();
    let stranger = object.program_mut(THEIRS).unwrap();
    let stranger: &mut SchedClassifier = stranger.try_into().unwrap();
    stranger.load().unwrap();
    let options = TcAttachOptions::TcxOrder(LinkOrder::last());
    let attach = || stranger.attach_with_options(CUSTOMERS, TcAttachType::Egress, options);
    wire.appliance.inside.run(attach).unwrap();

    must(wire.appliance.enforce(&configs::base(), now()));
    assert_eq!(programs(&wire.appliance.inside), [OURS, THEIRS]);
    let mut sender = Sender::on(wire);
    assert!(sender.judges());
    must(sender.wire.appliance.enforce(&configs::base(), now()));
    assert_eq!(programs(&sender.wire.appliance.inside), [OURS, THEIRS]);
    must(sender.wire.appliance.enforce(&off(), now()));
    assert_eq!(programs(&sender.wire.appliance.inside), [THEIRS]);
    assert!(!sender.judges());
    must(sender.wire.appliance.enforce(&configs::base(), now()));
    let Appliance {
        apparatus, inside, ..
    } = &mut sender.wire.appliance;
    inside.run(|| apparatus.detach());
    assert_eq!(programs(inside), [THEIRS]);
}

/// Whoever comes later may ask the kernel for the first place.
#[test]
fn another_program_that_came_first_later_is_said() {
    if !has_tcx() {
        println!("skipped: this kernel has no tcx");
        return;
    }
    let Some(mut sender) = Sender::by(Way::Tcx) else {
        return;
    };
    let mut object = Ebpf::load(include_bytes!("../src/kernel/stranger.o")).unwrap();
    let stranger: &mut SchedClassifier =
        object.program_mut("stranger").unwrap().try_into().unwrap();
    stranger.load().unwrap();
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let attach = || stranger.attach_with_options(CUSTOMERS, TcAttachType::Egress, options);
    let link = sender.wire.appliance.inside.run(attach).unwrap();
    // It ends the decision.
    assert!(!sender.judges());
    assert_eq!(sender.state(), ExitState::Behind(Way::Tcx));
    // It is nobody's to move.
    assert_eq!(sender.wire.appliance.reconcile(), [""; 0]);
    must(sender.wire.appliance.enforce(&configs::base(), now()));
    assert_eq!(sender.state(), ExitState::Behind(Way::Tcx));
    stranger.detach(link).unwrap();
    assert!(sender.judges());
    assert_eq!(sender.state(), ExitState::Attached(Way::Tcx));
}

#[test]
fn where_neither_way_is_to_be_had_it_is_said_what_to_write() {
    let mut wire = Wire::new();
    // In the place of clsact.
    wire.appliance
        .inside
        .run(|| command("tc", "qdisc add dev eth1 ingress"));
    wire.appliance.apparatus.without_tcx();
    let error = wire.appliance.enforce(&configs::base(), now()).unwrap_err();
    assert!(matches!(&error, DataplaneError::Egress { interface, .. } if interface == CUSTOMERS));
    let text = error.to_string();
    for wanted in ["interface eth1", "at the way out", "`egress = \"off\"`"] {
        assert!(text.contains(wanted), "{wanted:?} in {text}");
    }
    // Nothing of it has come into force.
    assert!(
        !wire
            .appliance
            .inside
            .ip("-d link show eth1")
            .contains("xdp")
    );
    assert!(!wire.appliance.pins().join("links/clsact/eth1").exists());
    // A start attaches what it can, and says what it cannot.
    let compiled = host::load(&configs::base(), now());
    let dataplane = wire.appliance.apparatus.dataplane();
    let generation = must(dataplane.load(&compiled));
    let inside = &wire.appliance.inside;
    let events = must(inside.run(|| dataplane.enforce(generation, Demand::WhatCan)));
    let [(interface, Event::Open(_))] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(interface, CUSTOMERS);
    assert!(
        wire.appliance
            .inside
            .ip("-d link show eth1")
            .contains("xdp")
    );
    // That keeps no reload off.
    must(wire.appliance.enforce(&configs::base(), now()));
    // As soon as it can be had, it is.
    wire.appliance
        .inside
        .run(|| command("tc", "qdisc del dev eth1 ingress"));
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    assert!(Sender::on(wire).judges());
}

#[test]
fn what_somebody_took_off_is_attached_again() {
    for way in WAYS {
        let Some(mut sender) = Sender::by(way) else {
            continue;
        };
        match way {
            Way::Tcx => {
                let pins = sender.wire.appliance.pins().join("links/tcx");
                let pin = pins.read_dir().unwrap().next().unwrap().unwrap().path();
                let detach = format!("link detach pinned {}", pin.display());
                command("bpftool", &detach);
            }
            Way::Clsact => drop(sender.tc("qdisc del dev eth1 clsact")),
        }
        assert!(!sender.judges(), "{way:?}");
        assert_eq!(sender.wire.appliance.reconcile(), [""; 0]);
        assert!(sender.judges(), "{way:?}");
    }
}

#[test]
fn headers_are_read_whatever_buffers_they_are_in() {
    const ETHERNET: u16 = 14;
    for way in WAYS {
        let Some(mut sender) = Sender::by(way) else {
            continue;
        };
        let Wire {
            appliance, outside, ..
        } = &sender.wire;
        appliance.inside.ip("link set eth1 mtu 9000");
        outside.ip("link set customers mtu 9000");
        let mut scatterer = Scatterer::open(&appliance.inside, CUSTOMERS);
        let before = sender.counters();
        for (hosts, ip_header) in [(Hosts::v4(), 20), (Hosts::v6(), 40)] {
            // Nothing but the Ethernet header in the first buffer; not all of the IP header;
            // all of it; half of the ports.
            let last = ETHERNET + ip_header;
            for first in [ETHERNET, ETHERNET + 4, last, last + 2] {
                let frame = |port| {
                    tcp((hosts.internet, 40_000), (hosts.dialup, port))
                        .padded(Scatterer::SHORTEST)
                        .arrival()
                        .bytes
                };
                scatterer.try_send(&frame(81), first).unwrap();
                scatterer.try_send(&frame(80), first).unwrap_err();
                let arrived = sender.wire.cables.arrived(Side::Network);
                assert_eq!(arrived, [frame(81)], "{first} bytes in the first buffer");
            }
        }
        let moved = moved(&before, &sender.counters());
        assert_eq!(moved[&at("egress_passed_packets", CUSTOMERS)], 8, "{way:?}");
        assert_eq!(
            moved[&at("egress_dropped_packets", CUSTOMERS)],
            8,
            "{way:?}"
        );
        let labels = [("direction", "inbound"), ("port", "80"), ("proto", "tcp")];
        assert_eq!(moved[&series("dropped_by_port_packets", &labels)], 8);
        assert_eq!(moved.len(), 6, "and what says why: {moved:?}");
    }
}

/// `struct __sk_buff`, of which the kernel takes a few fields: three segments, or none;
/// and how many bytes of the frame are in its linear part.
fn context(segments: u32) -> [u8; 192] {
    let mut context = [0; 192];
    let size = if segments == 0 { 0 } else { 1_000_u32 };
    context[164..168].copy_from_slice(&segments.to_ne_bytes());
    context[176..180].copy_from_slice(&size.to_ne_bytes());
    context
}

#[test]
fn a_segment_that_is_not_cut_yet_counts_for_as_many_packets_as_it_becomes() {
    let mut wire = Wire::new();
    let compiled = host::load(&configs::base(), now());
    let mut generation = must(wire.appliance.apparatus.dataplane().load(&compiled));
    let net = Hosts::v4();
    let segment = |port| tcp((net.internet, 40_000), (net.dialup, port)).payload_of(3_000);
    // Longer than an IP header can say: it says nothing then.
    let longer = |port| segment(port).claiming(0);
    let before = wire.appliance.counters();
    for (port, action) in [(80, TC_ACT_SHOT), (81, TC_ACT_UNSPEC)] {
        for frame in [segment(port), longer(port)] {
            let context = context(3);
            let done = generation.test_run_out(CUSTOMERS, &frame.arrival().bytes, Some(&context));
            assert_eq!(must(done), action, "{port}");
        }
    }
    let moved = moved(&before, &wire.appliance.counters());
    let dropped = [("direction", "inbound"), ("port", "80"), ("proto", "tcp")];
    assert_eq!(moved[&series("dropped_by_port_packets", &dropped)], 6);
    assert_eq!(moved[&at("egress_passed_packets", CUSTOMERS)], 6);
    // Without segments it is a header that makes no sense.
    let frame = longer(81).arrival();
    let done = generation.test_run_out(CUSTOMERS, &frame.bytes, None);
    assert_eq!(must(done), TC_ACT_SHOT);
}

#[derive(Clone, Copy, Debug)]
enum Version {
    V4,
    V6,
}

const BOTH: [Version; 2] = [Version::V4, Version::V6];

/// The two ends of a tunnel, in their namespaces; why not, if the kernel has none.
fn dig(kind: &str, more: &str, inside: &Namespace, network: &Namespace) -> Result<(), lab::Error> {
    let ends = [
        (inside, "192.0.2.1", "192.0.2.2"),
        (network, "192.0.2.2", "192.0.2.1"),
    ];
    let between = |own: &str, other: &str| match kind {
        "wireguard" => String::new(),
        _ => format!("local {own} remote {other}"),
    };
    for (namespace, own, other) in ends {
        let words = between(own, other);
        namespace.try_ip(&format!("link add tunnel9 up type {kind} {more} {words}"))?;
    }
    if kind == "wireguard" {
        let keys = ends.map(|_| command("wg", "genkey").trim().to_owned());
        let public = keys.each_ref().map(|key| with_input("wg", "pubkey", key));
        for (mine, (namespace, _, other)) in ends.into_iter().enumerate() {
            let peer = &public[1 - mine];
            namespace.run(|| {
                let words = "set tunnel9 listen-port 51820 private-key /proc/self/fd/0";
                with_input("wg", words, &keys[mine]);
                let routes = "allowed-ips 0.0.0.0/0,::/0";
                command(
                    "wg",
                    &format!("set tunnel9 peer {peer} endpoint {other}:51820 {routes}"),
                )
            });
        }
    }
    Ok(())
}

/// What a program prints that is given something to read.
fn with_input(program: &str, words: &str, input: &str) -> String {
    let mut child = Command::new(program)
        .args(words.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    writeln!(child.stdin.take().unwrap(), "{input}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_comes_out_of_gre_is_judged() {
    judged_out_of("gre", "", &BOTH);
}

#[test]
fn what_comes_out_of_ipip_is_judged() {
    judged_out_of("ipip", "", &[Version::V4]);
}

/// RFC 4213.
#[test]
fn what_comes_out_of_6in4_is_judged() {
    judged_out_of("sit", "", &[Version::V6]);
}

#[test]
fn what_comes_out_of_gretap_is_judged() {
    judged_out_of("gretap", "", &BOTH);
}

#[test]
fn what_comes_out_of_vxlan_is_judged() {
    judged_out_of("vxlan", "id 7 dstport 4789", &BOTH);
}

#[test]
fn what_comes_out_of_wireguard_is_judged() {
    judged_out_of("wireguard", "", &BOTH);
}

/// A tunnel of this kind, and what else it is made with, that carries these versions of IP.
fn judged_out_of(kind: &str, more: &str, versions: &[Version]) {
    for &version in versions {
        let (inside, customers, network) = (Namespace::new(), Namespace::new(), Namespace::new());
        inside.join(CUSTOMERS, &customers, "customers");
        inside.join(NETWORK, &network, "network");
        inside.ip("addr add 192.0.2.1/24 dev eth0");
        network.ip("addr add 192.0.2.2/24 dev network");
        if let Err(error) = dig(kind, more, &inside, &network) {
            println!("skipped: this kernel has no {kind}: {error}");
            continue;
        }
        let (hosts, from, ether_type) = match version {
            Version::V4 => {
                inside.ip("addr add 172.16.0.1/30 dev tunnel9");
                network.ip("addr add 172.16.0.2/30 dev tunnel9");
                inside.ip("route add 198.51.100.0/24 dev eth1");
                network.ip("route add 198.51.100.0/24 via 172.16.0.1 dev tunnel9");
                (Hosts::v4(), "172.16.0.2:0", [0x08, 0x00])
            }
            Version::V6 => {
                for (namespace, device) in [
                    (&inside, "tunnel9"),
                    (&inside, CUSTOMERS),
                    (&network, "tunnel9"),
                ] {
                    let disabled = format!("ipv6/conf/{device}/disable_ipv6");
                    namespace.sysctl(&disabled, "0").unwrap();
                }
                inside.ip("addr add fd00::1/64 dev tunnel9 nodad");
                network.ip("addr add fd00::2/64 dev tunnel9 nodad");
                inside.ip("route add 2001:db8::/32 dev eth1");
                network.ip("route add 2001:db8::/32 via fd00::1 dev tunnel9");
                inside.sysctl("ipv6/conf/all/forwarding", "1").unwrap();
                (Hosts::v6(), "[fd00::2]:0", [0x86, 0xdd])
            }
        };
        let customer = hosts.dialup;
        inside.ip(&format!(
            "neigh add {customer} lladdr 02:00:00:00:00:07 dev eth1"
        ));
        inside.sysctl("ipv4/ip_forward", "1").unwrap();
        for interface in ["all", "tunnel9"] {
            inside
                .sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "0")
                .unwrap();
        }
        let mut appliance = Appliance::new(inside);
        must(appliance.enforce(&configs::base(), now()));
        let mut arrivals = Port::open(&customers, "customers");
        let before = appliance.counters();
        network.run(|| {
            let socket = UdpSocket::bind(from).unwrap();
            for port in [80, 81] {
                let to = SocketAddr::new(customer, port);
                socket.send_to(b"hello", to).unwrap();
            }
        });
        // The one to the open port comes out, and nothing has come before it.
        loop {
            let frame = arrivals
                .receive()
                .unwrap_or_else(|| panic!("{kind}: none arrives"));
            let (protocol, port) = match version {
                Version::V4 => (frame.get(23), frame.get(36..38)),
                Version::V6 => (frame.get(20), frame.get(56..58)),
            };
            if frame.get(12..14) != Some(&ether_type) || protocol != Some(&17) {
                continue;
            }
            assert_eq!(port, Some(&81_u16.to_be_bytes()[..]), "{kind}");
            break;
        }
        let moved = moved(&before, &appliance.counters());
        let labels = [("direction", "inbound"), ("port", "80"), ("proto", "udp")];
        assert_eq!(
            moved[&series("dropped_by_port_packets", &labels)],
            1,
            "{kind}"
        );
        assert_eq!(moved[&at("egress_dropped_packets", CUSTOMERS)], 1, "{kind}");
        println!("judged out of {kind}: {version:?}");
    }
}
