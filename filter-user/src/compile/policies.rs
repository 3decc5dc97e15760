//! What holds for each address: the pool, the customer and the mail servers
//! that contain it, laid over one another.

use std::{collections::BTreeMap, net::IpAddr};

use filter_common::{
    Family, Policy, Protocol,
    policy::{FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT, NO_POLICY},
    prefix_table::Block,
};
use indexmap::IndexSet;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{CompileError, PortTable, PrefixTable, Slots};
use crate::config::{Config, Customer, Pool};

/// The policies, and the prefix tables that find them.
pub(super) struct Addresses {
    pub(super) policies: Vec<Policy>,
    pub(super) v4: Vec<Block>,
    pub(super) v6: Vec<Block>,
}

/// What a prefix says of its addresses. On the way down the nesting each of
/// the three is replaced by that of the more specific prefix, on its own.
#[derive(Clone, Copy, Default)]
struct Layer<'a> {
    pool: Option<&'a PoolPolicy<'a>>,
    customer: Option<&'a Customer>,
    is_mail_server: bool,
}

impl<'a> Layer<'a> {
    fn over(self, below: Layer<'a>) -> Layer<'a> {
        Layer {
            pool: self.pool.or(below.pool),
            customer: self.customer.or(below.customer),
            is_mail_server: self.is_mail_server || below.is_mail_server,
        }
    }
}

/// A pool with what is looked up for it once rather than for each prefix.
struct PoolPolicy<'a> {
    pool: &'a Pool,
    slot: u32,
    forbidden: [u64; Protocol::COUNT],
}

/// Lays the prefixes over one another and builds the tables.
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
            let specs = pool.forbidden.as_ref().unwrap_or(&config.ports.forbidden);
            Ok(PoolPolicy {
                pool,
                slot: slots.pool(&pool.name)?,
                forbidden: ports.masks(specs),
            })
        })
        .collect::<Result<Vec<_>, CompileError>>()?;

    let mut policies = IndexSet::from([NO_POLICY]);
    let mut v4 = PrefixTable::new(Family::V4);
    let mut v6 = PrefixTable::new(Family::V6);
    // The prefixes that contain the one at hand, from the outermost in.
    let mut nesting: Vec<(IpNet, Layer<'_>)> = Vec::new();
    for (prefix, own) in layers(config, &pools) {
        while nesting
            .pop_if(|(outer, _)| !outer.contains(&prefix))
            .is_some()
        {}
        let below = nesting.last().map_or_else(Layer::default, |(_, l)| *l);
        let layer = own.over(below);
        nesting.push((prefix, layer));

        let number = policies.insert_full(policy(layer, ports, now)).0 as u32;
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

/// Every prefix that says something, an outer one before those inside it.
fn layers<'a>(config: &'a Config, pools: &'a [PoolPolicy<'a>]) -> BTreeMap<IpNet, Layer<'a>> {
    // IpNet orders by address, then by length: the outer prefix comes first.
    let mut layers: BTreeMap<IpNet, Layer<'a>> = BTreeMap::new();
    for pool in pools {
        for prefix in &pool.pool.prefixes {
            layers.entry(*prefix).or_default().pool = Some(pool);
        }
    }
    for customer in &config.customers {
        for prefix in &customer.prefixes {
            layers.entry(*prefix).or_default().customer = Some(customer);
        }
    }
    for prefix in &config.mail.servers {
        layers.entry(*prefix).or_default().is_mail_server = true;
    }
    layers
}

fn policy(layer: Layer<'_>, ports: &PortTable, now: Timestamp) -> Policy {
    let mut policy = NO_POLICY;
    if layer.is_mail_server {
        policy.flags |= FLAG_MAIL_SERVER;
    }
    let Some(pool) = layer.pool else {
        return policy;
    };
    policy.pool = pool.slot;
    policy.forbidden = pool.forbidden;
    if pool.pool.monitor {
        policy.flags |= FLAG_MONITOR;
    }
    // An expired customer is still the most specific one: its addresses do not
    // fall back on the exemptions of a customer around it.
    if let Some(customer) = layer.customer
        && pool.pool.kind.takes_exemptions()
        && !customer.is_expired(now)
    {
        let opened = ports.masks(&customer.allow_inbound);
        for (exempt, (opened, forbidden)) in policy
            .exempt
            .iter_mut()
            .zip(opened.into_iter().zip(pool.forbidden))
        {
            *exempt = opened & forbidden;
        }
        if customer.allow_smtp_out {
            policy.flags |= FLAG_SMTP_OUT;
        }
    }
    policy
}
