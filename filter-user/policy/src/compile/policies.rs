//! What holds for each address, as the tables say it.

use std::sync::Arc;

use filter_common::{
    Family, Policy, Settings,
    policy::{FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT, NO_POLICY},
    prefix_table::Line,
};
use foldhash::{HashMap, HashMapExt as _};
use indexmap::IndexSet;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    CompileError, PortTable, PrefixTable, Slots,
    layers::{Kind, Layer, Temporaries, layers, layers_within},
    ports::Masks,
};
use crate::{
    config::{Pool, PortSpec},
    intent::Intent,
};

/// The policies, and the prefix tables that find them.
pub(super) struct Addresses {
    pub(super) policies: IndexSet<Policy>,
    pub(super) v4: Vec<Line>,
    pub(super) v6: Vec<Line>,
}

/// A pool with what is looked up for it once rather than for each prefix.
struct PoolPolicy<'a> {
    pool: &'a Pool,
    slot: u32,
    forbidden: Masks,
}

/// All that the rules look up, for who has an address's layer.
pub(crate) struct Policies<'a> {
    intent: &'a Intent,
    pub(crate) settings: Settings,
    pub(crate) ports: Arc<PortTable>,
    pools: Vec<PoolPolicy<'a>>,
    temporaries: Temporaries,
    now: Timestamp,
}

impl<'a> Policies<'a> {
    /// `ports` are of this intent, or of one that differs from it in temporary exemptions
    /// which they tell apart.
    pub(crate) fn new(
        intent: &'a Intent,
        ports: Arc<PortTable>,
        slots: &mut Slots,
        now: Timestamp,
    ) -> Result<Self, CompileError> {
        let config = &intent.config;
        let pools = config.pools.iter().map(|pool| {
            Ok(PoolPolicy {
                pool,
                slot: slots.pool(&pool.name)?,
                forbidden: ports.masks(config.forbidden_toward(pool)),
            })
        });
        Ok(Self {
            intent,
            settings: Settings {
                mail_ports: ports.mask(config.mail.ports.iter().copied()),
                high_ports: ports.high_ports(),
                return_traffic: config.ports.return_traffic,
                direct_smtp: config.mail.direct_smtp,
                smtp_replies: config.mail.smtp_replies || config.mail.direct_smtp,
                monitor: config.monitor,
            },
            pools: pools.collect::<Result<_, CompileError>>()?,
            ports,
            temporaries: Temporaries::of(&intent.temporary),
            now,
        })
    }

    /// The policy of a layer's addresses.
    pub(crate) fn of(&self, layer: Layer) -> Policy {
        let (intent, ports, now) = (self.intent, &self.ports, self.now);
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
            .map(|holder| intent.config.terms_held(holder.index()));
        if let Some(terms) = customer.filter(|terms| !terms.is_expired(now)) {
            exempt(&terms.allow_inbound, terms.allow_smtp_out);
        }
        for index in self.temporaries.in_layer(layer) {
            let temporary = &intent.temporary[index];
            if !temporary.is_expired(now) {
                exempt(&temporary.ports, temporary.smtp_out);
            }
        }
        policy
    }
}

/// Numbers what holds in layers.
struct Numbering<'a> {
    policies: &'a Policies<'a>,
    known: HashMap<Kind, u32>,
}

impl<'a> Numbering<'a> {
    fn new(policies: &'a Policies<'a>) -> Self {
        Self {
            policies,
            known: HashMap::new(),
        }
    }

    /// The number of a layer's policy, which `numbered` gains if it is new.
    fn number(&mut self, layer: Layer, numbered: &mut IndexSet<Policy>) -> u32 {
        let kind = layer.kind(&self.policies.intent.config);
        if let Some(number) = self.known.get(&kind) {
            return *number;
        }
        let number = numbered.insert_full(self.policies.of(layer)).0 as u32;
        self.known.insert(kind, number);
        number
    }
}

/// Builds the tables.
pub(super) fn addresses(policies: &Policies<'_>) -> Result<Addresses, CompileError> {
    let mut numbered = IndexSet::from([NO_POLICY]);
    let mut numbering = Numbering::new(policies);
    let [mut v4, mut v6] = [Family::V4, Family::V6].map(PrefixTable::new);
    for (prefix, layer) in layers(policies.intent) {
        let number = numbering.number(layer, &mut numbered);
        match prefix {
            IpNet::V4(_) => v4.insert(prefix, number),
            IpNet::V6(_) => v6.insert(prefix, number),
        }
    }
    Ok(Addresses {
        policies: numbered,
        v4: v4.into_lines()?,
        v6: v6.into_lines()?,
    })
}

/// Builds a table of `whole` and what lies in it alone. `numbered` gains those
/// policies that it needs and does not have.
pub(super) fn addresses_within(
    policies: &Policies<'_>,
    whole: &IpNet,
    numbered: &mut IndexSet<Policy>,
) -> Result<Vec<Line>, CompileError> {
    let mut numbering = Numbering::new(policies);
    let mut table = PrefixTable::new(match whole {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    });
    for (prefix, layer) in layers_within(policies.intent, whole) {
        let number = numbering.number(layer, numbered);
        table.insert(prefix, number);
    }
    Ok(table.into_lines()?)
}
