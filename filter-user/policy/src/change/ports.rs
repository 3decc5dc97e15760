//! Sets of ports, of two configurations that are compared.

use std::collections::BTreeSet;

use filter_common::Protocol;

use crate::config::{Config, PortSpec};

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

    /// A port that neither of them mentions.
    pub(super) fn unmentioned(&self) -> u16 {
        let mut ephemeral = 49_152..=u16::MAX;
        // RFC 6335 has 16,384 of them; both together mention 126 at most.
        let free = ephemeral.find(|port| self.0.binary_search(port).is_err());
        free.unwrap_or_default()
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

    /// The ports that are chosen, for each protocol.
    pub(super) fn select(&self, mut is_chosen: impl FnMut(u16, Protocol) -> bool) -> PortSet {
        PortSet(Protocol::ALL.map(|protocol| {
            let chosen = self.0.iter().copied();
            self.mask(chosen.filter(|&port| is_chosen(port, protocol)))
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
