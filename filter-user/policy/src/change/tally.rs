//! What differs, with how many addresses each difference concerns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use filter_common::Family;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use super::{
    Addresses, Change, Entry, Sign, What,
    addresses::{Counter, Range},
    check_limit, check_sides, enforcement, left_out,
    ports::{PortNumbers, PortSet},
    reach::Reach,
    segments::{bounds, side_by_side},
    settings,
    view::{Grant, View},
};
use crate::{
    compile::layers::{Holder, Layer},
    config::{Config, Included, Interface, Pool},
    intent::Intent,
};

pub(super) fn tally(old: &Intent, new: &Intent, now: Timestamp, most_grants: usize) -> Change {
    let numbers = PortNumbers::of([old, new]);
    let views = [old, new].map(|intent| View::new(intent, &numbers, now));
    let reach = Reach::new([old, new], &numbers, now);
    let mut tally = Tally::new(views, reach, most_grants);
    side_by_side(old, new, |range, old, new| tally.add(range, old, new));
    let extent = tally.reach.extent();
    let too_much = check_limit(&extent, old.config.max_change).err();
    let without = left_out(&old.config, &new.config);
    let sides = check_sides(without, &old.config, &new.config).err();
    Change {
        entries: tally.entries(&numbers),
        more_exemptions: tally.more_grants,
        kept: new
            .temporary
            .iter()
            .filter(|exemption| !exemption.is_expired(now))
            .cloned()
            .collect(),
        customers: extent.customers,
        opened: extent.opened,
        closed: extent.closed,
        gained: extent.gained,
        lost: extent.lost,
        too_much: too_much.map(|too_much| too_much.to_string()),
        sides: sides.map(|sides| sides.to_string()),
    }
}

struct Tally<'a> {
    old: View<'a>,
    new: View<'a>,
    reach: Reach<'a>,
    /// For each old pool the new one of the same name.
    same_pool: Vec<Option<usize>>,
    /// The prefixes that a pool gains or loses.
    pool_prefixes: HashMap<(Sign, IpNet), Counter>,
    /// For each new pool the addresses that stay in it.
    staying: Vec<Counter>,
    grants: HashMap<(Sign, IpNet, Grant), Counter>,
    /// The most that are taken note of.
    most_grants: usize,
    /// Whether there were more.
    more_grants: bool,
    /// What temporary exemptions open, by their place in the list.
    loans: BTreeMap<(Sign, usize, PortSet, bool), Counter>,
}

impl<'a> Tally<'a> {
    fn new([old, new]: [View<'a>; 2], reach: Reach<'a>, most_grants: usize) -> Self {
        let (old_config, new_config) = (old.config, new.config);
        let pool_names = |config: &'a Config| config.pools.iter().map(|pool| pool.name.as_str());
        let lost = pool_prefixes(old_config, new_config).map(|prefix| (Sign::Lost, prefix));
        let gained = pool_prefixes(new_config, old_config).map(|prefix| (Sign::Gained, prefix));
        Self {
            same_pool: matching(pool_names(old_config), pool_names(new_config)),
            pool_prefixes: lost
                .chain(gained)
                .map(|key| (key, Counter::default()))
                .collect(),
            staying: vec![Counter::default(); new_config.pools.len()],
            grants: HashMap::new(),
            most_grants,
            more_grants: false,
            loans: BTreeMap::new(),
            old,
            new,
            reach,
        }
    }

    /// Takes note of a stretch of addresses.
    fn add(&mut self, range: Range, old: Layer, new: Layer) {
        self.reach.add(range, old, new);
        self.add_pool_prefix(Sign::Lost, range, old.pool);
        self.add_pool_prefix(Sign::Gained, range, new.pool);
        if let (Some(old), Some(new)) = (old.pool, new.pool)
            && self.same_pool[old.index()] == Some(new.index())
        {
            self.staying[new.index()].add(range);
        }
        self.add_grants(range, self.old.grant(old), self.new.grant(new));
        if old.temporary.is_some() || new.temporary.is_some() {
            self.add_loans(range, old, new);
        }
    }

    fn add_pool_prefix(&mut self, sign: Sign, range: Range, pool: Option<Holder>) {
        let Some(holder) = pool.filter(|_| !self.pool_prefixes.is_empty()) else {
            return;
        };
        let key = (sign, prefix_around(range, holder.prefix_len));
        if let Some(counter) = self.pool_prefixes.get_mut(&key) {
            counter.add(range);
        }
    }

    fn add_grants(&mut self, range: Range, old: Option<Grant>, new: Option<Grant>) {
        let (mut lost, mut gained) = (old, new);
        if let (Some(lost), Some(gained)) = (&mut lost, &mut gained)
            && self.old.config.holder(lost.customer).name
                == self.new.config.holder(gained.customer).name
            && (lost.prefix_len, lost.expires) == (gained.prefix_len, gained.expires)
        {
            // The same exemption: what it opens may have changed.
            let common = lost.ports.and(&gained.ports);
            lost.ports = lost.ports.without(&common);
            gained.ports = gained.ports.without(&common);
            let both = lost.smtp_out && gained.smtp_out;
            lost.smtp_out &= !both;
            gained.smtp_out &= !both;
        }
        for (sign, grant) in [(Sign::Lost, lost), (Sign::Gained, gained)] {
            if let Some(grant) = grant.filter(|g| !g.ports.is_empty() || g.smtp_out) {
                let prefix = prefix_around(range, grant.prefix_len);
                let key = (sign, prefix, grant);
                if self.grants.len() < self.most_grants || self.grants.contains_key(&key) {
                    self.grants.entry(key).or_default().add(range);
                } else {
                    self.more_grants = true;
                }
            }
        }
    }

    fn add_loans(&mut self, range: Range, old: Layer, new: Layer) {
        let loans = |view: &View<'_>, layer| -> Vec<_> {
            let loans = view.loans(layer);
            loans
                .map(|(place, ports, smtp_out)| (view.temporary[place].id, place, ports, smtp_out))
                .collect()
        };
        let (old, new) = (loans(&self.old, old), loans(&self.new, new));
        for (sign, own, others) in [(Sign::Lost, &old, &new), (Sign::Gained, &new, &old)] {
            for &(id, place, ref ports, mut smtp_out) in own {
                let mut ports = ports.clone();
                if let Some(other) = others.iter().find(|other| other.0 == id) {
                    ports = ports.without(&other.2);
                    smtp_out &= !other.3;
                }
                if !ports.is_empty() || smtp_out {
                    let counter = self.loans.entry((sign, place, ports, smtp_out));
                    counter.or_default().add(range);
                }
            }
        }
    }

    /// All that differs: what holds for the box first, then pools, then
    /// exemptions, each by name and prefix.
    fn entries(&self, numbers: &PortNumbers) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.compare_settings(&mut entries);
        self.compare_interfaces(&mut entries);
        self.compare_wires(&mut entries);
        self.compare_mail_servers(&mut entries);
        self.compare_included(&mut entries);
        entries.extend(self.pool_prefix_entries());
        self.compare_pools(numbers, &mut entries);
        entries.extend(self.exemption_entries(numbers));
        entries.extend(self.loan_entries(numbers));
        entries
    }

    fn compare_settings(&self, entries: &mut Vec<Entry>) {
        let both = settings(self.old.config)
            .into_iter()
            .zip(settings(self.new.config));
        for ((key, old, concerns_customers), (_, new, _)) in both {
            let setting = |value| What::Setting {
                key: key.to_owned(),
                value,
            };
            let affects = concerns_customers.then(|| self.reach.customers());
            replace(setting(old), setting(new), affects, entries);
        }
    }

    fn compare_wires(&self, entries: &mut Vec<Entry>) {
        let [old, new] = [self.old.config, self.new.config].map(|config| {
            let wires = config.forwarding.wires().iter().map(|wire| {
                let mut ends = wire.ends.clone();
                ends.sort();
                What::Wire { ends }
            });
            wires.collect::<BTreeSet<_>>()
        });
        let lost = old.difference(&new);
        entries.extend(lost.map(|wire| entry(Sign::Lost, wire.clone(), None)));
        let gained = new.difference(&old);
        entries.extend(gained.map(|wire| entry(Sign::Gained, wire.clone(), None)));
    }

    fn compare_interfaces(&self, entries: &mut Vec<Entry>) {
        let [mut old, new] = [self.old.config, self.new.config].map(|config| {
            let interfaces = config.interfaces.iter().map(interface);
            interfaces.collect::<BTreeMap<_, _>>()
        });
        for (name, gained) in new {
            match old.remove(&name) {
                Some(lost) => replace(lost, gained, None, entries),
                None => entries.push(entry(Sign::Gained, gained, None)),
            }
        }
        entries.extend(old.into_values().map(|lost| entry(Sign::Lost, lost, None)));
    }

    fn compare_mail_servers(&self, entries: &mut Vec<Entry>) {
        let [old, new] = [self.old.config, self.new.config].map(|config| &config.mail.servers);
        for (sign, has, lacks) in [(Sign::Lost, old, new), (Sign::Gained, new, old)] {
            for &prefix in has.iter().filter(|prefix| !lacks.contains(prefix)) {
                let (family, first, last) = bounds(&prefix);
                let mut size = Counter::default();
                size.add(Range {
                    family,
                    first,
                    last,
                });
                let what = What::MailServer { prefix };
                entries.push(entry(sign, what, Some(size.total())));
            }
        }
    }

    /// What has nothing in it any more, or for the first time. How much else it has is
    /// said customer by customer.
    fn compare_included(&self, entries: &mut Vec<Entry>) {
        let [old, new] = [self.old.config, self.new.config].map(|config| &config.included);
        for old in old {
            let Some(new) = new.iter().find(|new| new.is_named_as(old)) else {
                continue;
            };
            if (old.amount == 0) != (new.amount == 0) {
                replace(included(old), included(new), None, entries);
            }
        }
    }

    fn pool_prefix_entries(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.pool_prefixes.len());
        for (sign, view) in [(Sign::Lost, &self.old), (Sign::Gained, &self.new)] {
            for pool in &view.config.pools {
                for &prefix in &pool.prefixes {
                    if let Some(counter) = self.pool_prefixes.get(&(sign, prefix)) {
                        let what = What::PoolPrefix {
                            pool: pool.name.clone(),
                            prefix,
                            kind: pool.kind.name().to_owned(),
                        };
                        entries.push(entry(sign, what, Some(counter.total())));
                    }
                }
            }
        }
        entries.sort_by(|a, b| (&a.what, a.sign).cmp(&(&b.what, b.sign)));
        entries
    }

    fn compare_pools(&self, numbers: &PortNumbers, entries: &mut Vec<Entry>) {
        for (old, new) in self.same_pool.iter().enumerate() {
            let Some(new) = *new else { continue };
            let affects = Some(self.staying[new].total());
            let pools = [&self.old.config.pools[old], &self.new.config.pools[new]];
            for key in [kind, pool_enforcement] {
                replace(key(pools[0]), key(pools[1]), affects, entries);
            }
            let (was, is) = (&self.old.forbidden[old], &self.new.forbidden[new]);
            for (sign, ports) in [
                (Sign::Lost, was.without(is)),
                (Sign::Gained, is.without(was)),
            ] {
                if !ports.is_empty() {
                    let what = What::Forbidden {
                        pool: pools[1].name.clone(),
                        ports: numbers.specs(&ports),
                    };
                    entries.push(entry(sign, what, affects));
                }
            }
        }
    }

    fn loan_entries<'b>(&'b self, numbers: &'b PortNumbers) -> impl Iterator<Item = Entry> + 'b {
        let loans = self.loans.iter();
        loans.map(|(&(sign, place, ref ports, smtp_out), counter)| {
            let view = match sign {
                Sign::Lost => &self.old,
                Sign::Gained => &self.new,
            };
            let exemption = &view.temporary[place];
            let what = What::TemporaryExemption {
                id: exemption.id,
                prefix: exemption.prefix,
                ports: numbers.specs(ports),
                smtp_out,
                expires: exemption.expires,
            };
            entry(sign, what, Some(counter.total()))
        })
    }

    fn exemption_entries(&self, numbers: &PortNumbers) -> Vec<Entry> {
        let view = |sign| match sign {
            Sign::Lost => &self.old,
            Sign::Gained => &self.new,
        };
        let mut grants: Vec<_> = self
            .grants
            .iter()
            .map(|(&(sign, prefix, ref grant), counter)| {
                let customer = view(sign).config.holder(grant.customer).name;
                (customer, prefix, sign, grant, counter.total())
            })
            .collect();
        // No two of them have all of this in common.
        grants.sort_unstable_by(|one, other| {
            let key = |&(customer, prefix, sign, grant, _)| (customer, prefix, sign, grant);
            key(one).cmp(&key(other))
        });
        grants
            .into_iter()
            .map(|(customer, prefix, sign, grant, affects)| {
                let what = What::Exemption {
                    customer: customer.to_owned(),
                    prefix,
                    ports: numbers.specs(&grant.ports),
                    smtp_out: grant.smtp_out,
                    expires: grant.expires,
                };
                entry(sign, what, Some(affects))
            })
            .collect()
    }
}

/// The prefixes that pools of `config` have and the same pools of `other` have
/// not.
fn pool_prefixes<'a>(config: &'a Config, other: &'a Config) -> impl Iterator<Item = IpNet> + 'a {
    let all = |config: &'a Config| {
        let pools = config.pools.iter();
        pools.flat_map(|pool| {
            pool.prefixes
                .iter()
                .map(|prefix| (pool.name.as_str(), prefix))
        })
    };
    let others: HashSet<_> = all(other).collect();
    let own = all(config).filter(move |prefix| !others.contains(prefix));
    own.map(|(_, prefix)| *prefix)
}

/// For each of `names` where it is among `others`.
fn matching<'a>(
    names: impl Iterator<Item = &'a str>,
    others: impl Iterator<Item = &'a str>,
) -> Vec<Option<usize>> {
    let others: HashMap<_, _> = others.zip(0..).collect();
    names.map(|name| others.get(name).copied()).collect()
}

pub(super) fn prefix_around(range: Range, length: u8) -> IpNet {
    match range.family {
        Family::V4 => {
            let address = Ipv4Addr::from_bits(range.first as u32);
            IpNet::from(Ipv4Net::new_assert(address, length).trunc())
        }
        Family::V6 => {
            let address = Ipv6Addr::from_bits(range.first);
            IpNet::from(Ipv6Net::new_assert(address, length).trunc())
        }
    }
}

fn interface(interface: &Interface) -> (String, What) {
    let what = What::Interface {
        name: interface.name.clone(),
        role: interface.role.name().to_owned(),
        attach: interface.attach.name().to_owned(),
        sources: interface.sources.name().to_owned(),
        egress: interface.egress.name().to_owned(),
    };
    (interface.name.clone(), what)
}

fn included(included: &Included) -> What {
    What::Included {
        key: included.key,
        pattern: included.pattern.clone(),
        amount: included.amount,
    }
}

fn kind(pool: &Pool) -> What {
    pool_setting(pool, "kind", pool.kind.name())
}

fn pool_enforcement(pool: &Pool) -> What {
    pool_setting(pool, "enforcement", enforcement(pool.monitor))
}

fn pool_setting(pool: &Pool, key: &str, word: &str) -> What {
    What::PoolSetting {
        pool: pool.name.clone(),
        key: key.to_owned(),
        value: format!("\"{word}\""),
    }
}

/// Notes what has another value.
fn replace(old: What, new: What, affects: Option<Addresses>, entries: &mut Vec<Entry>) {
    if old != new {
        entries.push(entry(Sign::Lost, old, affects));
        entries.push(entry(Sign::Gained, new, affects));
    }
}

fn entry(sign: Sign, what: What, affects: Option<Addresses>) -> Entry {
    Entry {
        sign,
        what,
        affects,
    }
}
