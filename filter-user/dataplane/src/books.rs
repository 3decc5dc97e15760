//! What was counted, over the generations.
//!
//! Each generation counts in a map of its own: its *account*. When no frame is
//! counted there any more, because another generation has taken its place
//! everywhere, the account is *settled*: what it says is added, name by name, to
//! what was settled before. Whoever asks meanwhile gets the sum of all that.
//!
//! So a counter has no place that one name would have to leave to another while
//! frames are counted, and none that would have to be cleared: a name that comes
//! begins at zero, and one that stays goes on, whichever rows they have. (Rows for
//! twice as many names as can be configured, with those of names that are gone
//! cleared before a reload, would do for a reload, but not for a start after a
//! reload that was cut short. They would take twice the memory all the time; a second
//! map, 162 KiB for each CPU, is there while generations change over.)
//!
//! The books are kept in bpffs, where they are replaced in one step. An account is
//! noted before the first frame is counted in it, and its map is removed after it
//! was noted as settled: a crash in between loses nothing and counts nothing twice.

use std::{collections::BTreeSet, sync::Arc};

use policy::{
    compile::Slots,
    totals::{Forgotten, Totals},
};
use serde::{Deserialize, Serialize};

use super::{DataplaneError, Generation, notes::SETTINGS_BYTES, pins::Pins, shared::Counters};

/// The number of the account that all generations of a poolguard before this one
/// shared. It is settled like any other.
pub(super) const SHARED: u64 = 0;
/// The element of the map in which such a poolguard kept its notes.
pub(super) const SHARED_NOTES_BYTES: usize = SETTINGS_BYTES;

/// What was counted and what is being counted, for a reader of its own: as long as
/// it has them no counter goes back.
#[derive(Clone, Debug, Default)]
pub struct Books {
    settled: Arc<Totals>,
    open: Vec<Account>,
}

#[derive(Clone, Debug)]
struct Account {
    facts: Arc<Facts>,
    counters: Arc<Counters>,
}

/// What has to be known of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Facts {
    number: u64,
    /// Whose its counters are.
    slots: Slots,
    /// The programs that count in it, by the kernel's numbers.
    programs: BTreeSet<u32>,
    /// Whether its generation came into force. If not, nobody has heard of the names
    /// that are new in it.
    came_into_force: bool,
}

/// Books as they are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct KeptBooks {
    settled: Totals,
    open: Vec<Facts>,
}

/// What books say of the generation in force.
#[derive(Default)]
pub(super) struct Running {
    /// Its interfaces.
    pub(super) interfaces: Vec<String>,
    /// Its programs, by the kernel's numbers.
    pub(super) programs: BTreeSet<u32>,
}

impl KeptBooks {
    /// Those of a poolguard whose generations shared an account.
    pub(super) fn shared(slots: Slots) -> Self {
        let account = Facts {
            number: SHARED,
            slots,
            programs: BTreeSet::new(),
            came_into_force: true,
        };
        Self {
            settled: Totals::default(),
            open: vec![account],
        }
    }

    /// The accounts that are open.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.open.iter().map(|facts| facts.number)
    }

    /// The generation that was in force when they were kept.
    pub(super) fn running(self) -> Option<Running> {
        let mut open = self.open.into_iter().rev();
        let facts = open.find(|facts| facts.came_into_force)?;
        let interfaces = facts.slots.interfaces();
        Some(Running {
            interfaces: interfaces.map(|(name, _)| name.to_owned()).collect(),
            programs: facts.programs,
        })
    }
}

impl Books {
    /// Goes on with books that were kept.
    pub(super) fn open(kept: KeptBooks, pins: &Pins) -> Result<Self, DataplaneError> {
        let open = kept.open.into_iter().map(|facts| {
            Ok(Account {
                counters: Arc::new(Counters::open(&pins.counters(facts.number))?),
                facts: Arc::new(facts),
            })
        });
        Ok(Self {
            settled: Arc::new(kept.settled),
            open: open.collect::<Result<_, DataplaneError>>()?,
        })
    }

    /// What is to be kept of them.
    pub(super) fn kept(&self) -> KeptBooks {
        let open = self.open.iter();
        KeptBooks {
            settled: Totals::clone(&self.settled),
            open: open.map(|account| Facts::clone(&account.facts)).collect(),
        }
    }

    /// A number for an account that none of them has.
    pub(super) fn next_number(&self) -> u64 {
        let numbers = self.open.iter().map(|account| account.facts.number);
        numbers.max().unwrap_or(SHARED) + 1
    }

    /// Opens the account of a generation.
    pub(super) fn add(&mut self, generation: &Generation) {
        self.open.push(Account {
            facts: Arc::new(Facts {
                number: generation.number(),
                slots: generation.slots().clone(),
                programs: generation.program_ids().clone(),
                came_into_force: false,
            }),
            counters: generation.counters(),
        });
    }

    /// Closes the account of a generation in which no frame was ever counted.
    pub(super) fn discard(&mut self, number: u64) {
        self.open.retain(|account| account.facts.number != number);
    }

    /// Takes note that the generation with this account has come into force.
    pub(super) fn came_into_force(&mut self, number: u64) {
        let mut accounts = self.open.iter_mut();
        if let Some(account) = accounts.find(|account| account.facts.number == number) {
            Arc::make_mut(&mut account.facts).came_into_force = true;
        }
    }

    /// The accounts in which none of these programs counts.
    pub(super) fn idle(&self, attached: &BTreeSet<u32>) -> Vec<u64> {
        let known: BTreeSet<u32> = self
            .open
            .iter()
            .flat_map(|account| &account.facts.programs)
            .copied()
            .collect();
        let is_idle = |facts: &&Facts| match facts.number {
            // Those that nobody has noted.
            SHARED => attached.is_subset(&known),
            _ => attached.is_disjoint(&facts.programs),
        };
        let facts = self.open.iter().map(|account| account.facts.as_ref());
        facts.filter(is_idle).map(|facts| facts.number).collect()
    }

    /// Settles accounts in which nothing counts any more. Says whose counters had to
    /// go for want of room.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read. All is as it was then.
    pub(super) fn settle(&mut self, numbers: &[u64]) -> Result<Forgotten, DataplaneError> {
        let is_settled = |account: &&Account| numbers.contains(&account.facts.number);
        let (settled, open): (Vec<_>, Vec<_>) = self.open.iter().partition(is_settled);
        let mut totals = Totals::clone(&self.settled);
        for account in settled {
            totals.add(match account.facts.came_into_force {
                true => account.totals()?,
                false => account.totals()?.without_zeros(),
            });
        }
        let forgotten = totals.make_room(open.iter().map(|account| &account.facts.slots));
        let open = open.into_iter().cloned().collect();
        *self = Self {
            settled: Arc::new(totals),
            open,
        };
        Ok(forgotten)
    }

    /// All counters, as they are now.
    ///
    /// # Errors
    ///
    /// When those that are counting cannot be read.
    pub fn totals(&self) -> Result<Totals, DataplaneError> {
        let mut totals = Totals::clone(&self.settled);
        for account in &self.open {
            totals.add(account.totals()?);
        }
        Ok(totals)
    }

    /// Whether an interface has counters.
    pub fn has_interface(&self, name: &str) -> bool {
        let mut open = self.open.iter();
        let counts = |account: &Account| {
            let mut interfaces = account.facts.slots.interfaces();
            interfaces.any(|(interface, _)| interface == name)
        };
        self.settled.has_interface(name) || open.any(counts)
    }
}

impl Account {
    fn totals(&self) -> Result<Totals, DataplaneError> {
        Totals::of(&self.facts.slots, self.counters.as_ref())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::convert::Infallible;

    use filter_common::counters::{INTERFACES, POOLS, PORTS, ROW_LENGTH, Row};
    use policy::{config::PortRange, totals::CounterSource};

    use super::*;
    use crate::notes::{BOOKS_BYTES, Notes};

    /// Counters that can count no further.
    struct Full;

    impl CounterSource for Full {
        type Error = Infallible;

        fn row(&self, _: u32) -> Result<Row, Infallible> {
            Ok([u64::MAX; ROW_LENGTH])
        }
    }

    /// As many names as there can be, as long as they can be, and of what takes two
    /// bytes of JSON for one.
    fn longest(letter: char) -> Slots {
        let mut slots = Slots::default();
        for pool in 1..POOLS {
            let name = format!("{letter}{}{pool:04}", "\"".repeat(59));
            assert_eq!(name.len(), 64);
            slots.pool(&name).unwrap();
        }
        for port in 0..PORTS {
            let last = u16::MAX - port as u16;
            slots.port(PortRange::new(10_000, last).unwrap()).unwrap();
        }
        for interface in 0..INTERFACES {
            let name = format!("{letter}{}{interface:03}", "\"".repeat(11));
            assert_eq!(name.len(), 15);
            slots.interface(&name).unwrap();
        }
        slots
    }

    #[test]
    fn the_longest_books_fit() {
        /// One runs, one comes, and as many again were cut short on the way.
        const OPEN: u64 = 4;
        /// What the controller keeps: above all, how often each interface came back, and the
        /// path of its configuration.
        const CONTROLLER: usize = 48 * 1024;
        let Ok(settled) = Totals::of(&longest('a'), &Full);
        let account = |number| Facts {
            number: u64::MAX - number,
            slots: longest('b'),
            // Each interface has one where frames arrive, and one at its way out.
            programs: (u32::MAX - 2 * INTERFACES..u32::MAX).collect(),
            came_into_force: false,
        };
        let kept = KeptBooks {
            settled,
            open: (0..OPEN).map(account).collect(),
        };
        let length = serde_json::to_vec(&kept).unwrap().len();
        let room = Notes::<BOOKS_BYTES>::CAPACITY;
        assert!(length + CONTROLLER <= room, "{length} bytes in {room}");
    }
}
