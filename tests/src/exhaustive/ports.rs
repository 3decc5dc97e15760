//! The whole decision, with its reason and every counter: ports, protocols,
//! flags and the ends of a packet.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use filter_common::{
    Sources,
    counters::{Ledger, Row, count},
    decide,
};
use policy::{
    compile::{Compiled, compile},
    config::Config,
    host::HostTables,
};

use super::{
    Domain,
    shapes::{ETHERNET, IPV4, IPV6, SEGMENT, TRANSPORTS, ipv4_frame, ipv6_frame, set},
};
use crate::{
    agreement::counters::Places,
    configs::{self, CUSTOMERS, Configuration, FORBIDDEN, Hosts, NETWORK},
    frames::Arrival,
    generate::{scenario::load, setup::NOW},
    oracle::Oracle,
};

/// Both roles.
const SIDES: [&str; 2] = [CUSTOMERS, NETWORK];

/// Where the flags of a TCP header are.
const FLAGS: usize = 13;

/// The configurations that differ in `return_traffic` alone.
fn return_traffic() -> [Configuration; 3] {
    [configs::base(), configs::syn(), configs::drop()]
}

/// Every destination port, of every protocol, on both sides, to a customer in a
/// dynamic pool and to a static one with exemptions, for every `return_traffic`, and under
/// lists of ranges.
pub fn every_destination_port() {
    let mut domain = Domain::new("destination ports");
    let lists = [
        configs::ranges(),
        configs::ranges_syn(),
        configs::all_of_tcp(),
    ];
    for configuration in return_traffic().into_iter().chain(lists) {
        let judges = Judges::new(&configuration);
        let mut bench = judges.bench();
        let hosts = Hosts::v4();
        for (to, protocol) in pairs([hosts.dialup, hosts.acme], TRANSPORTS) {
            let mut packet = Packet::new(hosts.internet, to, protocol);
            for side in SIDES {
                for port in 0..=u16::MAX {
                    packet.ports(40_000, port);
                    domain.note(bench.check(side, &packet.frame));
                }
            }
        }
    }
    domain.end(
        6 * 2 * 5 * 2 * 65_536,
        &["allowed", "drop", "exempted", "unwatched"],
    );
}

/// Every port that a customer can open a connection from, and its answer, for
/// every protocol, from a dynamic pool and from a static customer.
pub fn every_source_port() {
    let mut domain = Domain::new("source ports, and answers to them");
    let judges = Judges::new(&configs::base());
    let mut bench = judges.bench();
    let hosts = Hosts::v4();
    for (customer, protocol) in pairs([hosts.dialup, hosts.acme], TRANSPORTS) {
        let mut question = Packet::new(customer, hosts.internet, protocol);
        let mut answer = Packet::new(hosts.internet, customer, protocol);
        for port in 0..=u16::MAX {
            question.ports(port, 40_000);
            domain.note(bench.check(CUSTOMERS, &question.frame));
            answer.ports(40_000, port);
            domain.note(bench.check(NETWORK, &answer.frame));
        }
    }
    // From 1080, 8000 and 8080.
    assert_eq!(bench.tables.flows().len(), 2 * 5 * 3);
    assert_eq!(bench.oracle.flows(), 2 * 5 * 3);
    domain.end(
        2 * 5 * 2 * 65_536,
        &["allowed", "drop", "exempted", "return", "unwatched"],
    );
}

/// Every combination of TCP flags, to every port that matters and its
/// neighbours, on both sides, for every `return_traffic`.
pub fn every_tcp_flag() {
    let mut domain = Domain::new("TCP flags");
    for configuration in return_traffic() {
        let judges = Judges::new(&configuration);
        let mut bench = judges.bench();
        for hosts in [Hosts::v4(), Hosts::v6()] {
            for to in [hosts.dialup, hosts.vpop, hosts.dsl, hosts.acme] {
                let mut packet = Packet::new(hosts.internet, to, 6);
                for (side, port) in pairs(SIDES, ports()) {
                    packet.ports(40_000, port);
                    for flags in 0..=u8::MAX {
                        packet.flags(flags);
                        domain.note(bench.check(side, &packet.frame));
                    }
                }
            }
        }
    }
    domain.end(
        3 * 2 * 4 * 2 * 31 * 256,
        &["allowed", "drop", "exempted", "unwatched"],
    );
}

/// Every port that an answer can come from, with every protocol, from a stranger, a
/// mail server and a customer's mail server, to customers with and without the leave to
/// send mail and to a stranger, on both sides.
pub fn every_port_of_an_answer() {
    let mut domain = Domain::new("ports that answers come from");
    for configuration in [configs::base(), configs::smtp_replies()] {
        let judges = Judges::new(&configuration);
        let mut bench = judges.bench();
        let hosts = Hosts::v6();
        let from = [hosts.internet, hosts.mail, hosts.acme_edges[0]];
        let to = [hosts.dialup, hosts.acme, hosts.provider];
        for (from, to) in pairs(from, to) {
            for (side, protocol) in pairs(SIDES, TRANSPORTS) {
                let mut packet = Packet::new(from, to, protocol);
                for port in 0..=u16::MAX {
                    packet.ports(port, 40_000);
                    domain.note(bench.check(side, &packet.frame));
                }
            }
        }
    }
    domain.end(
        2 * 3 * 3 * 2 * 5 * 65_536,
        &["allowed", "drop", "mail_server", "unwatched"],
    );
}

/// Every first half of an IPv4 source address, and every first two bytes of an IPv6
/// one, with all the rest zeros or ones, under each value of `sources`: the addresses
/// that rule 7 knows, and all their neighbours.
pub fn every_beginning_of_a_source() {
    let mut domain = Domain::new("beginnings of source addresses");
    for sources in Sources::ALL {
        let configuration = configs::base().known_sources(sources.name());
        let judges = Judges::new(&configuration);
        let mut bench = judges.bench();
        let [v4, v6] = [Hosts::v4(), Hosts::v6()];
        for (beginning, rest) in pairs(0..=u16::MAX, [0, u128::MAX]) {
            let v4_bits = u32::from(beginning) << 16 | rest as u32 >> 16;
            let v6_bits = u128::from(beginning) << 112 | rest >> 16;
            let sources: [IpAddr; 2] = [
                Ipv4Addr::from_bits(v4_bits).into(),
                Ipv6Addr::from_bits(v6_bits).into(),
            ];
            for (source, to) in sources.into_iter().zip([v4.provider, v6.provider]) {
                for protocol in [17, 58] {
                    let mut packet = Packet::new(source, to, protocol);
                    packet.ports(40_000, 53);
                    domain.note(bench.check(CUSTOMERS, &packet.frame));
                }
            }
        }
    }
    domain.end(
        3 * 65_536 * 2 * 2 * 2,
        &["drop", "no_ports", "unwatched", "would_drop"],
    );
}

/// Every pair of hosts, edges of pools and neighbours outside them among them,
/// with every protocol, to every port that matters and its neighbours, from a mail port
/// and another one, on both sides, under twenty configurations.
pub fn every_pair_of_hosts() {
    let mut domain = Domain::new("pairs of hosts");
    for configuration in [
        configs::base(),
        configs::syn(),
        configs::drop(),
        configs::direct_smtp(),
        configs::no_mail_servers(),
        configs::submission(),
        configs::own_ports(),
        configs::by_protocol(),
        configs::nested(),
        configs::mail_in_pools(),
        configs::pool_among_mail_servers(),
        configs::monitor_box(),
        configs::monitor_dialup(),
        configs::monitor_dsl(),
        configs::smtp_replies(),
        configs::known_sources(),
        configs::monitored_sources(),
        configs::mixed(),
        configs::ranges(),
        configs::all_of_tcp(),
    ] {
        let judges = Judges::new(&configuration);
        let mut bench = judges.bench();
        for hosts in [Hosts::v4(), Hosts::v6()] {
            for (from, to) in pairs(all(&hosts), all(&hosts)) {
                for protocol in TRANSPORTS {
                    let mut packet = Packet::new(from, to, protocol);
                    for (side, port) in pairs(SIDES, ports()) {
                        for from in [25, 40_000] {
                            packet.ports(from, port);
                            domain.note(bench.check(side, &packet.frame));
                        }
                    }
                }
            }
        }
    }
    domain.end(
        20 * 2 * 21 * 21 * 5 * 2 * 31 * 2,
        &[
            "allowed",
            "drop",
            "exempted",
            "mail_server",
            "unwatched",
            "would_drop",
        ],
    );
}

/// The ports that configurations forbid by default, and the ones before and
/// after each; those around the first that answers come to.
fn ports() -> Vec<u16> {
    let near = |port: u16| [port - 1, port, port + 1];
    let mut ports: Vec<u16> = FORBIDDEN.into_iter().chain([1024]).flat_map(near).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Every host of the stories in a family.
fn all(hosts: &Hosts) -> Vec<IpAddr> {
    let alone = [
        hosts.internet,
        hosts.provider,
        hosts.mail,
        hosts.dialup,
        hosts.before_dialup,
        hosts.vpop,
        hosts.after_vpop,
        hosts.dsl,
        hosts.acme,
    ];
    let edges = [
        hosts.beside_mail,
        hosts.dialup_edges,
        hosts.vpop_edges,
        hosts.dsl_edges,
        hosts.acme_edges,
        hosts.beside_acme,
    ];
    let mut all: Vec<_> = alone
        .into_iter()
        .chain(edges.into_iter().flatten())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn pairs<A: Copy, B: Copy>(
    first: impl IntoIterator<Item = A>,
    second: impl IntoIterator<Item = B> + Clone,
) -> impl Iterator<Item = (A, B)> {
    let first = first.into_iter();
    first.flat_map(move |a| second.clone().into_iter().map(move |b| (a, b)))
}

/// A frame that holds a transport header.
struct Packet {
    frame: Vec<u8>,
    segment: usize,
}

impl Packet {
    fn new(from: IpAddr, to: IpAddr, protocol: u8) -> Self {
        let (mut frame, header) = match to {
            IpAddr::V4(_) => (ipv4_frame(protocol, 5, &SEGMENT), IPV4),
            IpAddr::V6(_) => (ipv6_frame(protocol, &SEGMENT), IPV6),
        };
        let segment = ETHERNET + header;
        // The addresses are the end of either header.
        let bytes = |address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let addresses = [bytes(from), bytes(to)].concat();
        frame[segment - addresses.len()..segment].copy_from_slice(&addresses);
        Self { frame, segment }
    }

    fn ports(&mut self, source: u16, destination: u16) {
        set(&mut self.frame, self.segment, source);
        set(&mut self.frame, self.segment + 2, destination);
    }

    fn flags(&mut self, flags: u8) {
        self.frame[self.segment + FLAGS] = flags;
    }
}

/// A configuration in the hands of both.
struct Judges {
    config: Config,
    compiled: Compiled,
    places: Places,
}

impl Judges {
    fn new(configuration: &Configuration) -> Self {
        let config = load(&configuration.text);
        let compiled = compile(&config.clone().into(), NOW.parse().unwrap()).unwrap();
        Self {
            config,
            places: Places::new(&compiled.slots),
            compiled,
        }
    }

    fn bench(&self) -> Bench<'_> {
        Bench {
            judges: self,
            oracle: Oracle::new(&self.config, NOW.parse().unwrap()),
            tables: HostTables::new(&self.compiled),
        }
    }
}

/// Both, and what they remember.
struct Bench<'a> {
    judges: &'a Judges,
    oracle: Oracle<'a>,
    tables: HostTables<'a>,
}

impl Bench<'_> {
    /// Shows a frame to both, and says what they agree on.
    fn check(&mut self, side: &str, frame: &[u8]) -> &'static str {
        let Judges {
            config,
            compiled,
            places,
        } = self.judges;
        let mut interfaces = config.interfaces.iter();
        let interface = interfaces.find(|i| i.name == side).unwrap();
        let slot = compiled.interfaces.iter().find(|i| i.name == side);
        let slot = slot.unwrap().slot;

        let answer = self.oracle.arrive(interface, frame);
        let verdict = decide(frame, interface.ingress(), &self.tables);
        let mut moves = Moves::default();
        count(&verdict, slot, frame.len(), &mut moves);
        let reason = verdict.reason.map(|reason| reason.name());
        let moved = places.named(&moves.rows);
        let agree = verdict.passes() == answer.passes
            && (verdict.outcome.name(), reason) == (answer.outcome, answer.reason)
            && moved == answer.moved;
        assert!(
            agree,
            "{} at {side}\ndecide: {verdict:?} {moved:?}\noracle: {answer:?}",
            Arrival {
                bytes: frame.to_vec(),
                ip_offset: 0
            }
        );
        answer.outcome
    }
}

/// What one frame counts.
#[derive(Default)]
struct Moves {
    rows: BTreeMap<u32, Row>,
}

impl Ledger for Moves {
    fn row(&mut self, number: u32) -> Option<&mut Row> {
        Some(self.rows.entry(number).or_default())
    }
}
