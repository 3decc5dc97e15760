//! What holds for each address, as the tables say it.

use std::net::IpAddr;

use filter_common::{
    Family, Policy, Protocol,
    policy::{FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT, NO_POLICY},
    prefix_table::Block,
};
use foldhash::{HashMap, HashMapExt as _};
use indexmap::IndexSet;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    CompileError, PortTable, PrefixTable, Slots, TableTooLarge,
    layers::{Kind, Layer, Temporaries, layers, layers_within},
    prefix_table::TableSize,
};
use crate::config::{Config, Pool, PortSpec};

/// The policies, and the prefix tables that find them.
pub(super) struct Addresses {
    pub(super) policies: IndexSet<Policy>,
    pub(super) v4: Vec<Block>,
    pub(super) v6: Vec<Block>,
}

/// A pool with what is looked up for it once rather than for each prefix.
struct PoolPolicy<'a> {
    pool: &'a Pool,
    slot: u32,
    forbidden: [u64; Protocol::COUNT],
}

/// Numbers what holds in layers.
struct Numbering<'a> {
    config: &'a Config,
    ports: &'a PortTable,
    pools: Vec<PoolPolicy<'a>>,
    temporaries: Temporaries,
    now: Timestamp,
    known: HashMap<Kind, u32>,
}

impl<'a> Numbering<'a> {
    fn new(
        config: &'a Config,
        ports: &'a PortTable,
        slots: &mut Slots,
        now: Timestamp,
    ) -> Result<Self, CompileError> {
        let pools = config.pools.iter().map(|pool| {
            Ok(PoolPolicy {
                pool,
                slot: slots.pool(&pool.name)?,
                forbidden: ports.masks(config.forbidden_toward(pool)),
            })
        });
        Ok(Self {
            config,
            ports,
            pools: pools.collect::<Result<_, CompileError>>()?,
            temporaries: Temporaries::of(config),
            now,
            known: HashMap::new(),
        })
    }

    /// The number of a layer's policy, which `policies` gains if it is new.
    fn number(&mut self, layer: Layer, policies: &mut IndexSet<Policy>) -> u32 {
        let kind = layer.kind(self.config);
        if let Some(number) = self.known.get(&kind) {
            return *number;
        }
        let number = policies.insert_full(self.policy(layer)).0 as u32;
        self.known.insert(kind, number);
        number
    }
}

/// Builds the tables.
pub(super) fn addresses(
    config: &Config,
    ports: &PortTable,
    slots: &mut Slots,
    now: Timestamp,
) -> Result<Addresses, CompileError> {
    let mut policies = IndexSet::from([NO_POLICY]);
    let mut numbering = Numbering::new(config, ports, slots, now)?;
    let [mut v4, mut v6] = empty_tables(config)?;
    for (prefix, layer) in layers(config) {
        let number = numbering.number(layer, &mut policies);
        match prefix.addr() {
            IpAddr::V4(address) => v4.insert(address.into(), prefix.prefix_len(), number)?,
            IpAddr::V6(address) => v6.insert(address.into(), prefix.prefix_len(), number)?,
        }
    }
    Ok(Addresses {
        policies,
        v4: v4.into_blocks(),
        v6: v6.into_blocks(),
    })
}

/// Builds a table of `whole` and what lies in it alone. `policies` gains those
/// that it needs and does not have.
pub(super) fn addresses_within(
    config: &Config,
    whole: &IpNet,
    ports: &PortTable,
    slots: &mut Slots,
    policies: &mut IndexSet<Policy>,
    now: Timestamp,
) -> Result<Vec<Block>, CompileError> {
    let mut numbering = Numbering::new(config, ports, slots, now)?;
    let mut table = PrefixTable::new(match whole {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    });
    for (prefix, layer) in layers_within(config, whole) {
        let number = numbering.number(layer, policies);
        table.insert(prefix.addr(), prefix.prefix_len(), number)?;
    }
    Ok(table.into_blocks())
}

/// The tables of the size that the prefixes take.
fn empty_tables(config: &Config) -> Result<[PrefixTable; 2], TableTooLarge> {
    let mut sizes = [Family::V4, Family::V6].map(TableSize::new);
    for (prefix, _) in layers(config) {
        sizes[usize::from(prefix.addr().is_ipv6())].add(&prefix);
    }
    let [v4, v6] = sizes;
    Ok([v4.table()?, v6.table()?])
}

impl Numbering<'_> {
    fn policy(&self, layer: Layer) -> Policy {
        let (config, ports, now) = (self.config, self.ports, self.now);
        let mut policy = NO_POLICY;
        if layer.is_mail_server {
            policy.flags |= FLAG_MAIL_SERVER;
        }
        let Some(pool) = layer.pool.map(|holder| &self.pools[holder.index()]) else {
            return policy;
        };
        policy.pool = pool.slot;
        policy.forbidden = pool.forbidden;
        if pool.pool.monitor {
            policy.flags |= FLAG_MONITOR;
        }
        if !pool.pool.kind.takes_exemptions() {
            return policy;
        }
        let mut exempt = |opens: &[PortSpec], smtp_out: bool| {
            let opened = ports.masks(opens).into_iter().zip(pool.forbidden);
            for (exempt, (opened, forbidden)) in policy.exempt.iter_mut().zip(opened) {
                *exempt |= opened & forbidden;
            }
            if smtp_out {
                policy.flags |= FLAG_SMTP_OUT;
            }
        };
        // An expired customer is still the most specific one: its addresses do not
        // fall back on the exemptions of a customer around it.
        let customer = layer
            .customer
            .map(|holder| config.terms_held(holder.index()));
        if let Some(terms) = customer.filter(|terms| !terms.is_expired(now)) {
            exempt(&terms.allow_inbound, terms.allow_smtp_out);
        }
        for index in self.temporaries.in_layer(layer) {
            let temporary = &config.temporary[index];
            if !temporary.is_expired(now) {
                exempt(&temporary.ports, temporary.smtp_out);
            }
        }
        policy
    }
}
