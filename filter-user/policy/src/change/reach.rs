//! How much a change opens and closes: in all, and of each pool.

use filter_common::Family;
use foldhash::{HashMap, HashSet};
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Addresses, Extent,
    addresses::{Counter, Range},
    extent::{Added, Emptied, Mask, PoolExtent},
    ports::PortNumbers,
    tally::prefix_around,
    verdicts::{Effect, Peers, Verdicts},
};
use crate::{
    compile::layers::{Holder, Kind, Layer},
    config::{Config, Included, PoolKind},
    intent::Intent,
    prefix_map::PrefixMap,
};

/// Adds up stretches of addresses, which come in ascending order.
pub(super) struct Reach<'a> {
    configs: [&'a Config; 2],
    now: Timestamp,
    old: Verdicts<'a>,
    new: Verdicts<'a>,
    /// In IPv4 and in IPv6.
    peers: [Peers; 2],
    /// Millions of stretches are of a few kinds.
    known: HashMap<(Family, Kind, Kind), Outcome>,
    customers: Counter,
    opened: Counter,
    closed: Counter,
    /// For each pool of the old configuration.
    pools: Vec<PoolReach>,
    /// Addresses that were in no pool, and that something happens to, by the kind of
    /// the pool that they are in now.
    added: [Counter; PoolKind::ALL.len()],
    /// Pool prefixes that have a longer mask on the other side.
    masks: HashMap<(Side, IpNet), MaskReach<'a>>,
    /// Who has an exemption, gains or loses one: a customer, in a pool.
    holders: [HashSet<u64>; 3],
    /// The customers that lose one, by [`Config::customer_key`].
    losers: HashSet<u64>,
}

/// Which configuration a prefix is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Old,
    New,
}

/// What becomes of a pool.
#[derive(Clone, Debug, Default)]
struct PoolReach {
    size: Counter,
    opened: Counter,
    closed: Counter,
    /// What is in a pool of the same kind afterwards.
    kept: Counter,
    /// What is in any.
    pooled: Counter,
    exempted: u64,
    gained: u64,
    lost: u64,
    /// How many of those who lose something have nothing left.
    bereft: u64,
}

/// What becomes of a prefix that has a longer mask on the other side.
#[derive(Clone, Debug)]
struct MaskReach<'a> {
    pool: &'a str,
    /// The prefix on the other side, within this one.
    other: IpNet,
    /// What is in a pool on the other side.
    inside: Counter,
    /// What is in none there.
    outside: Counter,
}

/// What becomes of the addresses of a layer.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    effect: Effect,
    was_exempted: bool,
    is_exempted: bool,
}

const EXEMPTED: usize = 0;
const GAINED: usize = 1;
const LOST: usize = 2;

impl<'a> Reach<'a> {
    pub(super) fn new(
        [old, new]: [&'a Intent; 2],
        numbers: &'a PortNumbers,
        now: Timestamp,
    ) -> Self {
        let configs = [old, new].map(|intent| &*intent.config);
        Self {
            configs,
            now,
            old: Verdicts::new(old, numbers, now),
            new: Verdicts::new(new, numbers, now),
            peers: [Family::V4, Family::V6].map(|family| Peers::of(configs, family)),
            known: HashMap::default(),
            customers: Counter::default(),
            opened: Counter::default(),
            closed: Counter::default(),
            pools: vec![PoolReach::default(); configs[0].pools.len()],
            added: Default::default(),
            masks: masks(configs),
            holders: Default::default(),
            losers: HashSet::default(),
        }
    }

    /// The addresses that are in a pool of the old configuration.
    pub(super) fn customers(&self) -> Addresses {
        self.customers.total()
    }

    pub(super) fn add(&mut self, range: Range, old: Layer, new: Layer) {
        if old.pool.is_none() && new.pool.is_none() {
            return;
        }
        let outcome = self.outcome(range.family, old, new);
        let Effect { opens, closes } = outcome.effect;
        if opens {
            self.opened.add(range);
        }
        if closes {
            self.closed.add(range);
        }
        self.add_mask(Side::Old, range, old.pool, new.pool);
        self.add_mask(Side::New, range, new.pool, old.pool);
        let kind = |config: &Config, pool: Holder| config.pools[pool.index()].kind;
        let new_kind = new.pool.map(|pool| kind(self.configs[1], pool));
        let Some(pool) = old.pool else {
            if let Some(kind) = new_kind.filter(|_| opens || closes) {
                self.added[kind as usize].add(range);
            }
            return;
        };
        self.customers.add(range);
        let old_kind = kind(self.configs[0], pool);
        let reach = &mut self.pools[pool.index()];
        reach.size.add(range);
        for (counter, is_so) in [
            (&mut reach.opened, opens),
            (&mut reach.closed, closes),
            (&mut reach.kept, new_kind == Some(old_kind)),
            (&mut reach.pooled, new_kind.is_some()),
        ] {
            if is_so {
                counter.add(range);
            }
        }
        self.add_customers(pool, old.customer, new.customer, outcome);
    }

    fn outcome(&mut self, family: Family, old: Layer, new: Layer) -> Outcome {
        let [old_config, new_config] = self.configs;
        let kinds = (family, old.kind(old_config), new.kind(new_config));
        *self.known.entry(kinds).or_insert_with(|| {
            let peers = &self.peers[family as usize];
            Outcome {
                effect: Effect::between(family, (&mut self.old, old), (&mut self.new, new), peers),
                was_exempted: is_exempted(old_config, old, self.now),
                is_exempted: is_exempted(new_config, new, self.now),
            }
        })
    }

    /// Takes note of a stretch of a pool prefix whose mask is another one on the other
    /// side.
    fn add_mask(&mut self, side: Side, range: Range, own: Option<Holder>, other: Option<Holder>) {
        let Some(own) = own.filter(|_| !self.masks.is_empty()) else {
            return;
        };
        let key = (side, prefix_around(range, own.prefix_len));
        if let Some(mask) = self.masks.get_mut(&key) {
            match other {
                Some(_) => mask.inside.add(range),
                None => mask.outside.add(range),
            }
        }
    }

    /// Takes note of the customers of a stretch. Each counts once in a pool.
    fn add_customers(
        &mut self,
        pool: Holder,
        old: Option<Holder>,
        new: Option<Holder>,
        outcome: Outcome,
    ) {
        let Outcome {
            effect,
            was_exempted,
            is_exempted,
        } = outcome;
        let reach = &mut self.pools[pool.index()];
        let is_first = |set: &mut HashSet<u64>, key: u64| {
            // There are 1,023 pools at most, and far fewer than 2^48 customers.
            set.insert((pool.index() as u64) << 48 | key)
        };
        if let Some(old) = old.filter(|_| was_exempted) {
            let key = self.configs[0].customer_key(old.index());
            if is_first(&mut self.holders[EXEMPTED], key) {
                reach.exempted += 1;
            }
            if effect.closes && is_first(&mut self.holders[LOST], key) {
                reach.lost += 1;
                reach.bereft += u64::from(!is_exempted);
                self.losers.insert(key);
            }
        }
        if let Some(new) = new.filter(|_| is_exempted && effect.opens) {
            let key = self.configs[1].customer_key(new.index());
            if is_first(&mut self.holders[GAINED], key) {
                reach.gained += 1;
            }
        }
    }

    /// What it comes to.
    pub(super) fn extent(&self) -> Extent {
        let [old, new] = self.configs;
        let pools = old.pools.iter().zip(&self.pools).map(|(pool, reach)| {
            let same_name = new.pools.iter().find(|new| new.name == pool.name);
            PoolExtent {
                name: pool.name.clone(),
                kind: pool.kind,
                new_kind: same_name.map(|new| new.kind),
                size: reach.size.total(),
                opened: reach.opened.total(),
                closed: reach.closed.total(),
                kept: reach.kept.total(),
                pooled: reach.pooled.total(),
                exempted: reach.exempted,
                gained: reach.gained,
                lost: reach.lost,
                bereft: reach.bereft,
            }
        });
        let pools: Vec<_> = pools.collect();
        Extent {
            customers: self.customers.total(),
            opened: self.opened.total(),
            closed: self.closed.total(),
            gained: pools.iter().map(|pool| pool.gained).sum(),
            lost: pools.iter().map(|pool| pool.lost).sum(),
            added: PoolKind::ALL
                .into_iter()
                .map(|kind| Added {
                    kind,
                    addresses: self.added[kind as usize].total(),
                })
                .collect(),
            masks: self.changed_masks(),
            emptied: self.emptied(),
            pools,
        }
    }

    /// The masks that are longer or shorter by more than a bit: more of the prefix came
    /// into pools, or out of them, than was there on both sides.
    fn changed_masks(&self) -> Vec<Mask> {
        let masks = self.masks.iter();
        let changed = masks.filter(|(_, mask)| {
            let [inside, outside] = [&mask.inside, &mask.outside].map(Counter::total);
            outside.ipv4 > inside.ipv4 || outside.ipv6_64s > inside.ipv6_64s
        });
        let changed = changed.map(|(&(side, prefix), mask)| {
            let (from, to) = match side {
                Side::Old => (prefix, mask.other),
                Side::New => (mask.other, prefix),
            };
            Mask {
                pool: mask.pool.to_owned(),
                from,
                to,
            }
        });
        let mut changed: Vec<_> = changed.collect();
        changed.sort_unstable();
        changed
    }

    /// The lists and patterns that have nothing in them any more, whose customers all
    /// lose something.
    fn emptied(&self) -> Vec<Emptied> {
        let [old, new] = self.configs;
        let is_empty = |included: &&Included| {
            let mut others = new.included.iter();
            let now = others.find(|other| other.is_named_as(included));
            included.amount > 0 && now.is_none_or(|now| now.amount == 0)
        };
        let emptied = old.included.iter().filter(is_empty);
        let emptied = emptied.filter(|_| !self.losers.is_empty());
        let emptied = emptied.filter_map(|included| {
            let all = old.customers_in(&included.files, self.now);
            let are_lost = all.iter().all(|key| self.losers.contains(key));
            // One customer may always leave.
            (all.len() > 1 && are_lost).then(|| Emptied {
                what: included.to_string(),
                customers: all.len() as u64,
            })
        });
        emptied.collect()
    }
}

/// Whether a customer's exemption holds in a layer. Temporary ones are not counted:
/// a change leaves them as they are.
fn is_exempted(config: &Config, layer: Layer, now: Timestamp) -> bool {
    let (Some(pool), Some(customer)) = (layer.pool, layer.customer) else {
        return false;
    };
    let takes_any = config.pools[pool.index()].kind.takes_exemptions();
    takes_any && config.terms_held(customer.index()).open_something(now)
}

/// The prefixes that only one side has, around one that only the other side has.
fn masks<'a>(configs: [&'a Config; 2]) -> HashMap<(Side, IpNet), MaskReach<'a>> {
    let [old, new] = configs.map(|config| {
        let pools = config.pools.iter().flat_map(|pool| {
            let prefixes = pool.prefixes.iter();
            prefixes.map(|prefix| (*prefix, pool.name.as_str()))
        });
        pools.collect::<HashMap<_, _>>()
    });
    let only = |own: &HashMap<IpNet, &'a str>, other: &HashMap<IpNet, &'a str>| {
        let own = own.iter().map(|(prefix, pool)| (*prefix, *pool));
        let own = own.filter(|(prefix, _)| !other.contains_key(prefix));
        own.collect::<Vec<_>>()
    };
    let (lost, gained) = (only(&old, &new), only(&new, &old));
    let mut masks = HashMap::default();
    for (side, own, others) in [(Side::Old, &lost, &gained), (Side::New, &gained, &lost)] {
        let others = PrefixMap::new(others.iter().copied());
        for &(prefix, pool) in own {
            if let Some(&(other, _)) = others.inside(&prefix).first() {
                let mask = MaskReach {
                    pool,
                    other,
                    inside: Counter::default(),
                    outside: Counter::default(),
                };
                masks.insert((side, prefix), mask);
            }
        }
    }
    masks
}
