//! The addresses that a change opens and closes, against asking the filter's own
//! decision about every packet, address by address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use filter_common::{
    Address, DropReason, Ingress, Outcome, Protocol, ReturnTraffic, Role, Sources, Tables, decide,
    flow::Flow,
};
use ipnet::IpNet;
use policy::{
    change::{Addresses, Change},
    compile::compile,
    config::{
        Attach, Config, Customer, CustomerList, Egress, Forwarding, Interface, Mail, Metrics, Pool,
        PoolKind, PortRange, PortSpec, Ports, Share, Source, Terms,
    },
    explain::{Packet, Transport},
    host::HostTables,
    intent::Intent,
};
use proptest::{prelude::*, sample::select};
use serde_json::json;

use crate::now;

/// On both sides of 1024, and the ends of ranges with their neighbours.
const PORTS: [u16; 10] = [25, 26, 79, 80, 1023, 1024, 1080, 1081, 8080, 65_535];
/// That meet one another, and some of these ports.
const RANGES: [(u16, u16); 6] = [
    (1, 30_000),
    (26, 79),
    (80, 1080),
    (1000, 1023),
    (1024, 8080),
    (79, 80),
];
/// Of all ports that any list of these can treat alike, one: each of [`PORTS`], and one
/// of those between two ends.
const PROBED: [u16; 17] = [
    1, 25, 26, 27, 79, 80, 81, 1000, 1023, 1024, 1025, 1080, 1081, 1082, 8080, 8081, 65_535,
];
/// From here the customers' own packets went, and answers come back.
const KNOWN_PORT: u16 = 40_000;
const UNKNOWN_PORT: u16 = 40_001;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A few addresses, so that prefixes meet: 32 in IPv4, eight /64s in IPv6.
pub(crate) fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (27..=32_u8, 0..32_u32).prop_map(|(length, host)| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + host);
        IpNet::new_assert(address.into(), length).trunc()
    });
    let v6 = (61..=66_u8, 0..32_u128).prop_map(|(length, part)| {
        let address = Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + (part << 62));
        IpNet::new_assert(address.into(), length).trunc()
    });
    prop_oneof![v4, v6]
}

/// The addresses that the prefixes can tell apart, and some around them.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let v4 = (0..36).map(|host| Ipv4Addr::from_bits(0x0a00_0000 + host).into());
    let v6 = (0..36).map(|part| {
        let bits = (0x2001_0db8_u128 << 96) + (part << 62) + 7;
        Ipv6Addr::from_bits(bits).into()
    });
    v4.chain(v6).collect()
}

fn port() -> impl Strategy<Value = PortSpec> {
    let protocols = [
        None,
        None,
        None,
        Some(Protocol::Tcp),
        Some(Protocol::Udp),
        Some(Protocol::Sctp),
    ];
    let ranges = RANGES.map(|(first, last)| PortRange::new(first, last).unwrap());
    let ports = prop_oneof![
        3 => select(PORTS.to_vec()).prop_map(PortRange::from),
        2 => select(ranges.to_vec()),
    ];
    (ports, select(protocols.to_vec())).prop_map(|(ports, protocol)| PortSpec { ports, protocol })
}

pub(crate) fn ports() -> impl Strategy<Value = Vec<PortSpec>> {
    prop::collection::vec(port(), 0..5)
}

/// Each prefix once, as the configuration demands.
fn prefixes(most: usize) -> impl Strategy<Value = Vec<IpNet>> {
    prop::collection::btree_set(prefix(), 0..=most).prop_map(|set| set.into_iter().collect())
}

fn pools() -> impl Strategy<Value = Vec<Pool>> {
    let kinds = vec![PoolKind::Dynamic, PoolKind::Static, PoolKind::Static];
    let settings = (
        select(kinds),
        prop::option::weighted(0.4, ports()),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec((prefixes(3), settings), 0..4).prop_map(|pools| {
        let mut taken = BTreeSet::new();
        let pools = pools.into_iter().enumerate();
        pools
            .map(|(number, (prefixes, (kind, forbidden, monitor)))| Pool {
                name: format!("pool-{number}"),
                kind,
                prefixes: prefixes.into_iter().filter(|p| taken.insert(*p)).collect(),
                forbidden,
                monitor,
            })
            .collect()
    })
}

fn customers() -> impl Strategy<Value = Vec<Customer>> {
    let expiries = [
        "2020-01-01T00:00:00Z",
        "2026-06-15T12:00:00Z",
        "2099-01-01T00:00:00Z",
    ];
    let expires = prop::option::weighted(0.4, select(expiries.to_vec()));
    prop::collection::vec((prefixes(2), ports(), any::<bool>(), expires), 0..5).prop_map(|all| {
        let mut taken = BTreeSet::new();
        let all = all.into_iter().enumerate();
        all.map(
            |(number, (prefixes, allow_inbound, allow_smtp_out, expires))| Customer {
                name: format!("customer-{number}"),
                prefixes: prefixes.into_iter().filter(|p| taken.insert(*p)).collect(),
                terms: Terms {
                    allow_inbound,
                    allow_smtp_out,
                    expires: expires.map(|at| at.parse().unwrap()),
                },
                ticket: None,
                source: Source {
                    file: "test.toml".into(),
                    line: 1,
                },
            },
        )
        .collect()
    })
}

fn mail() -> impl Strategy<Value = Mail> {
    let outside = select(vec![
        "192.0.2.25/32",
        "192.0.2.24/31",
        "2001:db8:ffff::25/128",
    ]);
    let server = prop_oneof![outside.prop_map(|text| text.parse().unwrap()), prefix()];
    let servers = prop::collection::btree_set(server, 0..3);
    let ports = select(vec![vec![25], vec![25], vec![25, 80]]);
    let passes = (prop::bool::weighted(0.1), prop::bool::weighted(0.3));
    (servers, ports, passes).prop_map(|(servers, ports, (direct_smtp, smtp_replies))| Mail {
        servers: servers.into_iter().collect(),
        ports,
        direct_smtp,
        smtp_replies,
    })
}

fn ingress() -> impl Strategy<Value = Ingress> {
    let customer = select(Sources::ALL.to_vec()).prop_map(|sources| Ingress {
        role: Role::Customer,
        sources,
    });
    let mixed = Just(Ingress {
        role: Role::Mixed,
        sources: Sources::Any,
    });
    prop_oneof![4 => customer, 1 => mixed]
}

pub(crate) fn a_config() -> impl Strategy<Value = Config> {
    let settings = [
        ReturnTraffic::Track,
        ReturnTraffic::Track,
        ReturnTraffic::Syn,
        ReturnTraffic::Drop,
    ];
    let common = (
        prop::bool::weighted(0.05),
        ports(),
        select(settings.to_vec()),
        ingress(),
    );
    (common, mail(), pools(), customers(), 0..3_usize).prop_map(
        |(
            (monitor, forbidden, return_traffic, Ingress { role, sources }),
            mail,
            pools,
            mut customers,
            listed,
        )| {
            Config {
                listed: list(customers.split_off(customers.len().saturating_sub(listed))),
                monitor,
                forwarding: Forwarding::Kernel,
                interfaces: vec![Interface {
                    name: "eth1".to_owned(),
                    role,
                    attach: Attach::Native,
                    sources,
                    egress: Egress::by_default(role),
                }],
                ports: Ports {
                    forbidden,
                    return_traffic,
                },
                mail,
                pools,
                customers,
                metrics: Metrics {
                    listen: "127.0.0.1:9188".parse().unwrap(),
                },
                max_change: Share::WHOLE,
                included: Vec::new(),
                hash: String::new(),
            }
        },
    )
}

/// Customers as the rows of a list.
fn list(customers: Vec<Customer>) -> Arc<CustomerList> {
    let mut all: Vec<Terms> = Vec::new();
    let mut rows = Vec::new();
    for customer in customers {
        let same = all.iter().position(|known| *known == customer.terms);
        let terms = same.unwrap_or(all.len());
        if same.is_none() {
            all.push(customer.terms);
        }
        let prefixes = customer.prefixes.iter();
        rows.extend(prefixes.map(|prefix| format!("{prefix} 0 2 {terms} {}", customer.name)));
    }
    let kept = json!({ "files": ["customers.csv"], "terms": all, "rows": rows });
    Arc::new(serde_json::from_value(kept).unwrap())
}

/// Two configurations that have something in common.
fn two_configs() -> impl Strategy<Value = (Config, Config)> {
    (a_config(), a_config(), any::<[bool; 4]>()).prop_map(|(old, other, same)| {
        let new = Config {
            ports: if same[0] {
                old.ports.clone()
            } else {
                other.ports
            },
            mail: if same[1] {
                old.mail.clone()
            } else {
                other.mail
            },
            pools: if same[2] {
                old.pools.clone()
            } else {
                other.pools
            },
            customers: if same[3] {
                old.customers.clone()
            } else {
                other.customers
            },
            listed: if same[3] {
                Arc::clone(&old.listed)
            } else {
                other.listed
            },
            ..other
        };
        (old, new)
    })
}

/// Somebody who is no customer.
fn stranger(customer: IpAddr) -> IpAddr {
    match customer {
        IpAddr::V4(_) => "192.0.2.99".parse().unwrap(),
        IpAddr::V6(_) => "2001:db8:ffff::99".parse().unwrap(),
    }
}

/// Every packet that the rules could tell apart, sent to or by an address.
pub(crate) fn packets(address: IpAddr, servers: &BTreeSet<IpAddr>) -> Vec<(Role, Packet)> {
    let mut packets = Vec::new();
    let stranger = stranger(address);
    for (port, protocol) in PROBED
        .into_iter()
        .flat_map(|port| Protocol::ALL.map(|p| (port, p)))
    {
        for source_port in [KNOWN_PORT, UNKNOWN_PORT] {
            for tcp_flags in [SYN, ACK] {
                let packet = Packet {
                    transport: transport(protocol),
                    source: stranger,
                    source_port,
                    destination: address,
                    destination_port: port,
                    tcp_flags,
                };
                packets.push((Role::Network, packet));
            }
        }
    }
    for other in servers.iter().chain([&stranger]) {
        if other.is_ipv4() == address.is_ipv4() && *other != address {
            let replies = PROBED.map(|source_port| Packet {
                transport: transport(Protocol::Tcp),
                source: *other,
                source_port,
                destination: address,
                destination_port: UNKNOWN_PORT,
                tcp_flags: SYN | ACK,
            });
            packets.extend(replies.map(|packet| (Role::Network, packet)));
            let sent = PROBED.into_iter().flat_map(|port| {
                Protocol::ALL.into_iter().flat_map(move |protocol| {
                    [SYN, ACK].map(|tcp_flags| (port, transport(protocol), tcp_flags))
                })
            });
            packets.extend(sent.map(|(destination_port, transport, tcp_flags)| {
                let packet = Packet {
                    transport,
                    source: address,
                    source_port: UNKNOWN_PORT,
                    destination: *other,
                    destination_port,
                    tcp_flags,
                };
                (Role::Customer, packet)
            }));
        }
    }
    packets
}

fn transport(protocol: Protocol) -> Transport {
    protocol.name().parse().unwrap()
}

/// The verdicts on all packets of all addresses.
pub(crate) fn verdicts(intent: &Intent, servers: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, Vec<bool>> {
    let compiled = compile(intent, now()).unwrap();
    let tables = HostTables::new(&compiled);
    for address in addresses() {
        for (port, protocol) in PROBED
            .into_iter()
            .flat_map(|p| Protocol::ALL.map(|q| (p, q)))
        {
            let peer = (Address::from(stranger(address)), KNOWN_PORT);
            let flow = Flow::new(protocol, (Address::from(address), port), peer);
            tables.remember_flow(&flow, 0);
        }
    }
    let passes = |(role, packet): (Role, Packet)| {
        let ingress = match role {
            Role::Customer => intent.config.interfaces[0].ingress(),
            Role::Network | Role::Mixed => Ingress {
                role,
                sources: Sources::Any,
            },
        };
        let verdict = decide(packet.frame().unwrap().as_slice(), ingress, &tables);
        match role {
            // What the far end may not receive is the far end's.
            Role::Customer => {
                let is_denied_to_sender = matches!(
                    verdict.reason,
                    Some(DropReason::SmtpOut | DropReason::Source)
                );
                verdict.outcome != Outcome::Drop || !is_denied_to_sender
            }
            Role::Network | Role::Mixed => verdict.passes(),
        }
    };
    let verdicts = |address| packets(address, servers).into_iter().map(passes).collect();
    addresses()
        .into_iter()
        .map(|address| (address, verdicts(address)))
        .collect()
}

pub(crate) fn count<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Addresses {
    let (mut ipv4, mut ipv6_64s) = (0, BTreeSet::new());
    for address in addresses {
        match address {
            IpAddr::V4(_) => ipv4 += 1,
            IpAddr::V6(address) => {
                ipv6_64s.insert(address.to_bits() >> 64);
            }
        }
    }
    Addresses {
        ipv4,
        ipv6_64s: ipv6_64s.len() as u64,
    }
}

/// A mail server of each kind that the two know, and none that a customer could be.
fn servers(configs: [&Config; 2]) -> BTreeSet<IpAddr> {
    let prefixes = configs.into_iter().flat_map(|config| &config.mail.servers);
    prefixes
        .flat_map(|prefix| [prefix.network(), prefix.broadcast()])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_totals_are_what_the_filter_says((old, new) in two_configs()) {
        let servers = servers([&old, &new]);
        let [old_intent, new_intent] = [&old, &new].map(|config| Intent::from(config.clone()));
        let change = Change::between(&old_intent, &new_intent, now());
        let was = verdicts(&old_intent, &servers);
        let is = verdicts(&new_intent, &servers);
        let in_pool = |config: &Config, address: &IpAddr| {
            config.pools.iter().any(|pool| pool.prefixes.iter().any(|p| p.contains(address)))
        };
        let differ = |more: &BTreeMap<IpAddr, Vec<bool>>, less: &BTreeMap<IpAddr, Vec<bool>>| {
            let addresses = more.keys().filter(|a| in_pool(&old, a) || in_pool(&new, a));
            let more_passes = |a: &&IpAddr| more[*a].iter().zip(&less[*a]).any(|(more, less)| *more && !less);
            count(addresses.filter(more_passes))
        };
        prop_assert_eq!(change.opened, differ(&is, &was), "opened");
        prop_assert_eq!(change.closed, differ(&was, &is), "closed");
        prop_assert_eq!(change.customers, count(was.keys().filter(|a| in_pool(&old, a))));
        prop_assert!(!change.is_none() || change.opened.is_none() && change.closed.is_none());
    }

    #[test]
    fn nothing_differs_from_itself(config in a_config()) {
        let intent = Intent::from(config);
        let change = Change::between(&intent, &intent, now());
        prop_assert!(change.is_none() && change.opened.is_none() && change.closed.is_none());
    }
}
