//! `forwarding = "wire"`: what is permitted comes out of the other end as it came in,
//! and what a wire needs of its ends is set, checked and set back. Needs root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use filter_common::Protocol;
use filter_user::dataplane::Event;
use jiff::Timestamp;
use poolguard_tests::{
    configs::{self, CUSTOMERS, DIALUP, Hosts, NETWORK},
    fixture::{Fixture, inbound, moved, not_ip, series, tell, unwatched},
    fixtures,
    frames::{Arrival, tcp},
    kernel::must,
    wire::{self, Side, Wire},
};

/// Stories that share a configuration, and so a box.
mod stories {
    use super::{configs, fixtures, wire};

    macro_rules! tell {
        ($($chapter:ident)*) => {
            $(
                #[test]
                fn $chapter() {
                    let mut stories = fixtures::$chapter();
                    let shared = [configs::base(), configs::monitor_box()];
                    stories.retain(|story| shared.contains(&story.config));
                    wire::tell_all_by_wire(stories);
                }
            )*
        };
    }

    poolguard_tests::chapters!(tell);
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

/// What the data plane notices, inside the box.
fn reconcile(wire: &mut Wire) -> Vec<String> {
    let dataplane = wire.appliance.apparatus.dataplane();
    let events = must(wire.appliance.inside.run(|| dataplane.reconcile()));
    let told = events.into_iter().map(|(interface, event)| match event {
        Event::Attached => format!("{interface} attached"),
        Event::Lost => format!("{interface} lost"),
        Event::Failed(error) => format!("{interface} failed: {error}"),
        Event::Unpinned(error) => format!("{interface} unpinned: {error}"),
        Event::Unfit(error) => format!("{interface} unfit: {error}"),
    });
    told.collect()
}

/// Whether somebody has told an interface to take frames for others.
fn is_promiscuous(wire: &Wire, interface: &str) -> bool {
    let show = format!("link show {interface}");
    wire.appliance.inside.ip(&show).contains("PROMISC")
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
        let mut events = reconcile(&mut wire);
        events.sort();
        assert_eq!(events, [format!("{gone} attached"), format!("{gone} lost")]);
        forwards(&mut wire);
        assert!(is_promiscuous(&wire, gone));
    }
}
