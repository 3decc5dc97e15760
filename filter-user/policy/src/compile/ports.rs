//! The watched ports: how they are treated, and where they are counted.

use filter_common::{PortClass, PortClasses, PortSlots, Protocol};
use jiff::Timestamp;

use super::{CompileError, Slots};
use crate::{
    config::{Config, PortRange, PortSpec, words::list},
    intent::Intent,
    partition::{ListOf, Lists, Partition, Sets, culprits, distinct},
};

/// A mask of classes for each protocol.
pub(crate) type Masks = [u64; Protocol::COUNT];

/// Which port is of which class, and where it is counted.
#[derive(Clone, Debug)]
pub struct PortTable {
    /// Port to class.
    pub classes: Box<PortClasses>,
    /// Port to counter slot; 0 for a port that nobody watches.
    pub slots: Box<PortSlots>,
    /// What is counted in each slot.
    labels: Vec<PortRange>,
    /// Those of each class. Its number is the set's.
    sets: Sets,
    /// The classes that are forbidden toward pools which take exemptions.
    exemptible: Masks,
    /// Whether `return_traffic` makes a difference to ports from 1024 up.
    high_differ: bool,
}

impl PortTable {
    /// Puts all ports into one class that are treated alike, of those that are forbidden
    /// anywhere or that mail is sent to.
    ///
    /// What a temporary exemption tells apart has classes of its own as long as there are
    /// any. After that it opens only what it opens of [whole classes](Self::masks), and
    /// [`tells_apart`](Self::tells_apart) says so: no exemption that was given keeps
    /// a configuration from being compiled.
    ///
    /// Classes that are left go to what is written: an exemption of a port or a range as the
    /// lists have it takes an amendment only, and no other tables.
    pub(crate) fn new(
        intent: &Intent,
        slots: &mut Slots,
        now: Timestamp,
    ) -> Result<Self, CompileError> {
        let config = &*intent.config;
        let lists = Lists::of(config);
        let lent = lent(intent, now);
        let ranges = lent.iter().copied().flatten().map(|spec| spec.ports);
        let mut partition = Partition::new(lists.ranges().chain(ranges));
        let added = lists.split(&mut partition);
        if partition.count() > PortClass::MAX.into() {
            return Err(CompileError::TooManyPortClasses {
                count: partition.count(),
                lists: names(config, &lists, added),
            });
        }
        for list in lent {
            split_if_it_fits(&mut partition, |split| lists.split_by_exempted(list, split));
        }
        let mut written: Vec<PortRange> = written(&lists).collect();
        written.sort_unstable();
        written.dedup();
        for range in &written {
            split_if_it_fits(&mut partition, |split| split.split_by_range(*range));
        }
        let sets = partition.sets();
        let mut classes = Box::new([0; 1 << 16]);
        for &(stretch, set) in &sets.stretches {
            classes[places(stretch)].fill(set as u8);
        }
        let mut table = Self {
            classes,
            slots: slots_of(&written, slots)?,
            labels: written,
            sets,
            exemptible: [0; Protocol::COUNT],
            high_differ: lists.high_differ,
        };
        for list in &lists.exemptible {
            let masks = table.masks(list);
            for (all, some) in table.exemptible.iter_mut().zip(masks) {
                *all |= some;
            }
        }
        Ok(table)
    }

    /// The same for who counts nothing.
    ///
    /// # Errors
    ///
    /// When the configuration does not fit.
    pub fn of(intent: &Intent, now: Timestamp) -> Result<Self, CompileError> {
        Self::new(intent, &mut Slots::default(), now)
    }

    /// The class of a port.
    pub fn class(&self, port: u16) -> PortClass {
        PortClass(self.classes[usize::from(port)])
    }

    /// The port or the range under which a port is counted; `None` if nobody watches it.
    pub fn label(&self, port: u16) -> Option<PortRange> {
        let is_watched = self.class(port) != PortClass::UNWATCHED;
        let slot = usize::from(self.slots[usize::from(port)]);
        self.labels.get(slot).copied().filter(|_| is_watched)
    }

    /// How many classes there are.
    pub fn count(&self) -> usize {
        self.sets.count()
    }

    /// The mask of these ports' classes.
    pub(super) fn mask(&self, ports: impl Iterator<Item = u16>) -> u64 {
        ports.fold(0, |mask, port| mask | self.class(port).bit())
    }

    /// The mask of the classes of ports that a connection can be opened from, where that
    /// makes a difference.
    pub(super) fn high_ports(&self) -> u64 {
        let high = self.sets.ports().filter(|&port| port >= 1024);
        self.mask(high.filter(|_| self.high_differ))
    }

    /// For each protocol, the mask of the classes that `specs` cover: of which they name
    /// all ports.
    pub(super) fn masks(&self, specs: &[PortSpec]) -> Masks {
        each_protocol(specs, |protocol| {
            let named = self.sets.named(specs, protocol);
            let whole = named.filter(|(_, is_whole)| *is_whole);
            whole.fold(0, |mask, (set, _)| mask | PortClass(set as u8).bit())
        })
    }

    /// Whether the classes tell apart what an exemption opens from what it does not.
    pub fn tells_apart(&self, specs: &[PortSpec]) -> bool {
        Protocol::ALL.into_iter().all(|protocol| {
            let exemptible = self.exemptible[protocol as usize];
            let mut named = self.sets.named(specs, protocol);
            named.all(|(set, is_whole)| is_whole || !PortClass(set as u8).is_in(exemptible))
        })
    }
}

/// What holds for each protocol; asked once if it is the same for all.
fn each_protocol(specs: &[PortSpec], mask: impl Fn(Protocol) -> u64) -> Masks {
    match specs.iter().all(|spec| spec.protocol.is_none()) {
        true => [mask(Protocol::Tcp); Protocol::COUNT],
        false => Protocol::ALL.map(mask),
    }
}

/// The distinct lists of what temporary exemptions open. Thousands open the same.
pub(super) fn lent(intent: &Intent, now: Timestamp) -> Vec<&[PortSpec]> {
    let temporary = intent.temporary.iter().filter(|t| !t.is_expired(now));
    distinct(temporary.map(|exemption| &*exemption.ports))
}

/// Splits classes as long as there are any.
fn split_if_it_fits(partition: &mut Partition, split: impl FnOnce(&mut Partition)) {
    if partition.count() == usize::from(PortClass::MAX) {
        return;
    }
    let mut tried = partition.clone();
    split(&mut tried);
    if tried.count() <= PortClass::MAX.into() {
        *partition = tried;
    }
}

/// The slot of each port: that of the narrowest port or range around it, of those that are
/// written. Of two of the same width it is the one that begins first.
fn slots_of(written: &[PortRange], slots: &mut Slots) -> Result<Box<PortSlots>, CompileError> {
    let mut numbered = Vec::new();
    for range in written {
        numbered.push((*range, slots.port(*range)?));
    }
    // The widest comes first, and others are written over it.
    numbered.sort_by_key(|(range, _)| std::cmp::Reverse((range.width(), range.first())));
    let mut of_ports: Box<PortSlots> = Box::new([0; 1 << 16]);
    for (range, slot) in numbered {
        of_ports[places(range)].fill(slot as u8);
    }
    Ok(of_ports)
}

/// What is written in lists of forbidden ports and of mail ports.
fn written(lists: &Lists<'_>) -> impl Iterator<Item = PortRange> {
    let forbidden = lists.forbidden.iter().copied().flatten();
    let mail = lists.mail.iter().map(|port| PortRange::from(*port));
    forbidden.map(|spec| spec.ports).chain(mail)
}

fn places(range: PortRange) -> std::ops::RangeInclusive<usize> {
    range.first().into()..=range.last().into()
}

/// The lists that split the ports most, in words.
fn names(config: &Config, lists: &Lists<'_>, added: Vec<(ListOf, usize)>) -> String {
    let names = culprits(added).into_iter().map(|(which, more)| {
        let name = match which {
            ListOf::Forbidden(number) => {
                let is_it = |list: &[PortSpec]| lists.forbidden[number] == list;
                let mut pools = config.pools.iter();
                match pools.find(|pool| is_it(config.forbidden_toward(pool))) {
                    Some(pool) if !is_it(&config.ports.forbidden) => format!("pool {}", pool.name),
                    _ => "[ports] forbidden".to_owned(),
                }
            }
            ListOf::Mail => "[mail] ports".to_owned(),
            ListOf::Exempted(number) => {
                let mut held = config.held_prefixes().map(|(_, holder)| holder);
                let holder = held.find(|h| h.terms.allow_inbound == lists.exempted[number]);
                holder.map_or_else(String::new, |holder| format!("customer {}", holder.name))
            }
        };
        format!("{name} ({more})")
    });
    list(&names.collect::<Vec<_>>(), "and")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{fmt::Write as _, path::Path};

    use super::*;
    use crate::{
        compile::compile,
        config::{Memory, TemporaryExemption, load_from},
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn intent(more: &str) -> Intent {
        let text = format!(
            "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = [\"192.0.2.25\"]\n{more}"
        );
        let path = Path::new("poolguard.toml");
        let loaded = load_from(&Memory::default().with(path, text), path, NOW);
        loaded
            .unwrap_or_else(|report| panic!("{report}"))
            .config
            .into()
    }

    fn table(more: &str) -> PortTable {
        PortTable::of(&intent(more), NOW).unwrap()
    }

    fn specs(text: &str) -> Vec<PortSpec> {
        text.split(' ').map(|spec| spec.parse().unwrap()).collect()
    }

    /// Forty pools of forty ranges each, of which neighbours have some in common, and
    /// customers who are exempted for parts of them.
    #[test]
    fn twenty_thousand_ports_in_ranges_are_a_few_classes() {
        let range = |number: u32| format!("\"{}-{}\"", 2_000 + number * 250, 2_099 + number * 250);
        let mut text = String::new();
        for pool in 0..40 {
            let ranges: Vec<_> = (0..200).filter(|n| n % 5 == pool % 5).map(range).collect();
            let _infallible = writeln!(
                text,
                "[[pool]]\nname = \"pool-{pool}\"\nkind = \"static\"\nprefixes = [\"10.{pool}.0.0/16\"]\n\
                 forbidden = [{}]\n[[customer]]\nname = \"customer-{pool}\"\n\
                 prefixes = [\"10.{pool}.1.0/24\"]\nallow_inbound = [\"{}-{}\"]",
                ranges.join(", "),
                2_050 + (pool % 5) * 250,
                2_059 + (pool % 5) * 250,
            );
        }
        let intent = intent(&format!("[ports]\nforbidden = [25]\n{text}"));
        let compiled = compile(&intent, NOW).unwrap();
        let watched = compiled.ports.classes.iter().filter(|class| **class != 0);
        assert_eq!(watched.count(), 20_001);
        // All that there are: those that are left go to ranges as they are written.
        assert_eq!(compiled.ports.count(), 63);
        assert_eq!(compiled.slots.ports().count(), 201);
        // Each port is forbidden where its range is listed, and exempted where it is.
        let policies = |port: u16| {
            let class = compiled.ports.class(port);
            let policies = compiled.policies.iter();
            let known = policies.filter(move |policy| policy.forbids(Protocol::Tcp, class));
            let pools: std::collections::BTreeSet<u32> = known.clone().map(|p| p.pool).collect();
            (
                pools.len(),
                known.filter(|p| p.exempts(Protocol::Tcp, class)).count(),
            )
        };
        assert_eq!(policies(2_049), (8, 0));
        assert_eq!(policies(2_050), (8, 8));
        assert_eq!(policies(2_059), (8, 8));
        assert_eq!(policies(2_060), (8, 0));
        assert_eq!(policies(2_100), (0, 0));
        assert_eq!(policies(51_849), (8, 0));
    }

    #[test]
    fn ports_that_are_written_have_classes_of_their_own_while_there_are_any() {
        let pool = "[[pool]]\nname = \"dsl\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n";
        let ports = table(&format!(
            "[ports]\nforbidden = [80, 443, \"8000-8080\"]\n{pool}"
        ));
        let classes = [25, 80, 443, 8000].map(|port| ports.class(port).0);
        assert_eq!(classes, [1, 2, 3, 4]);
        assert_eq!(ports.class(8080), ports.class(8000));
        assert!(ports.tells_apart(&specs("80 8000-8080/udp")));
        assert!(ports.tells_apart(&specs("1-65535")));
        assert!(!ports.tells_apart(&specs("8000-8079")));
        // A hundred of them that are treated alike share one class, and so do others.
        let many: Vec<_> = (100..200).map(|port| port.to_string()).collect();
        let ports = table(&format!("[ports]\nforbidden = [{}]\n", many.join(", ")));
        assert_eq!(ports.count(), 63);
        assert_eq!(ports.class(198), ports.class(199));
        assert_ne!(ports.class(25), ports.class(199));
    }

    #[test]
    fn a_range_is_cut_at_1024_where_that_makes_a_difference() {
        let list = |setting| {
            format!("[ports]\nforbidden = [\"1000-2000\"]\nreturn_traffic = \"{setting}\"\n")
        };
        let ports = table(&list("track"));
        assert_ne!(ports.class(1023), ports.class(1024));
        assert_eq!(ports.high_ports(), ports.class(1024).bit());
        let ports = table(&list("drop"));
        assert_eq!(
            (ports.class(1023), ports.high_ports()),
            (ports.class(1024), 0)
        );
    }

    #[test]
    fn a_port_is_counted_for_the_narrowest_range_around_it() {
        let ports = table("[ports]\nforbidden = [\"1-1000\", \"20-40\", \"30-50/udp\", 35]\n");
        let label = |port| ports.label(port).map(|label| label.to_string());
        for (port, wanted) in [
            (1, "1-1000"),
            (19, "1-1000"),
            (20, "20-40"),
            (25, "25"),
            (34, "20-40"),
            (35, "35"),
            (40, "20-40"),
            (41, "30-50"),
            (51, "1-1000"),
        ] {
            assert_eq!(label(port).as_deref(), Some(wanted), "{port}");
        }
        assert_eq!(label(1001), None);
        assert_eq!(label(0), None);
    }

    /// Whatever was given: the configuration is compiled, and the older exemptions hold.
    #[test]
    fn temporary_exemptions_take_the_classes_that_are_left() {
        let mut intent = intent(
            "[ports]\nforbidden = [\"8000-8100\"]\n[[pool]]\nname = \"dsl\"\nkind = \"static\"\n\
             prefixes = [\"203.0.113.0/24\"]\n",
        );
        let given = |id: u16| TemporaryExemption {
            id: id.into(),
            prefix: "203.0.113.9/32".parse().unwrap(),
            ports: specs(&(8000 + id).to_string()),
            smtp_out: false,
            expires: "2030-01-01T00:00:00Z".parse().unwrap(),
            reason: String::new(),
            ticket: None,
            added: NOW,
            added_by: 0,
        };
        intent.temporary = (0..100).map(given).collect();
        let ports = PortTable::of(&intent, NOW).unwrap();
        assert_eq!(ports.count(), 63);
        // 25 and what is left of the range have the other two.
        for (number, exemption) in intent.temporary.iter().enumerate() {
            assert_eq!(ports.tells_apart(&exemption.ports), number < 61, "{number}");
            let is_open = ports.masks(&exemption.ports)[0] != 0;
            assert_eq!(is_open, number < 61, "{number}");
        }
        let later = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(PortTable::of(&intent, later).unwrap().count(), 2);
    }

    /// `check` says so with the place of each list; this is for a configuration that came
    /// another way.
    #[test]
    fn lists_that_split_the_ports_too_far_are_named() {
        let mut intent = intent(
            "[ports]\nforbidden = [\"8000-8100\"]\n[[pool]]\nname = \"dsl\"\nkind = \"static\"\n\
             prefixes = [\"203.0.113.0/24\"]\n[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\n\
             allow_inbound = [8000]\n",
        );
        let config = std::sync::Arc::make_mut(&mut intent.config);
        let acme = config.customers[0].clone();
        config
            .customers
            .extend((1..70).map(|number| crate::config::Customer {
                name: format!("customer-{number}"),
                terms: crate::config::Terms {
                    allow_inbound: specs(&format!("{0} {0}/udp", 8000 + number)),
                    ..acme.terms.clone()
                },
                ..acme.clone()
            }));
        config.customers[1].terms.allow_inbound = specs("8050 8051/udp 8052/tcp");
        let error = PortTable::of(&intent, NOW).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "the lists of ports split them into 71 sets that are treated differently, and 63 are \
                 possible; those that split the most: customer customer-1 (3), "
            ),
            "{error}"
        );
    }
}
