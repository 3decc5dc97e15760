//! Sets of ports, of two configurations that are compared.

use filter_common::Protocol;
use smallvec::SmallVec;

use crate::{
    config::{PortRange, PortSpec},
    intent::Intent,
    partition::{Lists, Partition, Sets},
};

/// A set of ports for each protocol. A bit is a set of [`PortNumbers`]: as many words for
/// each protocol as all of them take, and none where nothing is in it.
///
/// Hardly any two configurations tell more than 128 sets of ports apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PortSet(SmallVec<[u64; 2 * Protocol::COUNT]>);

impl PortSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        self.with(other, |own, other| own & !other)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        self.with(other, |own, other| own & other)
    }

    /// Whether all that is in it is in another one.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        self.0
            .iter()
            .zip(others)
            .all(|(own, other)| own & !other == 0)
    }

    fn with(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        let words = self.0.iter().zip(others);
        Self(words.map(|(own, other)| combine(*own, other)).collect())
    }
}

/// Numbers for all sets of ports that either of two configurations treats differently.
pub(super) struct PortNumbers {
    sets: Sets,
    /// What is written in lists.
    written: Vec<PortRange>,
}

impl PortNumbers {
    /// A port that no configuration mentions: none can.
    pub(super) const UNMENTIONED: u16 = 0;

    pub(super) fn of(intents: [&Intent; 2]) -> Self {
        let both = intents.map(Lists::of_all);
        let written = || both.iter().flat_map(Lists::ranges);
        let mut partition = Partition::new(written());
        for lists in &both {
            let _added = lists.split(&mut partition);
        }
        Self {
            sets: partition.sets(),
            written: written().collect(),
        }
    }

    fn words(&self) -> usize {
        self.sets.count().div_ceil(64)
    }

    fn collect(&self, mut sets: impl FnMut(Protocol, &mut dyn FnMut(usize))) -> PortSet {
        let words = self.words();
        let mut all = PortSet(SmallVec::from_elem(0, words * Protocol::COUNT));
        for protocol in Protocol::ALL {
            let first = protocol as usize * words;
            sets(protocol, &mut |set| {
                all.0[first + (set - 1) / 64] |= 1 << ((set - 1) % 64);
            });
        }
        all
    }

    /// The ports of a list, as far as anybody forbids them.
    pub(super) fn set(&self, specs: &[PortSpec]) -> PortSet {
        self.collect(|protocol, add| {
            let named = self.sets.named(specs, protocol);
            named
                .filter(|(_, is_whole)| *is_whole)
                .for_each(|(set, _)| add(set));
        })
    }

    /// The ports that are chosen, for each protocol.
    pub(super) fn select(&self, mut is_chosen: impl FnMut(u16, Protocol) -> bool) -> PortSet {
        self.collect(|protocol, add| {
            for (set, port) in (1..).zip(self.sets.ports()) {
                if is_chosen(port, protocol) {
                    add(set);
                }
            }
        })
    }

    /// The ports of a set, as a configuration would write them: ranges are joined that
    /// are parts of one that is written.
    pub(super) fn specs(&self, set: &PortSet) -> Vec<PortSpec> {
        let words = self.words();
        let mut parts: Vec<(PortRange, Vec<Protocol>)> = Vec::new();
        for &(stretch, number) in &self.sets.stretches {
            let has = |protocol: &Protocol| {
                let word = *protocol as usize * words + (number - 1) / 64;
                set.0
                    .get(word)
                    .is_some_and(|word| word >> ((number - 1) % 64) & 1 != 0)
            };
            let protocols: Vec<Protocol> = Protocol::ALL.into_iter().filter(has).collect();
            if protocols.is_empty() {
                continue;
            }
            match parts.last_mut() {
                Some((part, same)) if *same == protocols && self.are_joined(*part, stretch) => {
                    *part = PortRange::new(part.first(), stretch.last()).unwrap_or(*part);
                }
                _ => parts.push((stretch, protocols)),
            }
        }
        let mut specs = Vec::new();
        for (ports, protocols) in parts {
            if protocols.len() == Protocol::COUNT {
                specs.push(ports.into());
            } else {
                specs.extend(protocols.into_iter().map(|protocol| PortSpec {
                    ports,
                    protocol: Some(protocol),
                }));
            }
        }
        specs
    }

    /// Whether one begins where another ends, within what is written somewhere.
    fn are_joined(&self, one: PortRange, next: PortRange) -> bool {
        let (last, first) = (one.last(), next.first());
        let mut written = self.written.iter();
        u32::from(last) + 1 == u32::from(first)
            && written.any(|range| range.contains(last) && range.contains(first))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::config::{Memory, load_from};

    fn intent(forbidden: &str) -> Intent {
        let text = format!(
            "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = [\"192.0.2.25\"]\n\
             [ports]\nforbidden = [{forbidden}]\n"
        );
        let path = Path::new("poolguard.toml");
        let files = Memory::default().with(path, text);
        load_from(&files, path, Timestamp::UNIX_EPOCH)
            .unwrap()
            .config
            .into()
    }

    fn specs(text: &str) -> Vec<PortSpec> {
        text.split(' ').map(|spec| spec.parse().unwrap()).collect()
    }

    /// Thousands of ports that two configurations put into hundreds of sets.
    #[test]
    fn more_sets_than_a_word_has_bits() {
        let ranges = |first: usize, width: usize| {
            let ranges = (0..100).map(|n| first + n * 300);
            let ranges = ranges.map(|first| format!("\"{first}-{}/tcp\"", first + width));
            ranges.collect::<Vec<_>>()
        };
        // Each range with a list of its own, or they would be one set.
        let lists = |ranges: Vec<String>| {
            let pools = ranges.iter().enumerate().map(|(number, range)| {
                format!(
                    "[[pool]]\nname = \"pool-{number}\"\nkind = \"static\"\nprefixes = \
                     [\"10.{number}.0.0/16\"]\nforbidden = [{range}]\n"
                )
            });
            pools.collect::<String>()
        };
        let (old, new) = (ranges(1_000, 200), ranges(1_100, 150));
        let [old, new] = [old, new].map(|ranges| {
            let text = format!(
                "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = \
                 [\"192.0.2.25\"]\n{}",
                lists(ranges[..55].to_vec())
            );
            let path = Path::new("poolguard.toml");
            let files = Memory::default().with(path, text);
            let loaded = load_from(&files, path, Timestamp::UNIX_EPOCH);
            Intent::from(loaded.unwrap().config)
        });
        let numbers = PortNumbers::of([&old, &new]);
        assert!(numbers.sets.count() > 128, "{}", numbers.sets.count());
        for number in 0..55 {
            let [was, is] = [&old, &new].map(|intent| {
                let pool = &intent.config.pools[number];
                numbers.set(intent.config.forbidden_toward(pool))
            });
            let first = 1_000 + number * 300;
            let (lost, gained) = (was.without(&is), is.without(&was));
            let lost_ports = format!("{first}-{}/tcp", first + 99);
            let gained_ports = format!("{}-{}/tcp", first + 201, first + 250);
            assert_eq!(numbers.specs(&lost), specs(&lost_ports));
            assert_eq!(numbers.specs(&gained), specs(&gained_ports));
            let both = format!("{}-{}/tcp", first + 100, first + 200);
            assert_eq!(numbers.specs(&was.and(&is)), specs(&both));
            assert!(was.and(&is).is_within(&was) && !was.is_within(&is));
        }
    }

    #[test]
    fn ranges_are_joined_and_neighbours_are_not() {
        let (old, new) = (
            intent("109, 110, \"8000-8080\""),
            intent("8042, \"8050-8060/udp\""),
        );
        let numbers = PortNumbers::of([&old, &new]);
        let [was, is] = [&old, &new].map(|intent| numbers.set(&intent.config.ports.forbidden));
        assert_eq!(numbers.specs(&was), specs("109 110 8000-8080"));
        assert_eq!(numbers.specs(&is), specs("8042 8050-8060/udp"));
        let lost = "109 110 8000-8041 8043-8049 8050-8060/tcp 8050-8060/sctp 8050-8060/dccp \
                    8050-8060/udplite 8061-8080";
        assert_eq!(numbers.specs(&was.without(&is)), specs(lost));
        assert!(is.without(&was).is_empty());
    }
}
