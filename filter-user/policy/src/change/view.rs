//! What a configuration says at a moment, in a form in which two can be compared.

use foldhash::HashMap;
use jiff::Timestamp;

use super::ports::{PortNumbers, PortSet};
use crate::{
    compile::layers::{Layer, Temporaries},
    config::{Config, PortSpec, TemporaryExemption},
    intent::Intent,
};

/// The exemptions of the most specific customer, where they hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    now: Timestamp,
}

impl<'a> View<'a> {
    pub(super) fn new(intent: &'a Intent, numbers: &PortNumbers, now: Timestamp) -> Self {
        let config = &*intent.config;
        let pools = config.pools.iter();
        // Thousands open the same.
        let mut known: HashMap<&[PortSpec], PortSet> = HashMap::default();
        let mut set = |list: &'a [PortSpec]| {
            let known = known.entry(list);
            known.or_insert_with_key(|list| numbers.set(list)).clone()
        };
        Self {
            config,
            temporary: &intent.temporary,
            forbidden: pools
                .map(|pool| set(config.forbidden_toward(pool)))
                .collect(),
            allowed: config
                .terms()
                .map(|terms| match terms.is_expired(now) {
                    true => PortSet::default(),
                    false => set(&terms.allow_inbound),
                })
                .collect(),
            temporaries: Temporaries::of(&intent.temporary),
            lent: intent
                .temporary
                .iter()
                .map(|exemption| match exemption.is_expired(now) {
                    true => Default::default(),
                    false => (set(&exemption.ports), exemption.smtp_out),
                })
                .collect(),
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
                let (ports, smtp_out) = &self.lent[place];
                let ports = ports.and(&self.forbidden[pool]);
                (!ports.is_empty() || *smtp_out).then_some((place, ports, *smtp_out))
            })
        })
    }
}
