//! What a configuration drops of an address's packets, by asking the rules.
//!
//! There is no second rulebook: [`judge`] is asked about a packet of every kind
//! that it could tell apart, as it looks up the policies that the tables would
//! have.

use std::sync::{Arc, LazyLock};

use filter_common::{
    Address, Family, Ingress, Policy, PortClass, Protocol, Role, Settings, Sources, Tables,
    counters::NO_POOL,
    decide::judge,
    flow::Flow,
    parse::{Endpoints, Packet, TCP_ACK, TCP_SYN},
};
use ipnet::IpNet;
use jiff::Timestamp;

use super::ports::{PortNumbers, PortSet};
use crate::{
    compile::{
        Policies, PortTable, Slots,
        layers::{Kind, Layer},
    },
    config::{Config, Interface},
    intent::Intent,
};

/// The kinds of packets that the rules tell apart, of each protocol and destination
/// port: whether they open a flow, and whether they answer one. What else of a packet a
/// rule comes to look at is added here, or to [`Dropped`].
const KINDS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// What is dropped of the packets between an address and somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Of those toward the address, from the network.
    toward: [PortSet; KINDS.len()],
    /// Of those that come from it, of a customer.
    from: [PortSet; KINDS.len()],
    /// Of those toward the address, by the port that they come from.
    replies: PortSet,
}

impl Dropped {
    fn all(&self) -> impl Iterator<Item = &PortSet> {
        let to_ports = self.toward.iter().chain(&self.from);
        to_ports.chain([&self.replies])
    }

    /// Whether something is dropped that is not among `others`.
    fn is_more_than(&self, others: &Self) -> bool {
        let mut pairs = self.all().zip(others.all());
        pairs.any(|(own, other)| !own.is_within(other))
    }
}

/// A configuration at a moment, as the rules see it.
pub(super) struct Verdicts<'a> {
    config: &'a Config,
    /// None where it does not fit the tables: then it filters nothing.
    policies: Option<Policies<'a>>,
    /// What customers' packets arrive at.
    from_customers: Ingress,
    numbers: &'a PortNumbers,
    /// What is in tables for layers of a kind.
    policy_of: foldhash::HashMap<Kind, Policy>,
    /// Many kinds of layers have the same policy, but for the pool.
    known: foldhash::HashMap<(Family, [Policy; 2]), Dropped>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(intent: &'a Intent, numbers: &'a PortNumbers, now: Timestamp) -> Self {
        let mut slots = Slots::default();
        let ports = PortTable::new(intent, &mut slots, now);
        let policies = ports
            .and_then(|ports| Policies::new(intent, Arc::new(ports), &mut slots, now))
            .ok();
        Self {
            config: &intent.config,
            policies,
            from_customers: strictest(&intent.config),
            numbers,
            policy_of: foldhash::HashMap::default(),
            known: foldhash::HashMap::default(),
        }
    }

    /// What is dropped between addresses of two layers.
    fn dropped(&mut self, family: Family, layer: Layer, peer: Layer) -> &Dropped {
        static NOTHING: LazyLock<Dropped> = LazyLock::new(Dropped::default);
        let Some(policies) = &self.policies else {
            return &NOTHING;
        };
        let pair = [layer, peer].map(|layer| {
            let kind = self.policy_of.entry(layer.kind(self.config));
            *kind.or_insert_with(|| of_any_pool(policies.of(layer)))
        });
        let (numbers, from_customers) = (self.numbers, self.from_customers);
        let known = self.known.entry((family, pair));
        known.or_insert_with(|| ask(policies, numbers, from_customers, family, pair))
    }
}

/// The interface that drops the most of what customers send: one that does cuts them off.
fn strictest(config: &Config) -> Ingress {
    let ingresses = config.interfaces.iter().map(Interface::ingress);
    let facing = ingresses.filter(|ingress| ingress.role.faces_customers());
    let strictness = |ingress: &Ingress| (ingress.role == Role::Customer, ingress.sources);
    facing.max_by_key(strictness).unwrap_or(Ingress {
        role: Role::Customer,
        sources: Sources::Any,
    })
}

/// A policy as the rules see it: whether there is a pool, and not which one. They put
/// that down, and never ask.
fn of_any_pool(policy: Policy) -> Policy {
    Policy {
        pool: (policy.pool != NO_POOL).into(),
        ..policy
    }
}

/// Asks about every packet between two addresses with these policies.
fn ask(
    policies: &Policies<'_>,
    numbers: &PortNumbers,
    from_customers: Ingress,
    family: Family,
    [policy, peer]: [Policy; 2],
) -> Dropped {
    let [address, other] = addresses(family);
    let [outward, inward] =
        [[address, other], [other, address]].map(|[source, destination]| Endpoints {
            source,
            destination,
        });
    let any_port = PortNumbers::UNMENTIONED;
    let from_network = Ingress {
        role: Role::Network,
        sources: Sources::Any,
    };
    let tables = |answers| Asked {
        policies,
        address,
        policy,
        peer,
        answers,
    };
    let dropped = |ingress, endpoints: Endpoints| {
        KINDS.map(|(opens, answers)| {
            let tables = tables(answers);
            numbers.select(|port, protocol| {
                let packet = packet(family, protocol, [any_port, port], opens);
                !judge(&packet, || Some(endpoints), ingress, &tables).passes()
            })
        })
    };
    Dropped {
        toward: dropped(from_network, inward),
        from: dropped(from_customers, outward),
        replies: numbers.select(|port, protocol| {
            let packet = packet(family, protocol, [port, any_port], false);
            !judge(&packet, || Some(inward), from_network, &tables(false)).passes()
        }),
    }
}

/// Two addresses. Which ones makes no difference.
fn addresses(family: Family) -> [Address; 2] {
    [1, 2].map(|host| match family {
        Family::V4 => Address::v4([192, 0, 2, host]),
        Family::V6 => Address {
            family,
            high: 0x2001_0db8 << 32,
            low: host.into(),
        },
    })
}

fn packet(
    family: Family,
    protocol: Protocol,
    [source_port, destination_port]: [u16; 2],
    opens: bool,
) -> Packet {
    Packet {
        family,
        protocol,
        source_port,
        destination_port,
        tcp_flags: match (protocol, opens) {
            (Protocol::Tcp, true) => TCP_SYN,
            (Protocol::Tcp, false) => TCP_ACK,
            _ => 0,
        },
        ip_offset: 0,
    }
}

/// Tables in which there are two addresses.
struct Asked<'a> {
    policies: &'a Policies<'a>,
    address: Address,
    /// Of this address.
    policy: Policy,
    /// Of the other one.
    peer: Policy,
    /// Whether every packet answers one that was seen.
    answers: bool,
}

impl Tables for Asked<'_> {
    fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T {
        *which(&self.policies.settings)
    }

    fn port_class(&self, port: u16) -> PortClass {
        self.policies.ports.class(port)
    }

    /// Nothing is counted.
    fn port_slot(&self, _port: u16) -> u32 {
        0
    }

    fn policy_of(&self, address: Address) -> &Policy {
        if address == self.address {
            &self.policy
        } else {
            &self.peer
        }
    }

    fn now_seconds(&self) -> u64 {
        0
    }

    fn flow_seen(&self, _flow: &Flow) -> Option<u64> {
        self.answers.then_some(0)
    }

    fn remember_flow(&self, _flow: &Flow, _now_seconds: u64) {}
}

/// Whom an address can exchange packets with, as two configurations tell them
/// apart: a layer of each.
pub(super) struct Peers(Vec<[Layer; 2]>);

impl Peers {
    /// Those of a family: strangers, and the mail servers that there are in one of
    /// the configurations only.
    pub(super) fn of(configs: [&Config; 2], family: Family) -> Self {
        let [old, new] = configs.map(|config| {
            let servers = config.mail.servers.iter().copied();
            let is_v4 = family == Family::V4;
            let servers: Vec<_> = servers
                .filter(|prefix| prefix.addr().is_ipv4() == is_v4)
                .collect();
            IpNet::aggregate(&servers)
        });
        // An aggregated list has every prefix that it covers within one of its own.
        let is_more = |more: &[IpNet], than: &[IpNet]| {
            let covered = |prefix| than.iter().any(|known| known.contains(prefix));
            !more.iter().all(covered)
        };
        let stranger = Layer::default();
        let server = Layer {
            is_mail_server: true,
            ..stranger
        };
        let mut peers = vec![[stranger, stranger]];
        peers.extend(is_more(&old, &new).then_some([server, stranger]));
        peers.extend(is_more(&new, &old).then_some([stranger, server]));
        Self(peers)
    }
}

/// Whether something passes that did not, and whether something no longer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) opens: bool,
    pub(super) closes: bool,
}

impl Effect {
    /// What becomes of addresses of a family whose layer changes.
    pub(super) fn between(
        family: Family,
        old: (&mut Verdicts<'_>, Layer),
        new: (&mut Verdicts<'_>, Layer),
        peers: &Peers,
    ) -> Self {
        let mut effect = Self::default();
        for &[old_peer, new_peer] in &peers.0 {
            let was = old.0.dropped(family, old.1, old_peer);
            let is = new.0.dropped(family, new.1, new_peer);
            effect.opens |= was.is_more_than(is);
            effect.closes |= is.is_more_than(was);
        }
        effect
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::segments::side_by_side, *};
    use crate::config::{Memory, load_from};

    /// Four pools, of which three forbid the same.
    const TEXT: &str = r#"
        [[interface]]
        name = "eth1"
        role = "customer"
        [[interface]]
        name = "eth0"
        role = "network"
        [mail]
        servers = ["192.0.2.25"]
        [[pool]]
        name = "north"
        kind = "dynamic"
        prefixes = ["10.1.0.0/16"]
        [[pool]]
        name = "south"
        kind = "dynamic"
        prefixes = ["10.2.0.0/16"]
        [[pool]]
        name = "west"
        kind = "static"
        prefixes = ["10.3.0.0/16"]
        [[pool]]
        name = "east"
        kind = "dynamic"
        prefixes = ["10.4.0.0/16"]
        forbidden = [6667]
    "#;

    #[test]
    fn the_rules_are_asked_once_for_all_pools_that_forbid_the_same() {
        let (path, now) = (Path::new("poolguard.toml"), Timestamp::UNIX_EPOCH);
        let loaded = load_from(&Memory::default().with(path, TEXT), path, now);
        let intent: Intent = loaded.expect("the configuration is right").config.into();
        let numbers = PortNumbers::of([&intent, &intent]);
        let mut verdicts = Verdicts::new(&intent, &numbers, now);
        let mut pools = 0;
        side_by_side(&intent, &intent, |range, layer, _| {
            pools += u32::from(layer.pool.is_some());
            verdicts.dropped(range.family, layer, Layer::default());
        });
        assert_eq!(pools, 4);
        // North as south and west; east; the mail server, and who is in no pool.
        let asked = verdicts
            .known
            .keys()
            .filter(|(_, [policy, _])| policy.pool != NO_POOL);
        assert_eq!(asked.count(), 2);
    }
}
