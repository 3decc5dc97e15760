//! A configuration at a moment, in a form in which two can be compared.

use std::collections::BTreeSet;

use filter_common::{Family, Protocol, ReturnTraffic};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    compile::layers::{Layer, Temporaries},
    config::{Config, PortSpec, TemporaryExemption},
    intent::Intent,
};

/// A set of ports for each protocol. A bit is a port of [`PortNumbers`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PortSet([u128; Protocol::COUNT]);

impl PortSet {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        self.with(other, |own, other| own & !other)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        self.with(other, |own, other| own & other)
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        self.with(other, |own, other| own | other)
    }

    fn with(&self, other: &Self, combine: impl Fn(u128, u128) -> u128) -> Self {
        let pairs = std::array::from_fn(|i| combine(self.0[i], other.0[i]));
        Self(pairs)
    }
}

/// Numbers for all ports that either of two configurations mentions. Each has
/// 63 at most.
pub(super) struct PortNumbers(Vec<u16>);

impl PortNumbers {
    pub(super) fn of(configs: [&Config; 2]) -> Self {
        let ports: BTreeSet<u16> = configs
            .into_iter()
            .flat_map(|config| {
                let lists = config
                    .pools
                    .iter()
                    .map(|pool| config.forbidden_toward(pool));
                let forbidden = lists.flatten().map(|spec| spec.port);
                forbidden.chain(config.mail.ports.iter().copied())
            })
            .collect();
        Self(ports.into_iter().collect())
    }

    fn bit(&self, port: u16) -> u128 {
        let number = self.0.binary_search(&port);
        // A port that nobody forbids is in no set.
        number.map_or(0, |number| 1_u128.checked_shl(number as u32).unwrap_or(0))
    }

    fn mask(&self, ports: impl Iterator<Item = u16>) -> u128 {
        ports.fold(0, |mask, port| mask | self.bit(port))
    }

    pub(super) fn set(&self, specs: &[PortSpec]) -> PortSet {
        PortSet(Protocol::ALL.map(|protocol| {
            let covered = specs.iter().filter(|spec| spec.covers(spec.port, protocol));
            self.mask(covered.map(|spec| spec.port))
        }))
    }

    /// The ports of a set, as a configuration would write them.
    pub(super) fn specs(&self, set: &PortSet) -> Vec<PortSpec> {
        let mut specs = Vec::new();
        for &port in &self.0 {
            let has = |protocol: &Protocol| set.0[*protocol as usize] & self.bit(port) != 0;
            if Protocol::ALL.iter().all(has) {
                let protocol = None;
                specs.push(PortSpec { port, protocol });
            } else {
                let some = Protocol::ALL.into_iter().filter(has);
                specs.extend(some.map(|protocol| PortSpec {
                    port,
                    protocol: Some(protocol),
                }));
            }
        }
        specs
    }
}

/// The kinds of packets that `return_traffic` tells apart: whether they open a
/// flow, and whether they answer one.
const KINDS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// Whether a packet toward a forbidden port from 1024 up passes.
fn passes(setting: ReturnTraffic, protocol: Protocol, (opens, answers): (bool, bool)) -> bool {
    match setting {
        ReturnTraffic::Drop => false,
        ReturnTraffic::Track => answers,
        ReturnTraffic::Syn => match protocol {
            Protocol::Tcp => !opens,
            Protocol::Udp => false,
            Protocol::Sctp | Protocol::Dccp | Protocol::UdpLite => true,
        },
    }
}

/// What is dropped toward an address, and what from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Drops {
    /// By rules 1 to 4, of each kind of packet.
    inbound: [PortSet; KINDS.len()],
    /// By rule 5.
    mail_out: u128,
}

/// The exemptions of the most specific customer, where they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Grant {
    /// A customer, by the number that [`Config::holder`] knows.
    pub(super) customer: usize,
    pub(super) prefix_len: u8,
    pub(super) ports: PortSet,
    pub(super) smtp_out: bool,
    pub(super) expires: Option<Timestamp>,
}

/// A configuration as it holds at a moment.
pub(super) struct View<'a> {
    pub(super) config: &'a Config,
    pub(super) temporary: &'a [TemporaryExemption],
    /// What each pool forbids.
    pub(super) forbidden: Vec<PortSet>,
    /// What each of [`Config::terms`] opens; nothing once it has expired.
    allowed: Vec<PortSet>,
    temporaries: Temporaries,
    /// What each temporary exemption opens; nothing once it is over.
    lent: Vec<(PortSet, bool)>,
    mail_ports: u128,
    /// The ports that rules 1 to 4 can be about, of each kind of packet.
    judged: [PortSet; KINDS.len()],
    now: Timestamp,
}

impl<'a> View<'a> {
    pub(super) fn new(intent: &'a Intent, numbers: &PortNumbers, now: Timestamp) -> Self {
        let config = &*intent.config;
        let pools = config.pools.iter();
        let low = numbers.mask(numbers.0.iter().copied().filter(|&port| port < 1024));
        let judged = |kind| {
            PortSet(Protocol::ALL.map(|protocol| {
                match passes(config.ports.return_traffic, protocol, kind) {
                    true => low,
                    false => u128::MAX,
                }
            }))
        };
        Self {
            config,
            temporary: &intent.temporary,
            forbidden: pools
                .map(|pool| numbers.set(config.forbidden_toward(pool)))
                .collect(),
            allowed: config
                .terms()
                .map(|terms| match terms.is_expired(now) {
                    true => PortSet::default(),
                    false => numbers.set(&terms.allow_inbound),
                })
                .collect(),
            temporaries: Temporaries::of(&intent.temporary),
            lent: intent
                .temporary
                .iter()
                .map(|exemption| match exemption.is_expired(now) {
                    true => Default::default(),
                    false => (numbers.set(&exemption.ports), exemption.smtp_out),
                })
                .collect(),
            mail_ports: numbers.mask(config.mail.ports.iter().copied()),
            judged: KINDS.map(judged),
            now,
        }
    }

    /// The exemption that holds in a layer.
    pub(super) fn grant(&self, layer: Layer) -> Option<Grant> {
        let pool = layer.pool?.index();
        let holder = layer.customer?;
        let terms = self.config.terms_held(holder.index());
        if !self.config.pools[pool].kind.takes_exemptions() || terms.is_expired(self.now) {
            return None;
        }
        let grant = Grant {
            customer: holder.index(),
            prefix_len: holder.prefix_len,
            ports: self.allowed[self.config.terms_of(holder.index())].and(&self.forbidden[pool]),
            smtp_out: terms.allow_smtp_out,
            expires: terms.expires,
        };
        (!grant.ports.is_empty() || grant.smtp_out).then_some(grant)
    }

    /// The temporary exemptions that hold in a layer, by their place among
    /// [`Intent::temporary`], and what they open there.
    pub(super) fn loans(&self, layer: Layer) -> impl Iterator<Item = (usize, PortSet, bool)> {
        let pool = layer.pool.map(|holder| holder.index());
        let pool = pool.filter(|&pool| self.config.pools[pool].kind.takes_exemptions());
        let places = pool.map(|pool| (pool, self.temporaries.in_layer(layer)));
        places.into_iter().flat_map(move |(pool, places)| {
            places.filter_map(move |place| {
                let (ports, smtp_out) = self.lent[place];
                let ports = ports.and(&self.forbidden[pool]);
                (!ports.is_empty() || smtp_out).then_some((place, ports, smtp_out))
            })
        })
    }

    fn drops(&self, layer: Layer) -> Drops {
        let pool = layer.pool.map(|holder| holder.index());
        let is_monitored = pool.is_some_and(|pool| self.config.pools[pool].monitor);
        if self.config.monitor || is_monitored {
            return Drops::default();
        }
        let (mut opened, mut may_mail) = (PortSet::default(), false);
        if let Some(grant) = self.grant(layer) {
            (opened, may_mail) = (grant.ports, grant.smtp_out);
        }
        for (_, ports, smtp_out) in self.loans(layer) {
            opened = opened.or(&ports);
            may_mail |= smtp_out;
        }
        let mut drops = Drops::default();
        if let Some(pool) = pool {
            let mut closed = self.forbidden[pool].without(&opened);
            if layer.is_mail_server {
                closed.0[Protocol::Tcp as usize] &= !self.mail_ports;
            }
            drops.inbound = self.judged.map(|judged| closed.and(&judged));
        }
        if !layer.is_mail_server && !self.config.mail.direct_smtp && !may_mail {
            drops.mail_out = self.mail_ports;
        }
        drops
    }
}

/// Whether something passes that did not, and whether something no longer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) opens: bool,
    pub(super) closes: bool,
}

impl Effect {
    /// What it does to mail from customers that there are new mail servers to
    /// hand it to, and that old ones are gone.
    pub(super) fn of_mail_servers(old: &Config, new: &Config, family: Family) -> Self {
        let [old, new] = [old, new].map(|config| {
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
        Self {
            opens: is_more(&new, &old),
            closes: is_more(&old, &new),
        }
    }

    /// What becomes of addresses whose layer changes; `servers` is what the
    /// mail servers do to those that may send mail to them alone.
    pub(super) fn between(old: (&View<'_>, Layer), new: (&View<'_>, Layer), servers: Self) -> Self {
        let (was, is) = (old.0.drops(old.1), new.0.drops(new.1));
        let inbound = |more: &Drops, less: &Drops| {
            let mut kinds = more.inbound.iter().zip(&less.inbound);
            kinds.any(|(more, less)| !more.without(less).is_empty())
        };
        let mut effect = Self {
            opens: inbound(&was, &is) || was.mail_out & !is.mail_out != 0,
            closes: inbound(&is, &was) || is.mail_out & !was.mail_out != 0,
        };
        if was.mail_out & is.mail_out != 0 {
            effect.opens |= servers.opens;
            effect.closes |= servers.closes;
        }
        effect
    }
}
