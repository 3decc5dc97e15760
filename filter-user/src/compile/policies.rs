//! What holds for each address, as the tables say it.

use std::net::IpAddr;

use filter_common::{
    Family, Policy, Protocol,
    policy::{FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT, NO_POLICY},
    prefix_table::Block,
};
use indexmap::IndexSet;
use jiff::Timestamp;

use super::{
    CompileError, PortTable, PrefixTable, Slots,
    layers::{Layer, Temporaries, layers},
};
use crate::config::{Config, Pool, PortSpec};

/// The policies, and the prefix tables that find them.
pub(super) struct Addresses {
    pub(super) policies: Vec<Policy>,
    pub(super) v4: Vec<Block>,
    pub(super) v6: Vec<Block>,
}

/// A pool with what is looked up for it once rather than for each prefix.
struct PoolPolicy<'a> {
    pool: &'a Pool,
    slot: u32,
    forbidden: [u64; Protocol::COUNT],
}

/// Builds the tables.
pub(super) fn addresses(
    config: &Config,
    ports: &PortTable,
    slots: &mut Slots,
    now: Timestamp,
) -> Result<Addresses, CompileError> {
    let pools = config
        .pools
        .iter()
        .map(|pool| {
            Ok(PoolPolicy {
                pool,
                slot: slots.pool(&pool.name)?,
                forbidden: ports.masks(config.forbidden_toward(pool)),
            })
        })
        .collect::<Result<Vec<_>, CompileError>>()?;

    let mut policies = IndexSet::from([NO_POLICY]);
    let mut v4 = PrefixTable::new(Family::V4);
    let mut v6 = PrefixTable::new(Family::V6);
    let temporaries = Temporaries::of(config);
    for (prefix, layer) in layers(config) {
        let number = policies
            .insert_full(policy(layer, config, &pools, &temporaries, ports, now))
            .0 as u32;
        match prefix.addr() {
            IpAddr::V4(address) => v4.insert(address.into(), prefix.prefix_len(), number)?,
            IpAddr::V6(address) => v6.insert(address.into(), prefix.prefix_len(), number)?,
        }
    }
    Ok(Addresses {
        policies: policies.into_iter().collect(),
        v4: v4.into_blocks(),
        v6: v6.into_blocks(),
    })
}

fn policy(
    layer: Layer,
    config: &Config,
    pools: &[PoolPolicy<'_>],
    temporaries: &Temporaries,
    ports: &PortTable,
    now: Timestamp,
) -> Policy {
    let mut policy = NO_POLICY;
    if layer.is_mail_server {
        policy.flags |= FLAG_MAIL_SERVER;
    }
    let Some(pool) = layer.pool.map(|holder| &pools[holder.index()]) else {
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
        .map(|holder| config.holder(holder.index()).terms);
    if let Some(terms) = customer.filter(|terms| !terms.is_expired(now)) {
        exempt(&terms.allow_inbound, terms.allow_smtp_out);
    }
    for index in temporaries.in_layer(layer) {
        let temporary = &config.temporary[index];
        if !temporary.is_expired(now) {
            exempt(&temporary.ports, temporary.smtp_out);
        }
    }
    policy
}
