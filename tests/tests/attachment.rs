//! What the data plane does to a box: attaching, reloading under traffic,
//! detaching. Needs root.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use dataplane::{Attached, Dataplane as _, DataplaneError, Demand};
use filter_common::Protocol;
use jiff::Timestamp;
use lab::{command, cpu::leave_this_cpu, pinned_link};
use policy::config::Attach;
use poolguard_tests::{
    configs::{self, CUSTOMERS, DIALUP, Hosts, NETWORK, NO_POOL, address},
    fixture::{
        Counters, Expected, Fixture, allowed, answer, hidden, inbound, moved, series, smtp_out,
        tell, unwatched,
    },
    frames::{Arrival, tcp},
    host,
    kernel::{Apparatus, must},
    wire::{Side, Wire},
};

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn filtering() -> Wire {
    Wire::filtering(&configs::base(), now())
}

/// A frame that the base configuration drops.
fn closed() -> Arrival {
    let net = Hosts::v4();
    tcp((net.internet, 40_000), (net.dialup, 80)).arrival()
}

/// One frame that passes, one that does not, one of each rule.
fn enforces_the_base_configuration(wire: &mut Wire) {
    let net = Hosts::v6();
    let story = Fixture::new("the box filters", configs::base())
        .network(closed(), inbound(DIALUP, Protocol::Tcp, 80))
        .network(tcp((net.internet, 40_000), (net.dialup, 81)), unwatched())
        .customers(
            tcp((net.dialup, 40_000), (net.internet, 25)),
            smtp_out(DIALUP, 25),
        )
        .customers(tcp((net.dialup, 40_000), (net.internet, 80)), allowed());
    told(&story, wire);
}

fn told(story: &Fixture, wire: &mut Wire) {
    tell(story, wire).unwrap_or_else(|complaints| panic!("{complaints}"));
}

/// The link that was made for an interface.
fn link_for(wire: &mut Wire, interface: &str) -> Attached {
    let links = wire.appliance.apparatus.dataplane().links();
    let link = links.values().find(|link| link.serves == interface);
    link.unwrap_or_else(|| panic!("{interface} has no link"))
        .clone()
}

#[test]
fn the_program_is_attached_natively_by_a_bpf_link() {
    let mut wire = filtering();
    for interface in [CUSTOMERS, NETWORK] {
        let attached = link_for(&mut wire, interface);
        assert_eq!(attached.mode, Attach::Native);
        // As the kernel tells it: mode 1 is XDP_ATTACHED_DRV.
        let shown = wire
            .appliance
            .inside
            .ip(&format!("-d -j link show {interface}"));
        assert!(shown.contains(r#""xdp":{"mode":1,"#), "{shown}");
        let link = pinned_link(&attached.pin);
        assert_eq!(link["type"], "xdp", "{link}");
        // The program that this link holds is the one that the interface has.
        let program = &link["prog_id"];
        assert!(
            shown.contains(&format!(r#""prog":{{"id":{program},"#)),
            "{shown} has {program}"
        );
    }
    enforces_the_base_configuration(&mut wire);
}

#[test]
fn detaching_leaves_nothing_behind_and_frames_pass() {
    let mut wire = filtering();
    let pins = wire.appliance.pins();
    assert!(pins.exists());
    wire.cables.send(Side::Network, &closed().bytes);
    assert!(wire.cables.arrived(Side::Network).is_empty());
    wire.appliance.apparatus.detach();
    assert!(!pins.exists(), "{} is gone", pins.display());
    for interface in [CUSTOMERS, NETWORK] {
        let shown = wire
            .appliance
            .inside
            .ip(&format!("-d link show {interface}"));
        assert!(!shown.contains("xdp"), "{shown}");
    }
    wire.cables.send(Side::Network, &closed().bytes);
    assert_eq!(wire.cables.arrived(Side::Network), [closed().bytes]);
}

#[test]
fn a_test_that_panics_leaves_nothing_behind() {
    let mut pinned = PathBuf::new();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let wire = filtering();
        pinned = wire.appliance.pins();
        assert!(pinned.exists());
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(panic.is_err());
    assert!(!pinned.exists(), "{} is gone", pinned.display());
}

/// Tells a thread to end, however the one that waits for it ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_reload_under_traffic_loses_no_frame_and_no_count() {
    /// Of each kind, with one sentinel: fewer than the 256 frames that a cable
    /// holds, so that none is lost on the way.
    const BURST: u64 = 32;
    let net = Hosts::v4();
    let to = |host, port| tcp((net.internet, 40_000), (host, port));
    let frames = [
        // These are judged alike under both configurations.
        (to(net.dialup, 80), inbound(DIALUP, Protocol::Tcp, 80)),
        (to(net.dialup, 81), unwatched()),
        (
            to(net.provider, 81).payload_of(4),
            hidden("ports_truncated", NO_POOL),
        ),
        // This one is not: it passes under the old one and is dropped under the
        // new one.
        (to(address("10.1.2.3"), 8081), unwatched()),
    ]
    .map(|(frame, expected)| (frame.arrival(), expected));
    let newly_dropped = inbound("a-new-pool", Protocol::Tcp, 8081);

    let mut wire = filtering();
    let before = wire.appliance.counters();
    let done = AtomicBool::new(false);
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    let (bursts, changing) = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let (mut bursts, mut changing) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                for _ in 0..BURST {
                    for (frame, _) in &frames {
                        cables.send(Side::Network, &frame.bytes);
                    }
                }
                let arrived = cables.arrived(Side::Network);
                let count =
                    |wanted: &Arrival| arrived.iter().filter(|f| **f == wanted.bytes).count();
                let counts = frames.each_ref().map(|(frame, _)| count(frame) as u64);
                assert_eq!(counts[..3], [0, BURST, 0], "passed of each kind");
                bursts += 1;
                changing += counts[3];
            }
            (bursts, changing)
        });
        // Also when something here panics.
        let ends = SetOnDrop(&done);
        leave_this_cpu();
        let mut last = before.clone();
        for config in [configs::renumbered(), configs::base()]
            .iter()
            .cycle()
            .take(8)
        {
            appliance.enforce(config, now()).unwrap();
            let counters = appliance.counters();
            // Fails for a counter that has gone backwards.
            moved(&last, &counters);
            last = counters;
        }
        drop(ends);
        traffic.join().unwrap()
    });

    let sent = bursts * BURST;
    let mut expected = Counters::new();
    let mut add = |kind: &Expected, frame: &Arrival, times: u64| {
        for (name, n) in kind.counters(NETWORK, frame) {
            *expected.entry(name).or_default() += n * times;
        }
    };
    for (frame, kind) in &frames[..3] {
        add(kind, frame, sent);
    }
    let (frame, kind) = &frames[3];
    add(kind, frame, changing);
    add(&newly_dropped, frame, sent - changing);
    assert!(
        0 < changing && changing < sent,
        "both were seen: {changing} of {sent}"
    );
    let after = wire.cables.without_sentinels(wire.appliance.counters());
    assert_eq!(moved(&before, &after), expected);
}

/// There is room for the counters of 1,023 pools: of the 600 that were renamed, 420
/// are left, the last of them.
#[test]
fn six_hundred_pools_are_renamed_under_traffic_and_counted_to_the_frame() {
    const BURST: u64 = 16;
    const LEFT: [u32; 2] = [300, 599];
    const GONE: u32 = 0;
    let net = Hosts::v4();
    let frames = [LEFT[0], LEFT[1], GONE].map(|pool| {
        let host = format!("10.{}.{}.7", pool / 256, pool % 256);
        tcp((net.internet, 40_000), (address(&host), 80)).arrival()
    });
    let dropped = |counters: &Counters, word: &str, pool: u32| {
        let name = format!("{word}-{pool}");
        let labels = [("pool", name.as_str()), ("rule", "inbound_port")];
        counters.get(&series("dropped_packets", &labels)).copied()
    };
    let mut wire = Wire::filtering(&configs::six_hundred_pools("one"), now());
    let mut before = wire.appliance.counters();
    for (old, new) in [("one", "two"), ("two", "three"), ("three", "one")] {
        assert_eq!(
            dropped(&before, new, LEFT[0]),
            None,
            "not the one before last"
        );
        let done = AtomicBool::new(false);
        let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
        let sent = thread::scope(|scope| {
            let traffic = scope.spawn(|| {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    for frame in frames.iter().cycle().take(BURST as usize * frames.len()) {
                        cables.send(Side::Network, &frame.bytes);
                    }
                    assert!(cables.arrived(Side::Network).is_empty(), "all are dropped");
                    sent += BURST;
                }
                sent
            });
            // Also when something here panics.
            let ends = SetOnDrop(&done);
            leave_this_cpu();
            let next = configs::six_hundred_pools(new);
            appliance.enforce(&next, now()).unwrap();
            drop(ends);
            traffic.join().unwrap()
        });
        let after = wire.appliance.counters();
        for pool in LEFT {
            let count = |counters| {
                let both = [old, new].map(|word| dropped(counters, word, pool));
                both.into_iter().flatten().sum::<u64>()
            };
            assert_eq!(
                count(&after) - count(&before),
                sent,
                "{old} to {new}, {pool}"
            );
        }
        assert_eq!(dropped(&after, old, GONE), None);
        let pools = after.keys().filter(|name| name.contains("return_packets"));
        assert_eq!(pools.count(), 1023);
        before = after;
    }
}

#[test]
fn a_reload_keeps_the_flows() {
    let net = Hosts::v6();
    let answering = tcp((net.internet, 443), (net.dialup, 8080));
    let mut wire = filtering();
    let before = Fixture::new("before the reload", configs::base())
        .customers(
            tcp((net.dialup, 8080), (net.internet, 443)),
            allowed().remembered(),
        )
        .network(&answering, answer(DIALUP));
    told(&before, &mut wire);
    wire.appliance
        .enforce(&configs::renumbered(), now())
        .unwrap();
    let after = Fixture::new("after the reload", configs::base())
        .network(&answering, answer(DIALUP))
        .network(
            tcp((net.internet, 444), (net.dialup, 8080)),
            inbound(DIALUP, Protocol::Tcp, 8080),
        );
    told(&after, &mut wire);
}

#[test]
fn a_reload_that_fails_leaves_the_old_configuration_in_force() {
    let mut wire = filtering();
    let error = wire.appliance.enforce(&configs::on_a_bridge(), now());
    let error = error.unwrap_err();
    assert!(
        matches!(&error, DataplaneError::Misplaced { interface, .. } if interface == "br0"),
        "{error}"
    );
    enforces_the_base_configuration(&mut wire);
}

#[test]
fn a_second_filter_is_refused_and_the_first_one_goes_on() {
    let mut wire = filtering();
    let mut second = Apparatus::open();
    let compiled = host::load(&configs::base(), now());
    let mut enforce = |wire: &Wire| {
        let generation = must(second.dataplane().load(&compiled));
        let dataplane = second.dataplane();
        wire.appliance
            .inside
            .run(|| dataplane.enforce(generation, Demand::All))
    };
    let error = enforce(&wire).unwrap_err();
    let first = wire.appliance.apparatus.instance().name().to_owned();
    assert!(
        matches!(&error, DataplaneError::OtherInstance { instance, .. } if *instance == first),
        "{error}"
    );
    let remedy = format!("`poolguard --instance {first} detach`");
    assert!(error.to_string().contains(&remedy), "{error}");
    enforces_the_base_configuration(&mut wire);
    // In another namespace interfaces have the same numbers, and another program.
    let mut elsewhere = filtering();
    let index = |pin: PathBuf| pin_name(&pin).split_once('-').unwrap().0.to_owned();
    let same = [&mut wire, &mut elsewhere].map(|wire| index(link_for(wire, NETWORK).pin));
    assert_eq!(same[0], same[1], "as namespaces count");
    for interface in [CUSTOMERS, NETWORK] {
        std::fs::remove_file(link_for(&mut elsewhere, interface).pin).unwrap();
    }
    let error = enforce(&elsewhere).unwrap_err();
    assert!(matches!(error, DataplaneError::Occupied { .. }), "{error}");
    // What was said is done.
    wire.appliance.apparatus.detach();
    must(enforce(&wire));
    second.detach();
}

#[test]
fn a_reload_can_change_how_an_interface_is_attached() {
    let mut wire = filtering();
    for (config, mode) in [
        (configs::generic(), Attach::Generic),
        (configs::base(), Attach::Native),
    ] {
        must(wire.appliance.enforce(&config, now()));
        assert_eq!(link_for(&mut wire, NETWORK).mode, mode);
        assert_eq!(link_for(&mut wire, CUSTOMERS).mode, Attach::Native);
        enforces_the_base_configuration(&mut wire);
    }
}

fn pin_name(pin: &std::path::Path) -> &str {
    pin.file_name().and_then(|name| name.to_str()).unwrap()
}

#[test]
fn a_larger_mtu_under_the_program_costs_no_counted_byte() {
    let mut wire = Wire::new();
    let mtu = |wire: &Wire, bytes: u32| {
        let inside = &wire.appliance.inside;
        inside.ip(&format!("link set {NETWORK} mtu {bytes}"));
    };
    let drops = |arrival: Arrival| {
        Fixture::new("a drop", configs::base()).network(arrival, inbound(DIALUP, Protocol::Tcp, 80))
    };
    mtu(&wire, 1500);
    must(wire.appliance.enforce(&configs::base(), now()));
    told(&drops(closed()), &mut wire);

    mtu(&wire, 9000);
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    let mut large = closed();
    large.bytes.resize(8_000, 0);
    told(&drops(large), &mut wire);
    told(&drops(closed()), &mut wire);
}

#[test]
fn an_interface_that_is_absent_gets_the_program_when_it_comes() {
    let mut wire = filtering();
    must(wire.appliance.enforce(&configs::absent_interface(), now()));
    enforces_the_base_configuration(&mut wire);
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    let ip = |words: &str| wire.appliance.inside.ip(words);
    ip("link add eth9 type veth peer name far9");
    assert_eq!(wire.appliance.reconcile(), ["eth9 attached"]);
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    let shown = wire.appliance.inside.ip("-d link show eth9");
    assert!(shown.contains("xdp"), "{shown}");
    wire.appliance.inside.ip("link delete eth9");
    assert_eq!(wire.appliance.reconcile(), ["eth9 lost"]);
    enforces_the_base_configuration(&mut wire);
}

#[test]
fn names_are_followed_and_devices_keep_their_links() {
    let mut wire = filtering();
    let (customers, network) = (
        link_for(&mut wire, CUSTOMERS).pin,
        link_for(&mut wire, NETWORK).pin,
    );
    let rename = |wire: &Wire, from: &str, to: &str| {
        wire.appliance.inside.rename(from, to);
        wire.until_forwarding(to);
    };
    // A name that is not configured: the device stays filtered as it was.
    rename(&wire, NETWORK, "wan");
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    enforces_the_base_configuration(&mut wire);
    must(wire.appliance.enforce(&configs::base(), now()));
    assert_eq!(link_for(&mut wire, NETWORK).pin, network);
    enforces_the_base_configuration(&mut wire);
    // The two change places, and roles with them.
    rename(&wire, CUSTOMERS, NETWORK);
    rename(&wire, "wan", CUSTOMERS);
    let mut events = wire.appliance.reconcile();
    events.sort();
    assert_eq!(events, ["eth0 attached", "eth1 attached"]);
    // The pins say so to the next run: the index is the device's.
    for (name, before) in [(CUSTOMERS, network), (NETWORK, customers)] {
        let index = pin_name(&before).split_once('-').unwrap().0;
        let now = link_for(&mut wire, name).pin;
        assert_eq!(pin_name(&now), format!("{index}-{name}"));
        assert!(now.exists() && !before.exists());
    }
    // Mail from the former network's side is a customer's now.
    let net = Hosts::v4();
    let mail = tcp((net.dialup, 40_000), (net.internet, 25)).arrival();
    for (side, passes) in [(Side::Network, false), (Side::Customers, true)] {
        wire.cables.send(side, &mail.bytes);
        assert_eq!(!wire.cables.arrived(side).is_empty(), passes, "{side:?}");
    }
}

#[test]
fn a_pin_that_somebody_removed_is_made_anew() {
    let mut wire = filtering();
    let pin = link_for(&mut wire, NETWORK).pin;
    std::fs::remove_file(&pin).unwrap();
    enforces_the_base_configuration(&mut wire);
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    assert!(pin.exists());
}

#[test]
fn a_link_that_somebody_detached_is_made_anew() {
    let mut wire = filtering();
    let pin = link_for(&mut wire, NETWORK).pin;
    command("bpftool", &format!("link detach pinned {}", pin.display()));
    let mut events = wire.appliance.reconcile();
    events.sort();
    assert_eq!(events, ["eth0 attached", "eth0 lost"]);
    enforces_the_base_configuration(&mut wire);
}
