//! Ports that are treated alike.
//!
//! Lists name ports, and what becomes of a frame depends on which lists name its port.
//! Two ports that the same lists name, for the same protocols, are treated alike. Each
//! list [splits](Partition::split) sets of such ports in two or more.

use std::collections::HashMap;

use filter_common::{Protocol, ReturnTraffic};

use crate::{
    config::{Config, PortRange, PortSpec},
    intent::Intent,
};

/// A bit for each protocol.
pub(crate) type Protocols = u8;

const ALL: Protocols = (1 << Protocol::COUNT) - 1;

/// The ports from 1024 up, from which connections are opened.
const HIGH: (u16, u16) = (1024, u16::MAX);

/// The protocols that a list is about where it names ports.
pub(crate) fn protocols(spec: PortSpec) -> Protocols {
    spec.protocol.map_or(ALL, |only| 1 << only as u8)
}

/// All ports in sets, of which 0 is the one that no list names.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// Where stretches begin that no list divides. A stretch ends before the next one.
    starts: Vec<u32>,
    /// The set of each stretch.
    sets: Vec<u32>,
    /// How many stretches each set has but set 0.
    sizes: HashMap<u32, u32>,
    next: u32,
}

impl Partition {
    /// All ports in set 0, to be split by lists that name only such ranges.
    pub(crate) fn new(ranges: impl Iterator<Item = PortRange>) -> Self {
        let ends = ranges
            .map(|range| (u32::from(range.first()), u32::from(range.last()) + 1))
            .chain([(0, HIGH.0.into())]);
        let mut starts: Vec<u32> = ends.flat_map(|(first, end)| [first, end]).collect();
        starts.retain(|start| *start <= u16::MAX.into());
        starts.sort_unstable();
        starts.dedup();
        Self {
            sets: vec![0; starts.len()],
            starts,
            sizes: HashMap::new(),
            next: 1,
        }
    }

    /// How many sets there are but set 0.
    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The sets, numbered from 1 in the order of their lowest ports.
    pub(crate) fn sets(&self) -> Sets {
        let ends = self.starts.iter().skip(1).map(|next| next - 1);
        let ends = ends.chain([u16::MAX.into()]);
        let stretches = self.starts.iter().zip(ends).zip(&self.sets);
        let mut numbers = HashMap::new();
        let mut sets = Sets::default();
        for ((&first, last), set) in stretches.filter(|(_, set)| **set != 0) {
            // No list names port 0.
            let Some(range) = PortRange::new(first as u16, last as u16) else {
                continue;
            };
            let number = *numbers.entry(set).or_insert(sets.sizes.len());
            if number == sets.sizes.len() {
                sets.sizes.push(0);
                sets.lowest.push(range.first());
            }
            sets.sizes[number] += 1;
            sets.stretches.push((range, number + 1));
        }
        sets
    }

    /// Has the ports of a list in sets of their own: for each protocol, it names all of
    /// the ports of a set or none. Only what `within` has counts, which is a mask of
    /// protocols for each stretch.
    fn split(
        &mut self,
        list: impl Iterator<Item = (PortRange, Protocols)>,
        within: impl Fn(usize, u32) -> Protocols,
    ) {
        let mut named: Vec<(usize, Protocols)> = Vec::new();
        for (range, protocols) in list {
            let places = self.places(range);
            named.extend(places.map(|place| (place, protocols)));
        }
        named.sort_unstable();
        let mut moved: HashMap<(u32, Protocols), u32> = HashMap::new();
        for same in named.chunk_by(|(one, _), (other, _)| one == other) {
            let place = same[0].0;
            let old = self.sets[place];
            let protocols = same.iter().fold(0, |all, (_, some)| all | some);
            let protocols = protocols & within(place, old);
            if protocols == 0 {
                continue;
            }
            let new = *moved.entry((old, protocols)).or_insert_with(|| {
                self.next += 1;
                self.next - 1
            });
            self.sets[place] = new;
            *self.sizes.entry(new).or_default() += 1;
            if let Some(left) = self.sizes.get_mut(&old) {
                *left -= 1;
                if *left == 0 {
                    self.sizes.remove(&old);
                }
            }
        }
    }

    /// Has those ports of a range in sets of their own that some list names.
    pub(crate) fn split_by_range(&mut self, range: PortRange) {
        let named = [(range, ALL)].into_iter();
        self.split(named, |_, set| if set == 0 { 0 } else { ALL });
    }

    /// The stretches of a range.
    fn places(&self, range: PortRange) -> std::ops::Range<usize> {
        let first = self
            .starts
            .partition_point(|start| *start < range.first().into());
        let end = self
            .starts
            .partition_point(|start| *start <= range.last().into());
        first..end
    }

    /// What a list names, for each stretch.
    fn masks<'a>(&self, lists: impl Iterator<Item = &'a [PortSpec]>) -> Vec<Protocols> {
        let mut masks = vec![0; self.starts.len()];
        for spec in lists.flatten() {
            for place in self.places(spec.ports) {
                masks[place] |= protocols(*spec);
            }
        }
        masks
    }
}

/// What splits the ports of a configuration.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    /// The distinct lists of forbidden ports.
    pub(crate) forbidden: Vec<&'a [PortSpec]>,
    /// Those among them of pools that take exemptions.
    pub(crate) exemptible: Vec<&'a [PortSpec]>,
    pub(crate) mail: &'a [u16],
    /// The distinct lists of exempted ports.
    pub(crate) exempted: Vec<&'a [PortSpec]>,
    /// Whether ports from 1024 up are treated otherwise than those below.
    pub(crate) high_differ: bool,
}

/// One of [`Lists`], by its place among its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListOf {
    Forbidden(usize),
    Mail,
    Exempted(usize),
}

impl<'a> Lists<'a> {
    /// `common` is forbidden where a pool says nothing else; `pools` is what is forbidden
    /// toward each, and whether it takes exemptions.
    pub(crate) fn new(
        common: &'a [PortSpec],
        pools: impl Iterator<Item = (&'a [PortSpec], bool)> + Clone,
        mail: &'a [u16],
        exempted: impl Iterator<Item = &'a [PortSpec]>,
        return_traffic: ReturnTraffic,
    ) -> Self {
        let of_pools = pools.clone().map(|(list, _)| list);
        let exemptible = pools.filter(|(_, takes_exemptions)| *takes_exemptions);
        Self {
            forbidden: distinct([common].into_iter().chain(of_pools)),
            exemptible: distinct(exemptible.map(|(list, _)| list)),
            mail,
            exempted: distinct(exempted),
            high_differ: return_traffic != ReturnTraffic::Drop,
        }
    }

    /// Those of a configuration. Exemptions that have expired count: what is to be told
    /// apart does not change with the time.
    pub(crate) fn of(config: &'a Config) -> Self {
        let pools = config.pools.iter();
        Self::new(
            &config.ports.forbidden,
            pools.map(|pool| (config.forbidden_toward(pool), pool.kind.takes_exemptions())),
            &config.mail.ports,
            config.terms().map(|terms| &*terms.allow_inbound),
            config.ports.return_traffic,
        )
    }

    /// With what temporary exemptions open.
    pub(crate) fn of_all(intent: &'a Intent) -> Self {
        let mut lists = Self::of(&intent.config);
        let temporary = intent.temporary.iter().map(|exemption| &*exemption.ports);
        lists.exempted = distinct(lists.exempted.into_iter().chain(temporary));
        lists
    }

    /// Every port and every range that they name.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = PortRange> {
        let lists = self.forbidden.iter().chain(&self.exempted);
        let ranges = lists.flat_map(|list| list.iter().map(|spec| spec.ports));
        ranges.chain(self.mail.iter().map(|port| (*port).into()))
    }

    /// Splits the ports by all of the lists, and says of each by how many sets there are
    /// more since.
    pub(crate) fn split(&self, partition: &mut Partition) -> Vec<(ListOf, usize)> {
        let mut added = Vec::new();
        let mut note = |list, before, partition: &Partition| {
            added.push((list, partition.count().saturating_sub(before)));
        };
        for (number, list) in self.forbidden.iter().enumerate() {
            let before = partition.count();
            partition.split(named(list), |_, _| ALL);
            note(ListOf::Forbidden(number), before, partition);
        }
        let before = partition.count();
        let mail = self.mail.iter().map(|port| ((*port).into(), ALL));
        partition.split(mail, |_, _| ALL);
        note(ListOf::Mail, before, partition);
        if let Some(high) = PortRange::new(HIGH.0, HIGH.1).filter(|_| self.high_differ) {
            partition.split_by_range(high);
        }
        let exemptible = partition.masks(self.exemptible.iter().copied());
        for (number, list) in self.exempted.iter().enumerate() {
            let before = partition.count();
            partition.split(named(list), |place, _| exemptible[place]);
            note(ListOf::Exempted(number), before, partition);
        }
        added
    }

    /// Splits the ports by one more list of exempted ports.
    pub(crate) fn split_by_exempted(&self, list: &[PortSpec], partition: &mut Partition) {
        let exemptible = partition.masks(self.exemptible.iter().copied());
        partition.split(named(list), |place, _| exemptible[place]);
    }
}

/// Those lists that split the most, with how many sets there are more because of each.
pub(crate) fn culprits(mut added: Vec<(ListOf, usize)>) -> Vec<(ListOf, usize)> {
    const NAMED: usize = 5;
    added.retain(|(_, more)| *more > 0);
    added.sort_by_key(|(_, more)| std::cmp::Reverse(*more));
    added.truncate(NAMED);
    added
}

/// The sets of a [`Partition`] but the one that no list names, which has number 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sets {
    /// In order, with the sets that they belong to.
    pub(crate) stretches: Vec<(PortRange, usize)>,
    /// How many stretches belong to each; that of set 1 is the first.
    sizes: Vec<u32>,
    /// The lowest port of each.
    lowest: Vec<u16>,
}

impl Sets {
    /// How many there are: their numbers go from 1 to this.
    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// A port of each, in the order of their numbers.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.lowest.iter().copied()
    }

    /// The sets of which a list names ports for a protocol, and whether it names all of
    /// them.
    pub(crate) fn named(
        &self,
        list: &[PortSpec],
        protocol: Protocol,
    ) -> impl Iterator<Item = (usize, bool)> {
        let mut counts = vec![None; self.sizes.len()];
        for (first, last) in merged(list, protocol) {
            let from = self
                .stretches
                .partition_point(|(stretch, _)| stretch.last() < first);
            let met = self.stretches[from..].iter();
            for (stretch, set) in met.take_while(|(stretch, _)| stretch.first() <= last) {
                let is_whole = first <= stretch.first() && stretch.last() <= last;
                *counts[set - 1].get_or_insert(0) += u32::from(is_whole);
            }
        }
        let counts = (1..).zip(counts.into_iter().zip(&self.sizes));
        counts.filter_map(|(set, (count, size))| Some((set, count? == *size)))
    }
}

/// What a list names for a protocol, in order, and nothing twice.
fn merged(list: &[PortSpec], protocol: Protocol) -> Vec<(u16, u16)> {
    let named = list.iter().filter(|spec| spec.concerns(protocol));
    let mut ranges: Vec<_> = named
        .map(|spec| (spec.ports.first(), spec.ports.last()))
        .collect();
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let meets = u32::from(next.0) <= u32::from(before.1) + 1;
        if meets {
            before.1 = before.1.max(next.1);
        }
        meets
    });
    ranges
}

fn named(list: &[PortSpec]) -> impl Iterator<Item = (PortRange, Protocols)> {
    list.iter().map(|spec| (spec.ports, protocols(*spec)))
}

/// Each list once, in their order.
pub(crate) fn distinct<'a>(lists: impl Iterator<Item = &'a [PortSpec]>) -> Vec<&'a [PortSpec]> {
    let mut known = foldhash::HashSet::default();
    lists.filter(|list| known.insert(*list)).collect()
}
