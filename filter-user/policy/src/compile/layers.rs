//! Prefixes laid over one another: which pool, which customer and which mail
//! servers an address belongs to.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::{
    config::{Config, TemporaryExemption},
    intent::Intent,
};

/// What a prefix, and those around it, say of its addresses. On the way down
/// the nesting the pool and the customer are each replaced by that of the more
/// specific prefix, on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    /// One of [`Config::pools`].
    pub(crate) pool: Option<Holder>,
    /// A customer, by the number that [`Config::holder`] knows.
    pub(crate) customer: Option<Holder>,
    pub(crate) is_mail_server: bool,
    /// One of [`Intent::temporary`]. [`Temporaries`] has the others that hold
    /// there as well.
    pub(crate) temporary: Option<u32>,
}

/// All that decides what is done with the addresses of a layer. Millions of
/// layers are of a few kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pool: Option<u32>,
    /// One of [`Config::terms`].
    terms: Option<u32>,
    is_mail_server: bool,
    temporary: Option<u32>,
}

/// Who says something, and with how long a prefix. There are many of them: it
/// is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    index: u32,
    /// The prefix is that of this length around the address at hand.
    pub(crate) prefix_len: u8,
}

impl Holder {
    fn new(index: usize, prefix: &IpNet) -> Self {
        Self {
            index: index as u32,
            prefix_len: prefix.prefix_len(),
        }
    }

    /// Its place among the pools or the customers.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

impl Layer {
    pub(crate) fn kind(self, config: &Config) -> Kind {
        let terms = |holder: Holder| config.terms_of(holder.index()) as u32;
        Kind {
            pool: self.pool.map(|holder| holder.index),
            terms: self.customer.map(terms),
            is_mail_server: self.is_mail_server,
            temporary: self.temporary,
        }
    }

    fn over(self, below: Self) -> Self {
        Self {
            pool: self.pool.or(below.pool),
            customer: self.customer.or(below.customer),
            is_mail_server: self.is_mail_server || below.is_mail_server,
            temporary: self.temporary.or(below.temporary),
        }
    }
}

/// How temporary exemptions add up: for each of them the one that holds
/// wherever it does, and was not counted yet.
#[derive(Debug)]
pub(crate) struct Temporaries {
    next: Vec<Option<u32>>,
}

impl Temporaries {
    pub(crate) fn of(temporary: &[TemporaryExemption]) -> Self {
        let all = temporary.iter().map(|exemption| exemption.prefix);
        let mut sorted: Vec<(IpNet, u32)> = all.zip(0..).collect();
        sorted.sort_unstable();
        let mut next = vec![None; sorted.len()];
        let mut nesting: Vec<(IpNet, u32)> = Vec::new();
        for (prefix, index) in sorted {
            while nesting
                .pop_if(|(outer, _)| !outer.contains(&prefix))
                .is_some()
            {}
            next[index as usize] = nesting.last().map(|&(_, outer)| outer);
            nesting.push((prefix, index));
        }
        Self { next }
    }

    /// The places of all that hold in a layer, among [`Intent::temporary`].
    pub(crate) fn in_layer(&self, layer: Layer) -> impl Iterator<Item = usize> {
        let first = layer.temporary.map(|index| index as usize);
        std::iter::successors(first, |&index| self.next[index].map(|next| next as usize))
    }
}

/// Every prefix that says something, an outer one before those inside it, with
/// all that holds there.
pub(crate) fn layers(intent: &Intent) -> impl Iterator<Item = (IpNet, Layer)> {
    nest(own_layers(intent))
}

/// The same for `whole` and what lies in it, whatever else there is.
pub(super) fn layers_within(
    intent: &Intent,
    whole: &IpNet,
) -> impl Iterator<Item = (IpNet, Layer)> {
    let config = &intent.config;
    let mut own = layers_of_tables(intent);
    own.retain(|prefix, _| prefix.contains(whole) || whole.contains(prefix));
    own.entry(*whole).or_default();
    let rows = config
        .listed
        .around(whole)
        .chain(config.listed.within(whole));
    for (row, prefix) in rows {
        let customer = Holder::new(config.number_of_row(row), &prefix);
        own.entry(prefix).or_default().customer = Some(customer);
    }
    nest(own.into_iter()).filter(move |(prefix, _)| whole.contains(prefix))
}

/// Adds to each prefix what holds around it.
fn nest(own: impl Iterator<Item = (IpNet, Layer)>) -> impl Iterator<Item = (IpNet, Layer)> {
    // The prefixes that contain the one at hand, from the outermost in.
    let mut nesting: Vec<(IpNet, Layer)> = Vec::new();
    own.map(move |(prefix, own)| {
        while nesting
            .pop_if(|(outer, _)| !outer.contains(&prefix))
            .is_some()
        {}
        let below = nesting.last().map_or_else(Layer::default, |(_, l)| *l);
        let layer = own.over(below);
        nesting.push((prefix, layer));
        (prefix, layer)
    })
}

/// What each prefix says by itself, in order: the rows of customer lists, which
/// are many and are in order, between all others.
fn own_layers(intent: &Intent) -> impl Iterator<Item = (IpNet, Layer)> {
    let config = &intent.config;
    let rows = config.listed.prefixes().enumerate();
    let mut rows = rows.map(|(row, prefix)| (prefix, config.number_of_row(row)));
    let mut next_row = rows.next();
    let mut others = layers_of_tables(intent).into_iter().peekable();
    std::iter::from_fn(move || {
        let Some((listed, number)) = next_row else {
            return others.next();
        };
        let (prefix, mut layer) = match others.next_if(|(other, _)| *other <= listed) {
            Some(other) => other,
            None => (listed, Layer::default()),
        };
        if prefix == listed {
            // Nobody else holds it: a valid configuration gives it once.
            layer.customer = Some(Holder::new(number, &prefix));
            next_row = rows.next();
        }
        Some((prefix, layer))
    })
}

/// What each prefix says that is written somewhere else than in a customer list.
fn layers_of_tables(intent: &Intent) -> BTreeMap<IpNet, Layer> {
    let config = &intent.config;
    // IpNet orders by address, then by length: the outer prefix comes first.
    let mut layers: BTreeMap<IpNet, Layer> = BTreeMap::new();
    for (index, pool) in config.pools.iter().enumerate() {
        for prefix in &pool.prefixes {
            layers.entry(*prefix).or_default().pool = Some(Holder::new(index, prefix));
        }
    }
    for (index, customer) in config.customers.iter().enumerate() {
        for prefix in &customer.prefixes {
            layers.entry(*prefix).or_default().customer = Some(Holder::new(index, prefix));
        }
    }
    for prefix in &config.mail.servers {
        layers.entry(*prefix).or_default().is_mail_server = true;
    }
    for (exemption, index) in intent.temporary.iter().zip(0..) {
        // The last one of a prefix leads to those before it.
        layers.entry(exemption.prefix).or_default().temporary = Some(index);
    }
    layers
}
