//! When exemptions were last used.
//!
//! Frames leave marks where an exemption lets them in. Once a minute, and before tables
//! change, the marks are taken and told as a moment of the prefix that the exemption is for.
//!
//! For how long something was not used is counted in minutes that controllers have run and
//! watched. A clock that is wrong, or set, makes nothing look unused, and takes nothing away:
//! moments stay as they were noted, but for those of this run, which go with the clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    thread::JoinHandle,
    time::Duration,
};

use api::{
    last_use::{ExemptionUse, LastUse, Unused, UseCounts},
    status::ListedExemption,
};
use dataplane::Dataplane;
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{config::Holder, directory::Directory, intent::Intent};
use serde::{Deserialize, Serialize, de::Error as _};

use super::{
    Controller, Standing,
    defect::guarded,
    salvage::{Left, salvage},
};
use crate::state::{StateDirectory, StateError};

/// What it is called in the state directory.
pub(super) const FILE: &str = "last-use.json";

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_A_DAY: u32 = 24 * 60;
/// With a million exemptions the file has 50 megabytes.
const WRITTEN_EVERY: Duration = Duration::from_secs(600);
/// What the metrics count.
const LONG_UNUSED: u32 = 90;

/// When each exemption was used.
#[derive(Debug)]
pub(super) struct LastUses {
    /// In the order of their prefixes.
    known: Vec<Known>,
    /// For how many minutes controllers have watched.
    minutes: u32,
    /// By the time that passes: when the last of these minutes was over, and when all this was
    /// last written.
    counted: Option<Duration>,
    written: Duration,
    /// The minute in which this clock began to run, by the time of day as it was when last
    /// looked at.
    begun: Option<i64>,
    /// The generation whose exemptions these are.
    of_generation: Option<u64>,
    /// Whether it was kept at all.
    is_kept: bool,
    /// A write that goes on beside everything else.
    writing: Option<JoinHandle<Result<(), StateError>>>,
    /// What was said already of what does not work.
    said: Option<String>,
}

/// What is known of the exemptions of a prefix. There may be a million of them.
#[derive(Clone, Copy, Debug)]
struct Known {
    prefix: IpNet,
    /// Since when it is watched, in minutes of the time of day.
    since: u32,
    /// When it was last used, in the same; 0 if it was not.
    used: u32,
    /// How many [minutes](LastUses::minutes) had been watched then.
    minute: u32,
    /// Whether something of it exempts, and has not expired.
    holds: bool,
}

/// As it is on disk: a line for each prefix, with the three numbers of [`Known`].
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    minutes: u32,
    exemptions: Vec<String>,
}

impl Known {
    fn new(prefix: IpNet, now: u32, minute: u32) -> Self {
        Self {
            prefix,
            since: now,
            used: 0,
            minute,
            holds: true,
        }
    }

    fn line(&self) -> String {
        let Self {
            prefix,
            since,
            used,
            minute,
            ..
        } = self;
        format!("{prefix} {since} {used} {minute}")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let prefix: IpNet = parts.next()?.parse().ok()?;
        let mut number = || parts.next()?.parse().ok();
        let known = Self {
            prefix: prefix.trunc(),
            since: number()?,
            used: number()?,
            minute: number()?,
            holds: true,
        };
        parts.next().is_none().then_some(known)
    }
}

impl LastUses {
    /// What earlier controllers have seen.
    pub(super) fn read(state: &StateDirectory, passed: Duration) -> Self {
        let meaning = "when exemptions were last used is watched from now on";
        let kept = salvage(state, FILE, meaning, || read_kept(state));
        let kept = Left::whole(kept);
        let is_kept = kept.is_some();
        let (minutes, known) = kept.unwrap_or_default();
        Self {
            is_kept,
            known,
            minutes,
            counted: None,
            written: passed,
            begun: None,
            of_generation: None,
            writing: None,
            said: None,
        }
    }

    /// Whether there is something to keep.
    pub(super) fn is_worth_keeping(&self) -> bool {
        !self.known.is_empty()
    }

    /// Whether the file is there, unless somebody removed it.
    pub(super) fn was_written(&self) -> bool {
        self.is_kept && self.writing.is_none()
    }

    /// Keeps it in the place of what was kept.
    pub(super) fn write(&self, state: &StateDirectory) -> Result<(), StateError> {
        state.write(FILE, &kept(self.minutes, &self.known))
    }

    /// When the exemptions around an address, or of a prefix, were used.
    fn of(&self, prefix: &IpNet, now: u32) -> Option<LastUse> {
        let known = self.find(prefix).ok().map(|place| &self.known[place])?;
        Some(self.told(known, now))
    }

    /// Nothing was used later than now, nor since as many minutes as were watched since: a
    /// clock may have been ahead, or be behind.
    fn told(&self, known: &Known, now: u32) -> LastUse {
        let watched = self.minutes.saturating_sub(known.minute);
        // A minute of one count may begin in another minute of the day.
        let latest = now.saturating_sub(watched.saturating_sub(1)).max(1);
        LastUse {
            watched_since: moment(known.since.min(latest)),
            last_used: (known.used != 0).then(|| moment(known.used.min(latest))),
            unused_days: self.unused_days(known),
        }
    }

    fn unused_days(&self, known: &Known) -> u32 {
        self.minutes.saturating_sub(known.minute) / MINUTES_A_DAY
    }

    fn find(&self, prefix: &IpNet) -> Result<usize, usize> {
        self.known
            .binary_search_by_key(prefix, |known| known.prefix)
    }

    /// Counts the minutes that have passed. Says whether one has.
    fn count(&mut self, passed: Duration) -> bool {
        let Some(counted) = self.counted else {
            self.counted = Some(passed);
            return true;
        };
        let minutes = passed.saturating_sub(counted).as_secs() / MINUTE.as_secs();
        let minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
        self.minutes = self.minutes.saturating_add(minutes);
        self.counted = Some(counted.saturating_add(MINUTE.saturating_mul(minutes)));
        minutes > 0
    }

    /// Takes note that these prefixes were used now.
    fn note(&mut self, prefixes: BTreeSet<IpNet>, now: u32) {
        for prefix in prefixes {
            let place = match self.find(&prefix) {
                Ok(place) => place,
                Err(place) => {
                    self.known
                        .insert(place, Known::new(prefix, now, self.minutes));
                    place
                }
            };
            let known = &mut self.known[place];
            (known.used, known.minute) = (now, self.minutes);
        }
    }

    /// Watches what `intent` exempts. What it does not is forgotten, unless it may
    /// come back at any moment.
    fn watch(&mut self, intent: &Intent, as_of: Timestamp, now: u32, may_come_back: bool) {
        let customers = intent.config.exemptions().map(|(prefix, terms)| {
            let opens = !terms.allow_inbound.is_empty() || terms.allow_smtp_out;
            (prefix, opens.then(|| terms.open_something(as_of)))
        });
        let temporary = intent.temporary.iter();
        let temporary = temporary.map(|e| (e.prefix, Some(!e.is_expired(as_of))));
        let mut wanted: Vec<(IpNet, bool)> = customers
            .chain(temporary)
            .filter_map(|(prefix, holds)| Some((prefix, holds?)))
            .collect();
        wanted.sort_unstable();
        // Of a customer's and a temporary one of the same prefix, either may hold.
        wanted.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            earlier.1 |= is_same && later.1;
            is_same
        });
        let mut before = std::mem::take(&mut self.known).into_iter().peekable();
        self.known.reserve_exact(wanted.len());
        for (prefix, holds) in wanted {
            while let Some(gone) = before.next_if(|known| known.prefix < prefix) {
                self.known.extend(gone_for_now(gone, may_come_back));
            }
            let known = before.next_if(|known| known.prefix == prefix);
            let known = known.unwrap_or_else(|| Known::new(prefix, now, self.minutes));
            self.known.push(Known { holds, ..known });
        }
        self.known
            .extend(before.filter_map(|gone| gone_for_now(gone, may_come_back)));
    }

    /// Goes by the clock as it is: where it was set, what was noted since this run began was
    /// as much earlier or later.
    fn go_by(&mut self, now: u32, passed: Duration) {
        let run = i64::try_from(passed.as_secs() / MINUTE.as_secs()).unwrap_or_default();
        let begun = i64::from(now) - run;
        let Some(before) = self.begun else {
            self.begun = Some(begun);
            return;
        };
        let moved = begun - before;
        // Whole minutes differ by one.
        if moved.abs() <= 1 {
            return;
        }
        self.begun = Some(begun);
        let noted = before..=before + run;
        let put_right = |minute: &mut u32| {
            if noted.contains(&i64::from(*minute)) {
                let right = (i64::from(*minute) + moved).max(1);
                *minute = u32::try_from(right).unwrap_or(u32::MAX);
            }
        };
        for known in &mut self.known {
            put_right(&mut known.since);
            put_right(&mut known.used);
        }
    }

    fn counts(&self) -> UseCounts {
        let holding = self.known.iter().filter(|known| known.holds);
        let mut counts = UseCounts::default();
        for known in holding {
            counts.watched += 1;
            counts.unused_90_days += u64::from(self.unused_days(known) >= LONG_UNUSED);
        }
        counts
    }
}

fn gone_for_now(known: Known, may_come_back: bool) -> Option<Known> {
    may_come_back.then_some(Known {
        holds: false,
        ..known
    })
}

fn kept(minutes: u32, known: &[Known]) -> Kept {
    Kept {
        minutes,
        exemptions: known.iter().map(Known::line).collect(),
    }
}

fn read_kept(state: &StateDirectory) -> Result<Option<(u32, Vec<Known>)>, StateError> {
    let Some(Kept {
        minutes,
        exemptions,
    }) = state.read(FILE)?
    else {
        return Ok(None);
    };
    let known = exemptions.iter().map(|line| {
        Known::parse(line).ok_or_else(|| StateError::Damaged {
            path: state.file(FILE),
            source: serde_json::Error::custom(format!("{line:?} is not what was written")),
        })
    });
    let mut known = known.collect::<Result<Vec<_>, _>>()?;
    known.sort_unstable_by_key(|known| known.prefix);
    known.dedup_by_key(|known| known.prefix);
    Ok(Some((minutes, known)))
}

/// The minute of a moment. 0 is for "never".
fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60)
        .unwrap_or_default()
        .max(1)
}

fn moment(minute: u32) -> Timestamp {
    Timestamp::from_second(i64::from(minute) * 60).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The temporary exemptions that hold, by prefix.
struct Temporaries {
    prefixes: HashSet<IpNet>,
    lengths: [BTreeSet<u8>; 2],
}

impl Temporaries {
    fn of(intent: &Intent, as_of: Timestamp) -> Self {
        let holding = intent.temporary.iter().filter(|e| !e.is_expired(as_of));
        let prefixes: HashSet<IpNet> = holding.map(|e| e.prefix).collect();
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        for prefix in &prefixes {
            lengths[usize::from(prefix.addr().is_ipv6())].insert(prefix.prefix_len());
        }
        Self { prefixes, lengths }
    }

    fn around(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        let lengths = &self.lengths[usize::from(address.is_ipv6())];
        let around = lengths
            .iter()
            .filter_map(move |length| Some(IpNet::new(address, *length).ok()?.trunc()));
        around.filter(|prefix| self.prefixes.contains(prefix))
    }
}

/// The prefixes of what exempts an address at a moment: the most specific customer's, and
/// all temporary ones around it.
fn exempting(intent: &Intent, as_of: Timestamp, addresses: &[IpAddr]) -> BTreeSet<IpNet> {
    let directory = Directory::of(intent);
    let temporaries = Temporaries::of(intent, as_of);
    let mut prefixes = BTreeSet::new();
    for &address in addresses {
        let customer = directory.customer(&address.into());
        let customer = customer.filter(|(holder, _)| holder.terms.open_something(as_of));
        prefixes.extend(customer.map(|(_, prefix)| prefix));
        prefixes.extend(temporaries.around(address));
    }
    prefixes
}

impl<D: Dataplane> Controller<D> {
    /// Takes note of what was used, once a minute.
    pub fn note_uses(&mut self) {
        let passed = self.clock.passed();
        if !self.uses.count(passed) {
            return;
        }
        self.take_marks();
        let (now, generation) = (minute(self.clock.now()), self.status.generation);
        if self.uses.of_generation != Some(generation) {
            // What is on trial goes back to what was in force.
            let may_come_back = matches!(self.standing, Standing::OnTrial(_));
            self.uses
                .watch(&self.intent, self.as_of, now, may_come_back);
            self.uses.of_generation = Some(generation);
        }
        self.write_uses(passed);
        self.publish();
    }

    /// Takes note of what was used since the marks were last taken. Before tables change:
    /// after it they say something else.
    pub(super) fn take_marks(&mut self) {
        let now = minute(self.clock.now());
        self.uses.go_by(now, self.clock.passed());
        let taken = guarded("reading which exemptions were used", || {
            let used = self.dataplane.used()?;
            if !used.is_empty() {
                let prefixes = exempting(&self.intent, self.as_of, &used);
                self.uses.note(prefixes, now);
            }
            Ok::<_, dataplane::DataplaneError>(())
        });
        let error = match taken {
            Ok(Ok(())) => return self.uses.said = None,
            Ok(Err(error)) => error.to_string(),
            Err(defect) => defect.to_string(),
        };
        if self.uses.said.as_ref() != Some(&error) {
            tracing::error!(
                traffic = self.traffic(), %error,
                "when exemptions are used is not seen. The filter does not wait for it. Tried again \
                 every minute"
            );
            self.uses.said = Some(error);
        }
    }

    /// Writes what is known, beside everything else, if that was not done for a while.
    fn write_uses(&mut self, passed: Duration) {
        let uses = &mut self.uses;
        if let Some(written) = uses.writing.take_if(|writing| writing.is_finished()) {
            uses.is_kept |= log_unwritten(written.join().unwrap_or(Ok(())));
        }
        let is_due = passed.saturating_sub(uses.written) >= WRITTEN_EVERY;
        if !is_due || uses.writing.is_some() || !uses.is_worth_keeping() {
            return;
        }
        uses.written = passed;
        let (state, minutes, known) = (self.state.clone(), uses.minutes, uses.known.clone());
        let write = move || state.write(FILE, &kept(minutes, &known));
        // A million lines take a moment.
        uses.writing = std::thread::Builder::new()
            .name("last-use".to_owned())
            .spawn(write)
            .ok();
    }

    /// Takes note of what was used, and keeps it for the next controller.
    pub(super) fn keep_uses(&mut self) {
        self.take_marks();
        if let Some(writing) = self.uses.writing.take() {
            log_unwritten(writing.join().unwrap_or(Ok(())));
        }
        if self.uses.is_worth_keeping() {
            log_unwritten(self.uses.write(&self.state));
        }
    }

    /// How many exemptions are used.
    pub(super) fn use_counts(&self) -> UseCounts {
        self.uses.counts()
    }

    /// Adds when they were used.
    pub(super) fn with_uses(&self, mut listed: Vec<ListedExemption>) -> Vec<ListedExemption> {
        let now = minute(self.clock.now());
        for exemption in &mut listed {
            exemption.last_use = self.uses.of(&exemption.exemption.prefix, now);
        }
        listed
    }

    /// When what exempts these addresses was used, by its prefix.
    pub fn uses_around(&self, addresses: &[IpAddr]) -> Vec<(IpNet, LastUse)> {
        let prefixes = exempting(&self.intent, self.as_of, addresses);
        let now = minute(self.clock.now());
        let uses = prefixes.into_iter();
        uses.filter_map(|prefix| Some((prefix, self.uses.of(&prefix, now)?)))
            .collect()
    }

    /// The exemptions that hold, and were not used for so many days.
    pub fn unused(&self, days: u32) -> Unused {
        let (uses, now) = (&self.uses, minute(self.clock.now()));
        let unused = |known: &&Known| known.holds && uses.unused_days(known) >= days;
        let mut unused: Vec<&Known> = uses.known.iter().filter(unused).collect();
        let total = unused.len() as u64;
        unused.sort_by_key(|known| (known.minute, known.prefix));
        unused.truncate(Unused::MOST);
        let directory = Directory::of(&self.intent);
        let mut temporary: BTreeMap<IpNet, Vec<u64>> = BTreeMap::new();
        for exemption in &self.intent.temporary {
            if !exemption.is_expired(self.as_of) {
                temporary
                    .entry(exemption.prefix)
                    .or_default()
                    .push(exemption.id);
            }
        }
        let exemptions = unused.into_iter().map(|known| {
            let customer = directory.customer(&known.prefix);
            let customer: Option<Holder<'_>> = customer
                .filter(|(_, prefix)| *prefix == known.prefix)
                .map(|(holder, _)| holder);
            ExemptionUse {
                prefix: known.prefix,
                customer: customer.map(|holder| holder.name.to_owned()),
                ticket: customer.and_then(|holder| holder.ticket.map(str::to_owned)),
                temporary: temporary.remove(&known.prefix).unwrap_or_default(),
                last_use: uses.told(known, now),
            }
        });
        Unused {
            total,
            exemptions: exemptions.collect(),
        }
    }
}

/// Says what went wrong. Says whether nothing did.
fn log_unwritten(written: Result<(), StateError>) -> bool {
    if let Err(error) = &written {
        tracing::warn!(
            %error,
            "when exemptions were last used cannot be kept: a restart goes on from what was kept \
             before. Tried again every ten minutes"
        );
    }
    written.is_ok()
}
