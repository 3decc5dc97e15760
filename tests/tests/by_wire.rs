//! `forwarding = "wire"`: what is permitted comes out of the other end as it came in,
//! and what a wire needs of its ends is set, checked and set back. Needs root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use dataplane::{DataplaneError, WireError, detach_leftovers};
use filter_common::Protocol;
use jiff::Timestamp;
use lab::{
    cable::{mtu_to_redirect, tells_abilities},
    command,
};
use poolguard_tests::{
    chapters,
    configs::{self, CUSTOMERS, DIALUP, Hosts, NETWORK},
    fixture::{Fixture, inbound, moved, not_ip, series, tell, unwatched},
    frames::{Arrival, tcp},
    kernel::must,
    test_each,
    wire::{self, Choice, Side, Wire},
};

/// The stories that are told by wire.
mod stories {
    use super::{Choice, Fixture, chapters, configs, test_each, wire};

    fn choice() -> Choice {
        Choice {
            of: vec![
                configs::base(),
                configs::monitor_box(),
                configs::known_sources(),
                configs::mixed(),
            ],
            alone: &[
                "an answer passes once the customer has spoken (tcp, IPv4)",
                "a range is closed, and its neighbours are open (IPv6)",
            ],
            untold: &[],
        }
    }

    fn tell(stories: Vec<Fixture>) {
        wire::tell_all_by_wire(choice().among(stories));
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

fn joining() -> Wire {
    Wire::joining(&configs::base(), now())
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

/// That it filters, and forwards both ways.
#[track_caller]
fn forwards(wire: &mut Wire) {
    let story = Fixture::new("the wire forwards", configs::base())
        .network(open(), unwatched())
        .network(closed(), inbound(DIALUP, Protocol::Tcp, 80))
        .customers(open(), unwatched());
    tell(&story, wire).unwrap_or_else(|complaints| panic!("{complaints}"));
}

/// Whether somebody has told an interface to take frames for others.
fn is_promiscuous(wire: &Wire, interface: &str) -> bool {
    let show = format!("link show {interface}");
    wire.appliance.inside.ip(&show).contains("PROMISC")
}

/// What a network card does, as `ethtool -k` calls it.
fn is_on(wire: &Wire, interface: &str, feature: &str) -> bool {
    let show = format!("-k {interface}");
    let shown = wire.appliance.inside.run(|| command("ethtool", &show));
    let mut lines = shown.lines().map(str::trim);
    let value = lines.find_map(|line| line.strip_prefix(&format!("{feature}: ")));
    value.unwrap_or_else(|| panic!("{feature} in {shown}")) == "on"
}

/// What takes VLAN tags out of frames.
const OFFLOADS: [&str; 2] = ["rx-vlan-offload", "rx-vlan-stag-hw-parse"];

/// Whether an interface has a program.
fn has_program(wire: &Wire, interface: &str) -> bool {
    let show = format!("-d link show {interface}");
    wire.appliance.inside.ip(&show).contains("xdp")
}

/// That nothing of a wire is left at the interfaces.
#[track_caller]
fn is_as_before(wire: &Wire) {
    for interface in [CUSTOMERS, NETWORK] {
        assert!(!is_promiscuous(wire, interface), "{interface}");
        for offload in OFFLOADS {
            assert!(is_on(wire, interface, offload), "{interface} {offload}");
        }
    }
}

/// The counter of frames that had nowhere to go.
fn unsent(interface: &str) -> String {
    series("wire_unsent_packets", &[("interface", interface)])
}

#[test]
fn frames_that_a_bridge_swallows_go_through() {
    let frames = [
        // Spanning tree, pause, LACP, 802.1X, LLDP: addresses and EtherTypes.
        (0x00, 0x0027_u16),
        (0x01, 0x8808),
        (0x02, 0x8809),
        (0x03, 0x888e),
        (0x0e, 0x88cc),
    ];
    let mut wire = joining();
    let mut story = Fixture::new("a wire swallows nothing", configs::base());
    for (last, ethertype) in frames {
        let mut bytes = vec![0x01, 0x80, 0xc2, 0x00, 0x00, last, 2, 0, 0, 0, 0, 9];
        bytes.extend(ethertype.to_be_bytes());
        bytes.extend([last; 46]);
        let frame = Arrival {
            ip_offset: bytes.len(),
            bytes,
        };
        story = story
            .network(frame.clone(), not_ip())
            .customers(frame, not_ip());
    }
    tell(&story, &mut wire).unwrap_or_else(|complaints| panic!("{complaints}"));
}

#[test]
fn the_ends_take_frames_for_everybody_and_no_longer_than_that() {
    let mut wire = Wire::unjoined();
    // This one does already, and goes on.
    wire.appliance.inside.ip("link set eth0 promisc on");
    must(wire.appliance.enforce(&configs::base().by_wire(), now()));
    assert!(is_promiscuous(&wire, CUSTOMERS) && is_promiscuous(&wire, NETWORK));
    forwards(&mut wire);
    must(wire.appliance.enforce(&configs::base(), now()));
    assert!(!is_promiscuous(&wire, CUSTOMERS), "it was not before");
    assert!(is_promiscuous(&wire, NETWORK), "it was before");
}

#[test]
fn an_end_that_is_made_anew_is_joined_again() {
    let mut wire = joining();
    forwards(&mut wire);
    for (side, other) in [
        (Side::Network, Side::Customers),
        (Side::Customers, Side::Network),
    ] {
        let (gone, left) = (side.interface(), other.interface());
        wire.appliance.inside.ip(&format!("link delete {gone}"));
        let before = wire.appliance.counters();
        for frame in [open(), open(), closed()] {
            wire.cables.send(other, &frame.bytes);
        }
        let mut wanted = inbound(DIALUP, Protocol::Tcp, 80).counters(left, &closed());
        wanted.insert(unsent(left), 2);
        assert_eq!(moved(&before, &wire.appliance.counters()), wanted);
        wire.plug_in_again(side);
        let mut events = wire.appliance.reconcile();
        events.sort();
        assert_eq!(events, [format!("{gone} attached"), format!("{gone} lost")]);
        forwards(&mut wire);
        assert!(is_promiscuous(&wire, gone));
    }
}

#[test]
fn frames_larger_than_a_page_go_through_where_the_kernel_lets_them() {
    let mut wire = Wire::unjoined();
    for interface in [CUSTOMERS, NETWORK] {
        let larger = format!("link set {interface} mtu 9000");
        wire.appliance.inside.ip(&larger);
    }
    let enforced = wire.appliance.enforce(&configs::base().by_wire(), now());
    if !tells_abilities() {
        let refused = enforced.unwrap_err().to_string();
        let help = "`ip link set dev eth1 mtu 3498` or less, at both ends";
        assert!(refused.ends_with(help), "{refused}");
        return is_as_before(&wire);
    }
    must(enforced);
    let net = Hosts::v4();
    let frame = tcp((net.internet, 40_000), (net.dialup, 81));
    let large = frame.payload_of(8000).arrival();
    let story = Fixture::new("large frames", configs::base())
        .network(large.clone(), unwatched())
        .customers(large, unwatched());
    tell(&story, &mut wire).unwrap_or_else(|complaints| panic!("{complaints}"));
}

#[test]
fn tags_stay_in_frames_for_as_long_as_there_is_a_wire() {
    let mut wire = Wire::unjoined();
    let off = "-K eth0 rxvlan off";
    wire.appliance.inside.run(|| command("ethtool", off));
    must(wire.appliance.enforce(&configs::base().by_wire(), now()));
    for (interface, offload) in [CUSTOMERS, NETWORK].into_iter().zip(OFFLOADS) {
        assert!(!is_on(&wire, interface, offload), "{interface} {offload}");
    }
    forwards(&mut wire);
    must(wire.appliance.enforce(&configs::base(), now()));
    for offload in OFFLOADS {
        assert!(is_on(&wire, CUSTOMERS, offload), "{offload}");
    }
    assert!(!is_on(&wire, NETWORK, OFFLOADS[0]), "it was off before");
    assert!(is_on(&wire, NETWORK, OFFLOADS[1]), "it was on before");
}

#[test]
fn what_was_set_is_set_back_by_whoever_detaches() {
    let mut wire = joining();
    wire.appliance.apparatus.abandon();
    assert!(is_promiscuous(&wire, CUSTOMERS) && is_promiscuous(&wire, NETWORK));
    // Nobody is there, and frames go on.
    for side in [Side::Customers, Side::Network] {
        wire.cables.send(side, &open().bytes);
        assert_eq!(wire.cables.arrived(side), [open().bytes]);
    }
    let instance = wire.appliance.apparatus.instance();
    // Other interfaces have the same numbers elsewhere.
    let refused = detach_leftovers(instance).unwrap_err().to_string();
    assert!(refused.contains("another network namespace"), "{refused}");
    assert!(has_program(&wire, NETWORK) && is_promiscuous(&wire, NETWORK));
    let cut = wire.appliance.inside.run(|| detach_leftovers(instance));
    assert_eq!(must(cut).unwrap(), [CUSTOMERS, NETWORK]);
    is_as_before(&wire);
    assert!(!wire.appliance.pins().exists());
}

#[test]
fn whoever_takes_over_knows_what_was_set() {
    let mut wire = joining();
    wire.appliance.restart();
    must(wire.appliance.enforce(&configs::base().by_wire(), now()));
    forwards(&mut wire);
    // It found the ends as the one before it had set them.
    must(wire.appliance.enforce(&configs::base(), now()));
    is_as_before(&wire);
}

#[test]
fn what_somebody_has_set_otherwise_is_set_again() {
    let mut wire = joining();
    wire.appliance.inside.ip("link set eth0 promisc off");
    let on = "-K eth1 rxvlan on";
    wire.appliance.inside.run(|| command("ethtool", on));
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    assert!(is_promiscuous(&wire, NETWORK));
    assert!(!is_on(&wire, CUSTOMERS, OFFLOADS[0]));
    let apparatus = &mut wire.appliance.apparatus;
    wire.appliance.inside.run(|| apparatus.detach());
    is_as_before(&wire);
}

#[test]
fn ends_with_another_mtu_are_refused_before_anything_is_done() {
    let mut wire = Wire::unjoined();
    wire.appliance.inside.ip("link set eth0 mtu 1400");
    let refused = wire.appliance.enforce(&configs::base().by_wire(), now());
    let mtu = mtu_to_redirect();
    let expected = format!(
        "wire eth1 - eth0: the MTU is {mtu} on eth1 and 1400 on eth0, and what is larger than the \
         smaller one would be lost: `ip link set dev eth1 mtu 1400`, or the other way round"
    );
    assert_eq!(refused.unwrap_err().to_string(), expected);
    is_as_before(&wire);
    assert!(!has_program(&wire, CUSTOMERS) && !has_program(&wire, NETWORK));
}

#[test]
fn an_end_that_cannot_send_is_refused_and_everything_is_given_back() {
    let mut wire = Wire::unjoined();
    must(wire.appliance.enforce(&configs::base(), now()));
    let deaf = "-K network gro off";
    wire.outside.run(|| command("ethtool", deaf));
    let refused = wire.appliance.enforce(&configs::base().by_wire(), now());
    if !tells_abilities() {
        return must(refused);
    }
    let refused = refused.unwrap_err();
    let end = |error: &DataplaneError| match error {
        DataplaneError::Wire(WireError::CannotSend { interface, peer }) => {
            Some((interface.clone(), peer.clone()))
        }
        _ => None,
    };
    let (eth0, eth1) = (NETWORK.to_owned(), CUSTOMERS.to_owned());
    assert_eq!(end(&refused), Some((eth0, eth1)), "{refused}");
    is_as_before(&wire);
    // The one before goes on: what it permits goes up to the host, and nowhere.
    let before = wire.appliance.counters();
    wire.cables.send(Side::Network, &open().bytes);
    wire.cables.send(Side::Network, &closed().bytes);
    let mut wanted = unwatched().counters(NETWORK, &open());
    wanted.extend(inbound(DIALUP, Protocol::Tcp, 80).counters(NETWORK, &closed()));
    assert_eq!(moved(&before, &wire.appliance.counters()), wanted);
}

#[test]
fn what_has_become_of_a_wire_keeps_nothing_else_from_being_done() {
    let mut wire = joining();
    wire.appliance.inside.ip("link set eth0 mtu 1400");
    let deaf = "-K network gro off";
    wire.outside.run(|| command("ethtool", deaf));
    // A reload, and a start after that.
    must(wire.appliance.enforce(&configs::base().by_wire(), now()));
    wire.appliance.restart();
    must(wire.appliance.enforce(&configs::base().by_wire(), now()));
}
