//! How much may change at once.
//!
//! The limit is for slips, and a large pool must not hide one in a small pool: what is
//! opened and closed is judged pool by pool, and so are the customers that gain or lose
//! an exemption. What is done every day stays below [`ADDRESSES`] and [`CUSTOMERS`],
//! whatever share that is.

use std::fmt;

use ipnet::IpNet;
use thiserror::Error;

use super::{
    Addresses, Extent,
    extent::{Added, PoolExtent},
};
use crate::config::{PoolKind, Share};

/// So many addresses of a pool may be opened or closed at once, unless that is more than
/// half of it: a /24 in IPv4, and in IPv6, in /64s, a /48, which is as many customers
/// with a /56 each.
pub const ADDRESSES: Addresses = Addresses {
    ipv4: 256,
    ipv6_64s: 65_536,
};

/// So many customers of a pool may gain exemptions at once, and as many lose them, unless
/// that is more than a quarter of those who have some. One customer may always.
pub const CUSTOMERS: u64 = 8;

/// So many respects are named in which a change is too much. The others are counted.
const NAMED: usize = 3;

/// A change that may not be made at once.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "it would {}, and `max_change` is {limit}. `poolguard diff` shows what would change; \
     `poolguard reload --force` does it all the same",
    listed(.excesses)
)]
pub struct TooMuch {
    /// In which respects.
    pub excesses: Vec<Excess>,
    /// The limit.
    pub limit: Share,
}

/// One respect in which a change is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// None of a pool's addresses is in a pool any more.
    PoolGoes {
        /// The pool.
        pool: String,
        /// `IPv4` or `IPv6`, where the pool has addresses of the other family left.
        family: Option<&'static str>,
    },
    /// All of a pool's addresses are in pools of another kind.
    KindChanges {
        /// The pool.
        pool: String,
        /// Its kind.
        from: PoolKind,
        /// The kind of the pool of the same name.
        to: Option<PoolKind>,
    },
    /// A pool's prefix becomes longer or shorter by more than a bit.
    MaskChanges {
        /// The pool.
        pool: String,
        /// The prefix that it has.
        from: IpNet,
        /// The prefix that it would have.
        to: IpNet,
    },
    /// More addresses come into pools than any of them has.
    Added {
        /// The kind of the pools.
        kind: PoolKind,
        /// What is counted.
        unit: &'static str,
        /// How many come.
        affected: u64,
        /// How many the largest pool has.
        largest: u64,
    },
    /// Too many addresses are opened or closed.
    Addresses {
        /// The pool; all of them if it is `None`.
        pool: Option<String>,
        /// What would be done to them.
        direction: Way,
        /// What is counted.
        unit: &'static str,
        /// How many it would be done to.
        affected: u64,
        /// How many there are.
        whole: u64,
    },
    /// Too many customers gain or lose an exemption.
    Customers {
        /// The pool; all of them if it is `None`.
        pool: Option<String>,
        /// What would be done to them.
        direction: Way,
        /// How many it would be done to.
        affected: u64,
        /// How many there are with an exemption.
        whole: u64,
    },
    /// All customers of a list or a pattern lose an exemption, and nothing is left of it.
    Emptied {
        /// As the configuration writes it.
        what: String,
        /// How many they are.
        customers: u64,
    },
}

/// Whether more or less would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Something would pass that does not.
    Open,
    /// Something would no longer pass.
    Close,
}

fn listed(excesses: &[Excess]) -> String {
    let named = excesses.iter().take(NAMED).map(Excess::to_string);
    let more = match excesses.len().saturating_sub(NAMED) {
        0 => None,
        more => Some(format!("do {more} more things like that")),
    };
    named.chain(more).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |affected, whole| {
            let share = Share::of(affected, whole);
            share.map_or_else(String::new, |share| format!(" ({share} of {whole})"))
        };
        match self {
            Self::PoolGoes { pool, family } => {
                let family = family.map_or_else(String::new, |family| format!(" {family}"));
                write!(f, "leave all{family} addresses of pool {pool} in no pool")
            }
            Self::KindChanges { pool, from, to } => {
                let from = from.name();
                write!(f, "turn pool {pool} from {from} into ")?;
                f.write_str(to.map_or("another kind", PoolKind::name))
            }
            Self::MaskChanges { pool, from, to } => {
                write!(f, "turn {from} of pool {pool} into {to}")
            }
            Self::Added {
                kind,
                unit,
                affected,
                largest,
            } => {
                let kind = kind.name();
                write!(
                    f,
                    "add {affected} {unit} to {kind} pools, where the largest pool has {largest}"
                )
            }
            Self::Addresses {
                pool,
                direction,
                unit,
                affected,
                whole,
            } => {
                let verb = match direction {
                    Way::Open => "open",
                    Way::Close => "close",
                };
                write!(f, "{verb} {affected} {unit} of ")?;
                match pool {
                    Some(pool) => write!(f, "pool {pool}")?,
                    None => f.write_str("all pools")?,
                }
                f.write_str(&percent(*affected, *whole))
            }
            Self::Customers {
                pool,
                direction,
                affected,
                whole,
            } => {
                let verb = match direction {
                    Way::Open => "give exemptions to",
                    Way::Close => "take exemptions from",
                };
                let plural = if *affected == 1 { "" } else { "s" };
                write!(f, "{verb} {affected} customer{plural}")?;
                if let Some(pool) = pool {
                    write!(f, " of pool {pool}")?;
                }
                f.write_str(&percent(*affected, *whole))
            }
            Self::Emptied { what, customers } => {
                write!(
                    f,
                    "take exemptions from all {customers} customers of {what}, which has nothing left"
                )
            }
        }
    }
}

/// Whether a change keeps within `limit`.
///
/// # Errors
///
/// When it does not.
pub fn check_limit(extent: &Extent, limit: Share) -> Result<(), TooMuch> {
    if limit >= Share::WHOLE {
        return Ok(());
    }
    let judge = Judge { extent, limit };
    let excesses = judge.excesses();
    match excesses.is_empty() {
        true => Ok(()),
        false => Err(TooMuch { excesses, limit }),
    }
}

struct Judge<'a> {
    extent: &'a Extent,
    limit: Share,
}

/// What is counted, of each family.
const UNITS: [&str; 2] = ["IPv4 addresses", "IPv6 /64s"];

impl Judge<'_> {
    fn excesses(&self) -> Vec<Excess> {
        let pools = &self.extent.pools;
        let mut excesses: Vec<_> = self.masks().chain(self.emptied()).collect();
        for pool in pools {
            let as_a_whole = of_pool_as_a_whole(pool);
            // What a pool's going comes to, address by address, says nothing more.
            match as_a_whole.is_empty() {
                true => excesses.extend(self.of_pool(pool)),
                false => excesses.extend(as_a_whole),
            }
        }
        if excesses.is_empty() {
            // Little of each pool may be much of all.
            excesses.extend(self.of_all());
        }
        excesses.extend(self.extent.added.iter().flat_map(|added| self.added(added)));
        excesses
    }

    fn masks(&self) -> impl Iterator<Item = Excess> {
        let masks = self.extent.masks.iter().cloned();
        masks.map(|mask| Excess::MaskChanges {
            pool: mask.pool,
            from: mask.from,
            to: mask.to,
        })
    }

    fn emptied(&self) -> impl Iterator<Item = Excess> {
        let emptied = self.extent.emptied.iter().cloned();
        emptied.map(|emptied| Excess::Emptied {
            what: emptied.what,
            customers: emptied.customers,
        })
    }

    fn of_pool(&self, pool: &PoolExtent) -> Vec<Excess> {
        let name = Some(&pool.name);
        let mut excesses = self.of_addresses(name, pool.opened, pool.closed, pool.size);
        excesses.extend(self.of_customers(name, Way::Open, pool.gained, pool.exempted));
        excesses.extend(self.of_customers(name, Way::Close, pool.lost, pool.exempted));
        excesses
    }

    /// Of the addresses that were in a pool: those that come are another matter.
    fn of_all(&self) -> Vec<Excess> {
        let pools = &self.extent.pools;
        let total = |which: fn(&PoolExtent) -> Addresses| {
            let parts = pools.iter().map(which);
            parts.fold(Addresses::default(), |sum, part| Addresses {
                ipv4: sum.ipv4.saturating_add(part.ipv4),
                ipv6_64s: sum.ipv6_64s.saturating_add(part.ipv6_64s),
            })
        };
        let mut excesses = self.of_addresses(
            None,
            total(|pool| pool.opened),
            total(|pool| pool.closed),
            total(|pool| pool.size),
        );
        let count = |which: fn(&PoolExtent) -> u64| pools.iter().map(which).sum::<u64>();
        let (gained, lost) = (count(|pool| pool.gained), count(|pool| pool.lost));
        let (exempted, bereft) = (count(|pool| pool.exempted), count(|pool| pool.bereft));
        excesses.extend(self.of_customers(None, Way::Open, gained, exempted));
        match exempted > 0 && bereft == exempted {
            // Also where there is one.
            true => excesses.push(Excess::Customers {
                pool: None,
                direction: Way::Close,
                affected: bereft,
                whole: exempted,
            }),
            false => excesses.extend(self.of_customers(None, Way::Close, lost, exempted)),
        }
        excesses
    }

    fn of_addresses(
        &self,
        pool: Option<&String>,
        opened: Addresses,
        closed: Addresses,
        whole: Addresses,
    ) -> Vec<Excess> {
        let mut excesses = Vec::new();
        for (direction, affected) in [(Way::Open, opened), (Way::Close, closed)] {
            let families = by_family(affected)
                .into_iter()
                .zip(by_family(whole))
                .zip(by_family(ADDRESSES))
                .zip(UNITS);
            for (((affected, whole), always), unit) in families {
                let is_little = affected <= always.min(whole / 2);
                if !is_little && self.limit.is_exceeded_by(affected, whole) {
                    excesses.push(Excess::Addresses {
                        pool: pool.cloned(),
                        direction,
                        unit,
                        affected,
                        whole,
                    });
                }
            }
        }
        excesses
    }

    fn of_customers(
        &self,
        pool: Option<&String>,
        direction: Way,
        affected: u64,
        whole: u64,
    ) -> Option<Excess> {
        let always = match direction {
            // The first ones of a pool are not many of those that it had.
            Way::Open => CUSTOMERS,
            Way::Close => CUSTOMERS.min(whole / 4).max(1),
        };
        let is_too_many = affected > always && self.limit.is_exceeded_by(affected, whole);
        is_too_many.then(|| Excess::Customers {
            pool: pool.cloned(),
            direction,
            affected,
            whole,
        })
    }

    /// As many addresses may come into pools of a kind as its largest pool has: one more
    /// pool, or one that doubles. The first of a family may be any: nobody is a customer
    /// there yet, and there is nothing to hold them against, as at the first start.
    fn added(&self, added: &Added) -> Vec<Excess> {
        let pools = &self.extent.pools;
        let largest = |family: usize| {
            let size = |pool: &PoolExtent| by_family(pool.size)[family];
            let of_kind = pools.iter().filter(|pool| pool.kind == added.kind);
            // The first of a kind is held against the others.
            match of_kind.map(size).max().unwrap_or_default() {
                0 => pools.iter().map(size).max().unwrap_or_default(),
                largest => largest,
            }
        };
        let mut excesses = Vec::new();
        for family in [0, 1] {
            let affected = by_family(added.addresses)[family];
            let always = by_family(ADDRESSES)[family];
            let largest = largest(family);
            let customers = by_family(self.extent.customers)[family];
            let is_little = affected <= always.max(largest);
            let are_first = customers == 0;
            if !is_little && !are_first && self.limit.is_exceeded_by(affected, customers) {
                excesses.push(Excess::Added {
                    kind: added.kind,
                    unit: UNITS[family],
                    affected,
                    largest,
                });
            }
        }
        excesses
    }
}

/// A pool that goes, or becomes one of another kind.
fn of_pool_as_a_whole(pool: &PoolExtent) -> Vec<Excess> {
    let families = by_family(pool.size)
        .into_iter()
        .zip(by_family(pool.kept))
        .zip(by_family(pool.pooled))
        .zip(["IPv4", "IPv6"]);
    let families: Vec<_> = families
        .filter(|(((size, _), _), _)| *size > 0)
        .map(|(((_, kept), pooled), family)| (kept, pooled, family))
        .collect();
    let goes: Vec<_> = families
        .iter()
        .filter(|(_, pooled, _)| *pooled == 0)
        .collect();
    if !goes.is_empty() && goes.len() == families.len() {
        let pool = pool.name.clone();
        return vec![Excess::PoolGoes { pool, family: None }];
    }
    if families
        .iter()
        .any(|(kept, pooled, _)| *kept == 0 && *pooled > 0)
    {
        return vec![Excess::KindChanges {
            pool: pool.name.clone(),
            from: pool.kind,
            to: pool.new_kind.filter(|kind| *kind != pool.kind),
        }];
    }
    let goes = goes.into_iter().map(|(_, _, family)| Excess::PoolGoes {
        pool: pool.name.clone(),
        family: Some(family),
    });
    goes.collect()
}

/// In the order of [`UNITS`].
fn by_family(addresses: Addresses) -> [u64; 2] {
    [addresses.ipv4, addresses.ipv6_64s]
}
