//! Who an address belongs to, by looking through everything.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use policy::config::{Config, Customer, Pool, PoolKind, PortSpec};

use super::reading::Transport;

/// A configuration at the moment when it was loaded.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    pub(crate) config: &'a Config,
    loaded: Timestamp,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(config: &'a Config, loaded: Timestamp) -> Self {
        Self { config, loaded }
    }

    /// The most specific pool that contains an address.
    pub(crate) fn pool(&self, address: IpAddr) -> Option<&'a Pool> {
        let pools = &self.config.pools;
        most_specific(pools, |pool| &pool.prefixes, address)
    }

    /// Whose exemptions hold for an address: the most specific customer's. They
    /// hold in static pools alone, and not after they have expired.
    pub(crate) fn exemptions(&self, address: IpAddr) -> Option<&'a Customer> {
        let takes_exemptions = self
            .pool(address)
            .is_some_and(|pool| pool.kind == PoolKind::Static);
        let customers = &self.config.customers;
        let customer = most_specific(customers, |customer| &customer.prefixes, address)?;
        let holds = customer
            .terms
            .expires
            .is_none_or(|expires| self.loaded < expires);
        (takes_exemptions && holds).then_some(customer)
    }

    /// Whether an address is one of the provider's mail servers.
    pub(crate) fn is_mail_server(&self, address: IpAddr) -> bool {
        let servers = &self.config.mail.servers;
        servers.iter().any(|prefix| contains(prefix, address))
    }

    /// Whether a pool forbids a port toward its customers.
    pub(crate) fn forbids(&self, pool: &Pool, transport: Transport, port: u16) -> bool {
        let list = pool.forbidden.as_ref();
        lists(
            list.unwrap_or(&self.config.ports.forbidden),
            transport,
            port,
        )
    }

    /// Whether a port occurs anywhere, so that a frame for it is looked at.
    pub(crate) fn is_watched(&self, port: u16) -> bool {
        let pools = self.config.pools.iter();
        pools
            .filter_map(|pool| pool.forbidden.as_ref())
            .chain([&self.config.ports.forbidden])
            .flatten()
            .any(|spec| has(spec, port))
            || self.config.mail.ports.contains(&port)
    }

    /// What a port is counted as: of what is written around it, the narrowest, and of two
    /// that are as narrow the lower one.
    pub(crate) fn label(&self, port: u16) -> String {
        let pools = self.config.pools.iter();
        let lists = pools.filter_map(|pool| pool.forbidden.as_ref());
        let specs = lists.chain([&self.config.ports.forbidden]).flatten();
        let written = specs.map(|spec| (spec.ports.first(), spec.ports.last()));
        let mail = self.config.mail.ports.iter().map(|port| (*port, *port));
        let around = written
            .chain(mail)
            .filter(|&(first, last)| (first..=last).contains(&port));
        let (first, last) = around
            .min_by_key(|(first, last)| (last - first, *first))
            .unwrap();
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    }
}

/// Whether a list of ports covers one.
pub(crate) fn lists(list: &[PortSpec], transport: Transport, port: u16) -> bool {
    list.iter().any(|spec| {
        has(spec, port)
            && spec
                .protocol
                .is_none_or(|only| only.name() == transport.name())
    })
}

fn has(spec: &PortSpec, port: u16) -> bool {
    spec.ports.first() <= port && port <= spec.ports.last()
}

fn most_specific<T>(all: &[T], prefixes: impl Fn(&T) -> &[IpNet], address: IpAddr) -> Option<&T> {
    let mut best: Option<(u8, &T)> = None;
    for candidate in all {
        for prefix in prefixes(candidate) {
            let length = prefix.prefix_len();
            if contains(prefix, address) && best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, candidate));
            }
        }
    }
    best.map(|(_, found)| found)
}

/// Bit by bit, as the textbook has it.
fn contains(prefix: &IpNet, address: IpAddr) -> bool {
    let length = u32::from(prefix.prefix_len());
    match (prefix.addr(), address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        _ => false,
    }
}
