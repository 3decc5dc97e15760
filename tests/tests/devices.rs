//! What it can be attached to, kind by kind, as docs/devices.md tells it. Needs
//! root. What this kernel has not got is named on standard error; Debian's in the
//! virtual machine has all of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    process::Command,
    time::{Duration, Instant},
};

use dataplane::{DataplaneError, InterfaceState, Misplaced, NotNative, standing};
use filter_common::Protocol;
use jiff::Timestamp;
use lab::{Namespace, Port};
use nix::libc;
use poolguard_tests::{
    configs::{self, CUSTOMERS, Configuration, DIALUP, Hosts, NETWORK},
    fixture::{Counters, Expected, inbound, moved, unwatched},
    frames::{Arrival, tcp},
    kernel::must,
    wire::{Appliance, Side, Wire},
};

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// A frame that the base configuration drops, and one that it lets pass.
fn frames() -> [(Arrival, Expected); 2] {
    let net = Hosts::v4();
    let to = |port| tcp((net.internet, 40_000), (net.dialup, port)).arrival();
    [
        (to(80), inbound(DIALUP, Protocol::Tcp, 80)),
        (to(81), unwatched()),
    ]
}

/// The base configuration with another interface toward the network.
fn with_device(device: &str, attach: &str) -> Configuration {
    configs::base().with(
        &format!("name = {NETWORK:?}\n"),
        &format!("name = {device:?}\nattach = {attach:?}\n"),
    )
}

/// A box that waits for `dev9`. Its customers' side is attached.
fn waiting_for_dev9(attach: &str) -> Wire {
    let mut wire = Wire::unjoined();
    must(wire.appliance.enforce(&with_device("dev9", attach), now()));
    wire
}

/// Runs `ip` once for each line. Says so if this kernel has no such device.
fn has(namespace: &Namespace, kind: &str, lines: &[&str]) -> bool {
    for line in lines {
        let words = line.split_whitespace();
        let output = namespace.run(|| Command::new("ip").args(words).output().unwrap());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if error.contains("Unknown device type") || error.contains("not supported") {
            not_run(kind);
            return false;
        }
        assert!(output.status.success(), "ip {line}: {error}");
    }
    true
}

fn not_run(kind: &str) {
    // Past the harness, which shows nothing of a test that passes.
    let _unheard = writeln!(io::stderr(), "NOT RUN: this kernel has no {kind}");
}

/// What was counted once `frames` have arrived: the last one passes, and what one
/// CPU sends is judged in its order.
fn judged(appliance: &mut Appliance, interface: &str, send: impl FnOnce()) -> Counters {
    let before = appliance.counters();
    send();
    let passed = format!("poolguard_passed_packets_total{{interface={interface:?}}}");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let after = appliance.counters();
        if after[&passed] > before[&passed] {
            return moved(&before, &after);
        }
        assert!(Instant::now() < deadline, "nothing passes at {interface}");
        std::thread::yield_now();
    }
}

/// That both frames are judged as they arrive, once each, and nothing else is.
#[track_caller]
fn judges(appliance: &mut Appliance, interface: &str, mut send: impl FnMut(&[u8])) {
    let mut expected = Counters::new();
    for (frame, kind) in frames() {
        expected.extend(kind.counters(interface, &frame));
    }
    let counted = judged(appliance, interface, || {
        for (frame, _) in frames() {
            send(&frame.bytes);
        }
    });
    assert_eq!(counted, expected, "at {interface}");
}

/// An ioctl of a driver, with a number or the address of what it reads and writes.
fn ioctl(file: &File, request: libc::c_ulong, argument: usize) -> io::Result<()> {
    // SAFETY: each caller gives what `request` takes, and keeps it until it is done.
    #[expect(unsafe_code, reason = "an ioctl, and no library makes it")]
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn open(device: &str) -> io::Result<File> {
    File::options().read(true).write(true).open(device)
}

/// A unit of PPP, `ppp0`, for as long as the file is open.
fn ppp(namespace: &Namespace) -> Option<File> {
    /// `PPPIOCNEWUNIT` in `linux/ppp-ioctl.h`.
    const NEW_UNIT: libc::c_ulong = 0xc004_743e;
    let mut unit: libc::c_int = -1;
    namespace.run(|| {
        let file = open("/dev/ppp").ok()?;
        ioctl(&file, NEW_UNIT, &raw mut unit as usize).unwrap();
        Some(file)
    })
}

/// A tap device that frames are written to, for as long as the file is open.
fn tap(namespace: &Namespace, name: &str) -> File {
    /// `TUNSETIFF` in `linux/if_tun.h`.
    const SET_INTERFACE: libc::c_ulong = 0x4004_54ca;
    /// `struct ifreq`, as far as it is read.
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        flags: libc::c_short,
        rest: [u8; 22],
    }
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short,
        rest: [0; 22],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let file = namespace.run(|| {
        let file = open("/dev/net/tun").unwrap();
        ioctl(&file, SET_INTERFACE, &raw mut request as usize).unwrap();
        file
    });
    namespace.ip(&format!("link set {name} up"));
    file
}

/// Devices that are made by `ip`, with what is said of them.
const REFUSED: [(&str, &[&str], &[&str]); 16] = [
    (
        "bridge",
        &["link add dev9 up type bridge", "link set eth0 master dev9"],
        &[
            "it is a bridge: only what is meant for this host",
            "Configure eth0",
        ],
    ),
    (
        "VLAN on a bridge",
        &[
            "link add br9 up type bridge",
            "link set eth0 master br9",
            "link add dev9 link br9 up type vlan id 9",
        ],
        &["it is a vlan on br9: only what is meant", "Configure eth0"],
    ),
    (
        "macvlan on a bridge",
        &[
            "link add br9 up type bridge",
            "link set eth0 master br9",
            "link add dev9 link br9 up type macvlan",
        ],
        &["it is a macvlan device on br9", "Configure eth0"],
    ),
    (
        "VRF",
        &[
            "link add dev9 up type vrf table 9",
            "link set eth0 master dev9",
        ],
        &[
            "it is a vrf device: no frame arrives there",
            "Configure eth0",
        ],
    ),
    (
        "dummy",
        &["link add dev9 up type dummy"],
        &["it is a dummy device: no frame arrives there"],
    ),
    (
        "IFB",
        &["link add dev9 up type ifb"],
        &["it is an ifb device: no frame arrives there"],
    ),
    (
        "ipvlan",
        &["link add dev9 link eth0 up type ipvlan mode l2"],
        &["only what is sent to its own addresses", "Configure eth0"],
    ),
    (
        "tun",
        &["tuntap add dev9 mode tun"],
        &["it is a tun device", "has no Ethernet header"],
    ),
    (
        "GRE",
        &["link add dev9 up type gre local 192.0.2.1 remote 192.0.2.2"],
        &["it is a gre device", "has no Ethernet header"],
    ),
    (
        "GRE over IPv6",
        &["link add dev9 type ip6gre local 2001:db8::1 remote 2001:db8::2"],
        &["it is an ip6gre device", "has no Ethernet header"],
    ),
    (
        "IPIP",
        &["link add dev9 up type ipip local 192.0.2.1 remote 192.0.2.2"],
        &["it is an ipip device", "has no Ethernet header"],
    ),
    (
        "IP over IPv6",
        &["link add dev9 type ip6tnl local 2001:db8::1 remote 2001:db8::2"],
        &["it is an ip6tnl device", "has no Ethernet header"],
    ),
    (
        "SIT",
        &["link add dev9 up type sit local 192.0.2.1 remote 192.0.2.2"],
        &["it is a sit device", "has no Ethernet header"],
    ),
    (
        "WireGuard",
        &["link add dev9 type wireguard"],
        &["it is a wireguard device", "has no Ethernet header"],
    ),
    (
        "nlmon",
        &["link add dev9 up type nlmon"],
        &["it is a nlmon device", "has no Ethernet header"],
    ),
    (
        "renamed loopback",
        &["link set lo name dev9"],
        &["it is the loopback device", "Configure the interfaces"],
    ),
];

/// Takes away what of it was made.
fn clear(inside: &Namespace) {
    for device in ["dev9", "br9"] {
        let delete = ["link", "delete", device];
        let _gone = inside.run(|| Command::new("ip").args(delete).output().unwrap());
    }
}

/// That `dev9` is refused as it is now, and is not attached to.
#[track_caller]
fn refuses(wire: &mut Wire, kind: &str, rest: &[&str]) {
    let said = wire.appliance.reconcile();
    let [said] = said.as_slice() else {
        panic!("{kind}: {said:?}");
    };
    assert!(
        said.starts_with("dev9 failed: interface dev9: "),
        "{kind}: {said}"
    );
    for words in rest {
        assert!(said.contains(words), "{kind}: {words:?} in {said}");
    }
    assert!(!said.contains("generic\""), "{kind}: {said}");
    let shown = wire.appliance.inside.ip("-d link show dev9");
    assert!(!shown.contains("xdp"), "{kind}: {shown}");
}

#[test]
fn what_xdp_cannot_filter_is_refused_when_it_appears_natively_and_generically() {
    for attach in ["native", "generic"] {
        let mut wire = waiting_for_dev9(attach);
        for (kind, lines, rest) in REFUSED {
            if has(&wire.appliance.inside, kind, lines) {
                refuses(&mut wire, kind, rest);
            }
            let inside = &wire.appliance.inside;
            match kind {
                "renamed loopback" => drop(inside.ip("link set dev9 name lo")),
                _ => clear(inside),
            }
            assert_eq!(wire.appliance.reconcile(), [""; 0], "{kind}");
        }
        match ppp(&wire.appliance.inside) {
            None => not_run("PPP"),
            Some(_open) => {
                wire.appliance.inside.ip("link set ppp0 name dev9");
                let rest = [
                    "it is a ppp device",
                    "the Ethernet interface that PPPoE comes in at",
                ];
                refuses(&mut wire, "PPP", &rest);
            }
        }
    }
}

#[test]
fn a_start_and_a_reload_refuse_what_xdp_cannot_filter() {
    let mut wire = Wire::unjoined();
    let inside = &wire.appliance.inside;
    inside.ip("tuntap add tun9 mode tun");
    inside.ip("link add br9 type bridge");
    for (device, attach) in [("tun9", "native"), ("br9", "generic"), ("lo", "generic")] {
        let error = wire.appliance.enforce(&with_device(device, attach), now());
        let error = error.unwrap_err();
        let is_right = |interface: &str| interface == device;
        assert!(
            matches!(&error, DataplaneError::Misplaced { interface, .. } if is_right(interface)),
            "{error}"
        );
        // The next one is a reload.
        must(wire.appliance.enforce(&configs::base(), now()));
    }
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
}

/// The address that frames are sent to.
const ADDRESS: &str = "02:00:00:00:00:09";

/// To that address.
fn addressed(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame
}

/// With a VLAN tag.
fn tagged(frame: &[u8], vlan: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.splice(12..12, [0x81, 0, 0, vlan]);
    frame
}

/// A device on `eth0` that gets a part of what arrives there. What it gets is judged;
/// without native XDP it names what it is on.
fn gets_a_part(kind: &str, line: &str, form: fn(&[u8]) -> Vec<u8>) {
    let mut native = waiting_for_dev9("native");
    if !has(&native.appliance.inside, kind, &[line]) {
        return;
    }
    let said = native.appliance.reconcile().join("");
    for words in [
        "has no native XDP of its own. Configure eth0",
        "attach = \"generic\"",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    drop(native);
    let mut wire = waiting_for_dev9("generic");
    assert!(has(&wire.appliance.inside, kind, &[line]));
    assert_eq!(wire.appliance.reconcile(), ["dev9 attached"]);
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    let send = |frame: &[u8]| {
        // The other frames of eth0 are not judged here.
        cables.send(Side::Network, frame);
        cables.send(Side::Network, &form(frame));
    };
    judges(appliance, "dev9", send);
}

#[test]
fn a_vlan_sees_its_own_frames_without_their_tag() {
    let line = "link add dev9 link eth0 up type vlan id 9";
    gets_a_part("VLAN", line, |frame| tagged(frame, 9));
}

#[test]
fn a_macvlan_sees_what_is_sent_to_its_address() {
    let line = format!("link add dev9 address {ADDRESS} link eth0 up type macvlan");
    gets_a_part("macvlan", &line, addressed);
}

#[test]
fn a_macvtap_sees_what_is_sent_to_its_address() {
    let line = format!("link add dev9 address {ADDRESS} link eth0 up type macvtap");
    gets_a_part("macvtap", &line, addressed);
}

#[test]
fn a_tap_sees_what_is_written_to_it() {
    for attach in ["native", "generic"] {
        let mut wire = waiting_for_dev9(attach);
        let mut tap = tap(&wire.appliance.inside, "dev9");
        assert_eq!(wire.appliance.reconcile(), ["dev9 attached"]);
        judges(&mut wire.appliance, "dev9", |frame| {
            assert_eq!(tap.write(frame).unwrap(), frame.len());
        });
    }
}

#[test]
fn a_device_that_has_no_ethernet_frames_any_more_is_named_and_keeps_the_filter() {
    /// `TUNSETLINK` in `linux/if_tun.h`.
    const SET_TYPE: libc::c_ulong = 0x4004_54cd;
    /// `ARPHRD_NONE` and `ARPHRD_ETHER` in `linux/if_arp.h`.
    const TYPES: [usize; 2] = [0xfffe, 1];
    let mut wire = waiting_for_dev9("native");
    let tap = tap(&wire.appliance.inside, "dev9");
    assert_eq!(wire.appliance.reconcile(), ["dev9 attached"]);
    let pinned = pin(&mut wire, "dev9");
    wire.appliance.inside.ip("link set dev9 down");
    ioctl(&tap, SET_TYPE, TYPES[0]).unwrap();
    for _ in 0..2 {
        let said = wire.appliance.reconcile();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("it is a tap device"), "{said:?}");
        assert!(said[0].contains("has no Ethernet header"), "{said:?}");
    }
    let links = wire.appliance.apparatus.dataplane().links().clone();
    let stands = wire.appliance.inside.run(|| standing("dev9", &links, None));
    assert!(!stands.is_enforced(), "{stands}");
    let stays = "The filter stays attached to dev9, as it was";
    assert!(stands.to_string().ends_with(stays), "{stands}");
    ioctl(&tap, SET_TYPE, TYPES[1]).unwrap();
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    assert_eq!(pin(&mut wire, "dev9"), pinned);
    assert!(
        wire.appliance
            .inside
            .ip("-d link show dev9")
            .contains("xdp")
    );
}

#[test]
fn tunnels_with_ethernet_frames_see_what_comes_out_of_them() {
    const ENDS: [(&str, &str); 4] = [
        ("vxlan", "id 9 dstport 4789"),
        ("geneve", "id 9"),
        ("gretap", ""),
        ("ip6gretap", ""),
    ];
    let mut native = waiting_for_dev9("native");
    let mut wire = waiting_for_dev9("generic");
    for wire in [&native, &wire] {
        let (inside, outside) = (&wire.appliance.inside, &wire.outside);
        for (namespace, interface, host) in [(inside, "eth0", 1), (outside, "network", 2)] {
            let set = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
            namespace.run(|| std::fs::write(set, "0").unwrap());
            namespace.ip(&format!("address add 192.0.2.{host}/24 dev {interface}"));
            namespace.ip(&format!(
                "address add 2001:db8::{host}/64 dev {interface} nodad"
            ));
        }
    }
    for (kind, rest) in ENDS {
        let end = |device: &str, from: u8, to: u8| {
            let network = match kind {
                "ip6gretap" => "2001:db8::",
                _ => "192.0.2.",
            };
            let local = match kind {
                "geneve" => String::new(),
                _ => format!("local {network}{from}"),
            };
            format!("link add {device} up type {kind} {rest} remote {network}{to} {local}")
        };
        let own = end("dev9", 1, 2);
        if !has(&native.appliance.inside, kind, &[own.as_str()]) {
            continue;
        }
        let said = native.appliance.reconcile().join("");
        assert!(said.contains("tunnels have no native XDP"), "{said}");
        assert!(said.contains("attach = \"generic\""), "{said}");
        native.appliance.inside.ip("link delete dev9");

        wire.appliance.inside.ip(&own);
        wire.outside.ip(&end("far9", 2, 1));
        assert_eq!(wire.appliance.reconcile(), ["dev9 attached"], "{kind}");
        let mut far = Port::open(&wire.outside, "far9");
        judges(&mut wire.appliance, "dev9", |frame| far.send(frame));
        wire.appliance.inside.ip("link delete dev9");
        wire.outside.ip("link delete far9");
        assert_eq!(wire.appliance.reconcile(), ["dev9 lost"]);
    }
}

/// Makes members of interfaces, which have to be down meanwhile.
fn enslave(namespace: &Namespace, members: &[&str], controller: &str) {
    for member in members {
        namespace.ip(&format!("link set {member} down"));
        namespace.ip(&format!("link set {member} master {controller}"));
        namespace.ip(&format!("link set {member} up"));
    }
}

#[test]
fn a_bond_sees_the_frames_of_all_its_members() {
    for attach in ["native", "generic"] {
        let mut wire = waiting_for_dev9(attach);
        let (inside, outside) = (&wire.appliance.inside, &wire.outside);
        let bond = ["link add dev9 up type bond mode balance-rr"];
        if !has(inside, "bond", &bond) {
            return;
        }
        inside.join("eth2", outside, "second");
        enslave(inside, &[NETWORK, "eth2"], "dev9");
        let mut ports = ["network", "second"].map(|far| Port::open(outside, far));
        assert_eq!(wire.appliance.reconcile(), ["dev9 attached"], "{attach}");
        for port in &mut ports {
            judges(&mut wire.appliance, "dev9", |frame| port.send(frame));
        }
        // One that comes later.
        wire.appliance.inside.join("eth3", &wire.outside, "third");
        enslave(&wire.appliance.inside, &["eth3"], "dev9");
        let mut third = Port::open(&wire.outside, "third");
        judges(&mut wire.appliance, "dev9", |frame| third.send(frame));
        // And under the next generation.
        must(wire.appliance.enforce(&with_device("dev9", attach), now()));
        for port in ports.iter_mut().chain([&mut third]) {
            judges(&mut wire.appliance, "dev9", |frame| port.send(frame));
        }
    }
}

#[test]
fn a_bond_without_native_xdp_names_its_members() {
    let mut wire = waiting_for_dev9("native");
    let inside = &wire.appliance.inside;
    let bond = ["link add dev9 up type bond mode broadcast"];
    if !has(inside, "bond", &bond) {
        return;
    }
    enslave(inside, &[NETWORK], "dev9");
    let said = wire.appliance.reconcile().join("");
    for words in ["it is a bond", "Configure eth0, or", "attach = \"generic\""] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
}

#[test]
fn a_team_names_its_members_and_sees_their_frames() {
    let team = ["link add dev9 up type team"];
    let mut native = waiting_for_dev9("native");
    if !has(&native.appliance.inside, "team", &team) {
        return;
    }
    enslave(&native.appliance.inside, &[NETWORK], "dev9");
    let said = native.appliance.reconcile().join("");
    assert!(said.contains("has no native XDP. Configure eth0"), "{said}");
    drop(native);
    let mut wire = waiting_for_dev9("generic");
    assert!(has(&wire.appliance.inside, "team", &team));
    enslave(&wire.appliance.inside, &[NETWORK], "dev9");
    assert_eq!(wire.appliance.reconcile(), ["dev9 attached"]);
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, "dev9", |frame| cables.send(Side::Network, frame));
}

#[test]
fn a_bond_and_its_member_are_not_both_configured() {
    let mut wire = Wire::unjoined();
    let both = with_device("bond9", "native")
        .and("\n[[interface]]\nname = \"eth0\"\nrole = \"network\"\n");
    let inside = &wire.appliance.inside;
    if !has(
        inside,
        "bond",
        &["link add bond9 type bond mode active-backup"],
    ) {
        return;
    }
    enslave(inside, &[NETWORK], "bond9");
    inside.ip("link set bond9 up");
    let refused = |error: &DataplaneError| {
        let is_right = |interface: &str, member: &str| interface == "bond9" && member == NETWORK;
        matches!(
            error,
            DataplaneError::Misplaced { interface, why: Misplaced::Member { member } }
                if is_right(interface, member)
        )
    };
    let error = wire.appliance.enforce(&both, now()).unwrap_err();
    assert!(refused(&error), "{error}");
    // It becomes so: the member has the program and keeps it.
    wire.appliance.inside.ip("link set eth0 nomaster");
    wire.appliance.inside.ip("link delete bond9");
    wire.appliance.inside.ip("link set eth0 up");
    must(wire.appliance.enforce(&both, now()));
    let inside = &wire.appliance.inside;
    inside.ip("link add bond9 type bond mode active-backup");
    enslave(inside, &[NETWORK], "bond9");
    inside.ip("link set bond9 up");
    for _ in 0..2 {
        let said = wire.appliance.reconcile();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("its member eth0 is configured as well"),
            "{said:?}"
        );
    }
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
}

/// The base configuration on `eth0`, filtering.
fn filtering() -> Wire {
    let mut wire = Wire::unjoined();
    must(wire.appliance.enforce(&configs::base(), now()));
    wire
}

/// That nothing was done, and the frames from the network are judged as ever.
#[track_caller]
fn goes_on(wire: &mut Wire) {
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
}

/// Where the link of an interface is pinned.
fn pin(wire: &mut Wire, interface: &str) -> std::path::PathBuf {
    let links = wire.appliance.apparatus.dataplane().links();
    let mut links = links.values();
    let link = links.find(|link| link.serves == interface).unwrap();
    link.pin.clone()
}

#[test]
fn what_joins_a_bridge_or_bond_or_leaves_it_goes_on_being_filtered() {
    let mut wire = filtering();
    let pinned = pin(&mut wire, NETWORK);
    for (kind, add) in [
        ("bridge", "link add up9 up type bridge"),
        ("bond", "link add up9 up type bond mode active-backup"),
        ("team", "link add up9 up type team"),
        ("VRF", "link add up9 up type vrf table 9"),
    ] {
        if !has(&wire.appliance.inside, kind, &[add]) {
            continue;
        }
        enslave(&wire.appliance.inside, &[NETWORK], "up9");
        goes_on(&mut wire);
        wire.appliance.inside.ip("link set eth0 nomaster");
        wire.appliance.inside.ip("link set eth0 up");
        goes_on(&mut wire);
        wire.appliance.inside.ip("link delete up9");
        assert_eq!(pin(&mut wire, NETWORK), pinned, "{kind}: the same link");
    }
}

#[test]
fn a_bridge_that_takes_the_name_of_its_port_does_not_take_the_filter_from_it() {
    let mut wire = filtering();
    let pinned = pin(&mut wire, NETWORK);
    let inside = &wire.appliance.inside;
    inside.rename(NETWORK, "port9");
    inside.ip("link add eth0 up type bridge");
    inside.ip("link set port9 master eth0");
    for _ in 0..2 {
        let said = wire.appliance.reconcile();
        assert_eq!(said.len(), 1, "{said:?}");
        let beginning = "eth0 failed: interface eth0: it is a bridge";
        assert!(said[0].starts_with(beginning), "{said:?}");
        assert!(said[0].ends_with("Configure port9"), "{said:?}");
    }
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
    // It is not said that all is well.
    let links = wire.appliance.apparatus.dataplane().links().clone();
    let stands = wire
        .appliance
        .inside
        .run(|| standing(NETWORK, &links, None));
    assert!(!stands.is_enforced());
    let is_port = |kept: &Option<String>| kept.as_deref() == Some("port9");
    assert!(
        matches!(&stands, InterfaceState::Misplaced { kept, .. } if is_port(kept)),
        "{stands}"
    );
    // Nor by another start.
    wire.appliance.restart();
    let error = wire.appliance.enforce(&configs::base(), now()).unwrap_err();
    assert!(error.to_string().contains("Configure port9"), "{error}");
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
    // What it says to do is done without a gap, and what somebody undoes as well.
    must(
        wire.appliance
            .enforce(&with_device("port9", "native"), now()),
    );
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, "port9", |frame| {
        cables.send(Side::Network, frame)
    });
    let inside = &wire.appliance.inside;
    inside.ip("link delete eth0");
    inside.rename("port9", NETWORK);
    must(wire.appliance.enforce(&configs::base(), now()));
    goes_on(&mut wire);
    assert_eq!(pin(&mut wire, NETWORK), pinned, "the same link all along");
}

#[test]
fn one_device_under_two_names_is_refused_and_does_not_flap() {
    let mut wire = filtering();
    let second = configs::base().and("\n[[interface]]\nname = \"wan9\"\nrole = \"customer\"\n");
    let altname = |wire: &Wire, what: &str| {
        let words = format!("link property {what} dev eth0 altname wan9");
        wire.appliance.inside.ip(&words);
    };
    altname(&wire, "add");
    let error = wire.appliance.enforce(&second, now()).unwrap_err();
    let names = |interface: &str, other: &str| interface == "wan9" && other == NETWORK;
    assert!(
        matches!(
            &error,
            DataplaneError::Misplaced { interface, why: Misplaced::TwoNames { other } }
                if names(interface, other)
        ),
        "{error}"
    );
    goes_on(&mut wire);
    // It becomes so while both are configured.
    altname(&wire, "del");
    must(wire.appliance.enforce(&second, now()));
    goes_on(&mut wire);
    altname(&wire, "add");
    let links = wire.appliance.apparatus.dataplane().links().clone();
    for _ in 0..3 {
        let said = wire.appliance.reconcile();
        assert_eq!(said.len(), 1, "{said:?}");
        let beginning = "wan9 failed: interface wan9: it is the same device as eth0";
        assert!(said[0].starts_with(beginning), "{said:?}");
        let stands = wire
            .appliance
            .inside
            .run(|| [NETWORK, "wan9"].map(|n| standing(n, &links, None)));
        assert_eq!(stands[0], InterfaceState::Attached);
        assert!(!stands[1].is_enforced(), "{}", stands[1]);
    }
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, NETWORK, |frame| {
        cables.send(Side::Network, frame)
    });
    // An alternative name alone is as good as the other.
    altname(&wire, "del");
    altname(&wire, "add");
    must(
        wire.appliance
            .enforce(&with_device("wan9", "native"), now()),
    );
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, "wan9", |frame| cables.send(Side::Network, frame));
}

#[test]
fn a_device_is_attached_to_before_what_gets_a_part_of_its_frames() {
    let macvlan = format!("link add dev9 address {ADDRESS} link eth0 up type macvlan");
    let customers = format!("[[interface]]\nname = {CUSTOMERS:?}");
    let upper = "[[interface]]\nname = \"dev9\"\nrole = \"network\"\nattach = \"generic\"\n";
    let first = configs::base().with(&customers, &format!("{upper}{customers}"));
    let last = configs::base().and(upper);
    for config in [&first, &last] {
        let mut wire = Wire::unjoined();
        if !has(&wire.appliance.inside, "macvlan", &[&macvlan]) {
            return;
        }
        must(wire.appliance.enforce(config, now()));
        assert_eq!(wire.appliance.reconcile(), [""; 0]);
        // What passes the one is judged at the other.
        let (frame, passes) = frames()[1].clone();
        let mut expected = passes.counters(NETWORK, &frame);
        expected.extend(passes.counters("dev9", &frame));
        let cables = &mut wire.cables;
        let counted = judged(&mut wire.appliance, "dev9", || {
            cables.send(Side::Network, &addressed(&frame.bytes));
        });
        assert_eq!(counted, expected);
        // Another mode would take the program off, and the kernel would not let it back.
        let slow = config.clone().with(
            &format!("name = {NETWORK:?}\nrole = \"network\"\n"),
            &format!("name = {NETWORK:?}\nrole = \"network\"\nattach = \"generic\"\n"),
        );
        let error = wire.appliance.enforce(&slow, now()).unwrap_err();
        assert!(
            matches!(&error, DataplaneError::Below { upper, .. } if upper == "dev9"),
            "{error}"
        );
        goes_on(&mut wire);
    }
    // Nor can what is below come later, unless it takes the place of the other.
    let mut wire = waiting_for_dev9("generic");
    wire.appliance.inside.ip(&macvlan);
    assert_eq!(wire.appliance.reconcile(), ["dev9 attached"]);
    let error = wire.appliance.enforce(&last, now()).unwrap_err();
    assert!(matches!(&error, DataplaneError::Below { .. }), "{error}");
    let second = "link add dev8 link eth0 up type macvlan";
    wire.appliance.inside.ip(second);
    let one_fails = configs::base().and("[[interface]]\nname = \"dev8\"\nrole = \"network\"\n");
    let error = wire.appliance.enforce(&one_fails, now()).unwrap_err();
    let is_dev8 = |interface: &str| interface == "dev8";
    assert!(
        matches!(&error, DataplaneError::NoNativeXdp { interface, .. } if is_dev8(interface)),
        "{error}"
    );
    let (cables, appliance) = (&mut wire.cables, &mut wire.appliance);
    judges(appliance, "dev9", |frame| {
        cables.send(Side::Network, &addressed(frame));
    });
    must(wire.appliance.enforce(&configs::base(), now()));
    let shown = wire.appliance.inside.ip("-d link show dev9");
    assert!(!shown.contains("xdp"), "{shown}");
    goes_on(&mut wire);
}

#[test]
fn a_device_without_native_xdp_is_an_error_and_never_a_silent_fall_back() {
    let mut wire = Wire::unjoined();
    let macvlan = "link add dev9 link eth0 up type macvlan";
    if !has(&wire.appliance.inside, "macvlan", &[macvlan]) {
        return;
    }
    let error = wire
        .appliance
        .enforce(&with_device("dev9", "native"), now());
    let error = error.unwrap_err();
    let is_right = |interface: &str, lower: &str| interface == "dev9" && lower == NETWORK;
    assert!(
        matches!(
            &error,
            DataplaneError::NoNativeXdp { interface, why: NotNative::On { lower, .. } }
                if is_right(interface, lower)
        ),
        "{error}"
    );
    // Whoever started it gives up, and takes away what was attached before.
    wire.appliance.apparatus.detach();
    for interface in [CUSTOMERS, NETWORK, "dev9"] {
        let shown = wire
            .appliance
            .inside
            .ip(&format!("-d link show {interface}"));
        assert!(!shown.contains("xdp"), "{shown}");
    }
}
