//! A customer's machine comes online through a box with source validation: with Linux's
//! own duplicate address detection, router discovery, MLD and IGMP, and with Debian's
//! dhclient and dnsmasq, for both versions of DHCP and router advertisements. Needs root.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lab::{Namespace, Port, Process, cpu::stay_on_this_cpu};
use nix::net::if_::if_nametoindex;
use poolguard_tests::{
    configs::{self, CUSTOMERS, Hosts},
    fixture::{Counters, forged, moved},
    frames::udp,
    kernel::must,
    wire::Appliance,
};

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
/// The customer's end of the cable.
const WAN: &str = "customers";
/// The provider's.
const LAN: &str = "network";

/// Prefixes of pools that the provider's router announces, and its addresses there.
const GATEWAY: &str = "198.51.100.1";
const GATEWAY_V6: &str = "2001:db8:100::1";
/// What the DHCP server has to give.
const LEASE: &str = "198.51.100.7";
const LEASE_V6: &str = "2001:db8:100::7";

/// Groups that the customer joins: without an address, and with one.
const EARLY_GROUP: Ipv4Addr = Ipv4Addr::new(239, 47, 11, 1);
const LATE_GROUP: Ipv4Addr = Ipv4Addr::new(239, 47, 11, 2);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0x47, 0x11);

#[test]
fn a_machine_comes_online_where_sources_are_validated() {
    stay_on_this_cpu();
    let (customer, provider) = (Namespace::new(), Namespace::new());
    let mut appliance = Appliance::bridging(&customer, &provider);
    let now = "2026-06-15T12:00:00Z".parse().unwrap();
    must(appliance.enforce(&configs::known_sources(), now));
    let before = appliance.counters();
    let mut line = Line::of(&customer, &provider);
    let _router = Router::start(&provider);

    // IGMP before there is an address: a set-top box may be faster than its lease.
    customer.ip(&format!("route add 224.0.0.0/4 dev {WAN}"));
    join(&customer, EARLY_GROUP.into());
    line.until_said(&[Said::Igmp(Sender::Unspecified)]);

    customer
        .sysctl("ipv6/conf/customers/disable_ipv6", "0")
        .unwrap();
    let detection = Said::DuplicateAddressDetection;
    line.until_said(&[
        detection,
        Said::Mld(Sender::Unspecified),
        Said::RouterSolicitation,
    ]);
    until_there(&customer, "-6 route show default", |routes| {
        routes.contains("proto ra")
    });
    until_there(&customer, "-6 address show scope global", |addresses| {
        addresses.contains("2001:db8:100:") && !addresses.contains("tentative")
    });
    let link_local = customer.ip(&format!("-6 address show dev {WAN} scope link"));
    assert!(link_local.contains("fe80:") && !link_local.contains("dadfailed"));

    let v4 = Client::bind(&customer, "-4", "bound to");
    line.until_said(&[Said::Dhcp(Sender::Unspecified)]);
    let v6 = Client::bind(&customer, "-6", "Bound to lease");
    line.until_said(&[Said::Dhcpv6]);
    for (show, lease) in [("-4", LEASE), ("-6", LEASE_V6)] {
        until_there(&customer, &format!("{show} address show"), |addresses| {
            addresses.contains(&format!("{lease}/")) && !addresses.contains("tentative")
        });
    }
    // The client's script adds the route after the address.
    until_there(&customer, "-4 route show default", |routes| {
        routes.contains("default via")
    });
    drop((v4, v6));

    join(&customer, LATE_GROUP.into());
    join(&customer, GROUP_V6.into());
    line.until_said(&[Said::Igmp(Sender::Other), Said::Mld(Sender::LinkLocal)]);

    // Both routes lead past the router's own addresses.
    for (_, net) in Hosts::families() {
        reaches(&customer, &provider, net.internet);
    }
    let nothing = drops(&before, &appliance.counters());
    assert_eq!(nothing, Counters::new(), "nothing of it was dropped");

    // The rule is on.
    let mut cable = Port::open(&customer, WAN);
    let mut expected = Counters::new();
    for (_, net) in Hosts::families() {
        let frame = udp((net.provider, 40_000), (net.internet, 53)).arrival();
        cable.send(&frame.bytes);
        for (name, count) in forged().counters(CUSTOMERS, &frame) {
            *expected.entry(name).or_default() += count;
        }
        reaches(&customer, &provider, net.internet);
    }
    assert_eq!(drops(&before, &appliance.counters()), expected);
}

/// What has moved of the counters of drops.
fn drops(before: &Counters, after: &Counters) -> Counters {
    let mut moved = moved(before, after);
    moved.retain(|name, _| name.contains("drop"));
    moved
}

/// A datagram of the customer's arrives: what was sent before it is done with.
fn reaches(customer: &Namespace, provider: &Namespace, to: IpAddr) {
    let far = provider.run(|| UdpSocket::bind((to, 0)).unwrap());
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let near = customer.run(|| UdpSocket::bind((any, 0)).unwrap());
    let deadline = Instant::now() + PATIENCE;
    // Clients that end take a route off and the router's next word brings it back.
    while let Err(error) = near.send_to(b"poolguard", far.local_addr().unwrap()) {
        let has_no_route = error.kind() == ErrorKind::NetworkUnreachable;
        assert!(has_no_route && Instant::now() < deadline, "{error}");
    }
    let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
    let is_global = |text: &str| from.ip().to_string().starts_with(text);
    assert!(
        is_global("198.51.100.") || is_global("2001:db8:100:"),
        "{from}"
    );
}

/// Joins a group on the customer's interface. The kernel says so, and leaves when the
/// machine is no more.
fn join(customer: &Namespace, group: IpAddr) {
    let socket = customer.run(|| match group {
        IpAddr::V4(group) => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let wherever_the_route_leads = Ipv4Addr::UNSPECIFIED;
            let joined = socket.join_multicast_v4(&group, &wherever_the_route_leads);
            joined.map(|()| socket).unwrap()
        }
        IpAddr::V6(group) => {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
            let joined = socket.join_multicast_v6(&group, if_nametoindex(WAN).unwrap());
            joined.map(|()| socket).unwrap()
        }
    });
    // A group that is left at once is hardly joined.
    std::mem::forget(socket);
}

/// Looks until `ip` shows it.
fn until_there(namespace: &Namespace, words: &str, is_there: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = namespace.ip(words);
        if is_there(&shown) {
            return;
        }
        assert!(Instant::now() < deadline, "ip {words}: {shown}");
    }
}

/// Whom a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    Unspecified,
    LinkLocal,
    Other,
}

impl Sender {
    fn of(address: IpAddr) -> Self {
        match address {
            address if address.is_unspecified() => Self::Unspecified,
            IpAddr::V6(address) if address.is_unicast_link_local() => Self::LinkLocal,
            _ => Self::Other,
        }
    }
}

/// What a machine says that comes online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Dhcp(Sender),
    Dhcpv6,
    DuplicateAddressDetection,
    Igmp(Sender),
    Mld(Sender),
    RouterSolicitation,
}

impl Said {
    /// Reads a frame without tags, in which only MLD has an extension header.
    fn read(frame: &[u8]) -> Option<Self> {
        let ip = &frame[14..];
        match frame[12..14] {
            [0x08, 0x00] => {
                let source: [u8; 4] = *ip[12..].first_chunk()?;
                let sender = Sender::of(source.into());
                match (ip[9], ip[usize::from(ip[0] & 15) * 4..].get(2..4)) {
                    (2, _) => Some(Self::Igmp(sender)),
                    (17, Some([0, 67])) => Some(Self::Dhcp(sender)),
                    _ => None,
                }
            }
            [0x86, 0xdd] => {
                let source: [u8; 16] = *ip[8..].first_chunk()?;
                let sender = Sender::of(source.into());
                match (ip[6], ip[40], &ip[42..44]) {
                    // Behind eight bytes of hop-by-hop options.
                    (0, 58, _) if ip[48] == 143 => Some(Self::Mld(sender)),
                    (58, 133, _) => Some(Self::RouterSolicitation),
                    (58, 135, _) if sender == Sender::Unspecified => {
                        Some(Self::DuplicateAddressDetection)
                    }
                    (17, _, [2, 35]) if sender == Sender::LinkLocal => Some(Self::Dhcpv6),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The provider's end of the line, on which the customer is heard.
struct Line {
    cable: Port,
    /// The customer's hardware address.
    customer: Vec<u8>,
    heard: BTreeSet<Said>,
}

impl Line {
    fn of(customer: &Namespace, provider: &Namespace) -> Self {
        let shown = customer.ip(&format!("-o link show {WAN}"));
        let mut words = shown.split_whitespace();
        let address = words.find(|word| *word == "link/ether").and(words.next());
        let bytes = address.unwrap().split(':');
        Self {
            cable: Port::open(provider, LAN),
            customer: bytes
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect(),
            heard: BTreeSet::new(),
        }
    }

    /// Waits until all of this was heard.
    fn until_said(&mut self, wanted: &[Said]) {
        while !wanted.iter().all(|said| self.heard.contains(said)) {
            let frame = self.cable.receive();
            let frame = frame.unwrap_or_else(|| panic!("{wanted:?} in {:?}", self.heard));
            if frame[6..12] == self.customer[..] {
                self.heard.extend(Said::read(&frame));
            }
        }
    }
}

/// The provider's router: dnsmasq, which advertises itself and gives addresses away.
struct Router {
    _dnsmasq: Process,
}

impl Router {
    fn start(provider: &Namespace) -> Self {
        provider.ip("link set lo up");
        for (key, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
            let key = format!("ipv6/conf/{LAN}/{key}");
            provider.sysctl(&key, value).unwrap();
        }
        provider.sysctl("ipv6/conf/lo/disable_ipv6", "0").unwrap();
        provider.ip(&format!("address add {GATEWAY}/24 dev {LAN}"));
        provider.ip(&format!("address add {GATEWAY_V6}/64 dev {LAN} nodad"));
        for (_, net) in Hosts::families() {
            provider.ip(&format!("address add {} dev lo", net.internet));
        }
        let mut dnsmasq = provider.command("dnsmasq");
        dnsmasq.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]);
        // As root, who is there on every machine; nothing is written down.
        dnsmasq.args(["--user=", "--group=", "--leasefile-ro", "--pid-file="]);
        dnsmasq.args(["--log-facility=-", "--enable-ra", "--no-ping"]);
        dnsmasq.arg(format!("--interface={LAN}"));
        dnsmasq.arg(format!("--dhcp-range={LEASE},{LEASE},1h"));
        dnsmasq.arg(format!("--dhcp-range={LEASE_V6},{LEASE_V6},slaac,64,1h"));
        let dnsmasq = Process::spawn("dnsmasq", &mut dnsmasq).unwrap();
        let mut log = String::new();
        while !log.contains("router advertisement on") {
            let line = dnsmasq.stderr().line_by(Instant::now() + PATIENCE);
            log += &line.unwrap_or_else(|error| panic!("dnsmasq: {error}: {log}"));
        }
        Self { _dnsmasq: dnsmasq }
    }
}

/// dhclient, which has got an address.
struct Client {
    _dhclient: Process,
    _directory: Directory,
}

impl Client {
    fn bind(customer: &Namespace, family: &str, bound: &str) -> Self {
        let directory = Directory::new(family);
        let file = |name: &str| directory.0.join(name);
        // Where there is AppArmor, dhclient runs no script but its own, which would change
        // the machine's resolv.conf. That is about the program in its place.
        let program = file("dhclient");
        let installed = ["/usr/sbin/dhclient", "/sbin/dhclient"].map(Path::new);
        let installed = installed.into_iter().find(|file| file.is_file()).unwrap();
        fs::copy(installed, &program).unwrap();
        fs::write(file("script"), SCRIPT).unwrap();
        fs::set_permissions(file("script"), Permissions::from_mode(0o755)).unwrap();
        fs::write(file("conf"), "").unwrap();
        let mut dhclient = customer.command(&program);
        dhclient.args([family, "-d", "-1", WAN]);
        for (option, name) in [
            ("-sf", "script"),
            ("-cf", "conf"),
            ("-lf", "leases"),
            ("-pf", "pid"),
        ] {
            dhclient.arg(option).arg(file(name));
        }
        let dhclient = Process::spawn("dhclient", &mut dhclient).unwrap();
        let mut log = String::new();
        while !log.contains(bound) {
            let line = dhclient.stderr().line_by(Instant::now() + PATIENCE);
            log += &line.unwrap_or_else(|error| panic!("dhclient {family}: {error}: {log}"));
            log.push('\n');
        }
        Self {
            _dhclient: dhclient,
            _directory: directory,
        }
    }
}

/// What dhclient has done to the interface.
const SCRIPT: &str = r#"#!/bin/sh -e
case $reason in
BOUND)
    ip address add "$new_ip_address/$new_subnet_mask" dev "$interface"
    ip route add default via "$new_routers" ;;
BOUND6)
    ip address add "$new_ip6_address/$new_ip6_prefixlen" dev "$interface" ;;
esac
"#;

/// For dhclient's files. It goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn new(family: &str) -> Self {
        let name = format!("poolguard-dhclient-{}{family}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}
