//! Temporary exemptions: given, taken back, and over.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use api::{requests::NewExemption, status::ListedExemption};
use dataplane::Dataplane;
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    compile::PortTable,
    config::{NoRoom, PortSpec, TemporaryExemption, is_line},
    directory::Directory,
    intent::Intent,
};
use serde::{Deserialize, Serialize, de::Error as _};
use thiserror::Error;

use super::{ApplyError, Controller, into_force::Wanted, salvage::salvage};
use crate::state::{StateDirectory, StateError};

/// What it is called in the state directory.
pub(super) const FILE: &str = "exemptions.json";

/// What is kept over restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptExemptions {
    pub(super) next_id: u64,
    pub(super) exemptions: Vec<TemporaryExemption>,
    /// The numbers of those that are over, and for how many hours they have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) over: Vec<(u64, u32)>,
}

impl Default for KeptExemptions {
    fn default() -> Self {
        Self {
            next_id: 1,
            exemptions: Vec::new(),
            over: Vec::new(),
        }
    }
}

impl KeptExemptions {
    /// Whether there were ever any: numbers are not given twice.
    pub(super) fn is_worth_keeping(&self) -> bool {
        *self != Self::default()
    }

    /// The number that is given next: none that was given before.
    fn next_id(&self) -> u64 {
        let given = self.exemptions.iter().map(|exemption| exemption.id).max();
        let next = given.map_or(0, |given| given.saturating_add(1));
        self.next_id.max(next)
    }

    /// Keeps them in the place of those that were kept.
    pub(super) fn write(&self, state: &StateDirectory) -> Result<(), StateError> {
        state.write(FILE, self)
    }
}

/// Where the temporary exemptions of an instance are kept.
pub fn file(state: &StateDirectory) -> PathBuf {
    state.file(FILE)
}

/// The temporary exemptions of an instance, as they are kept; those that are
/// over may still be among them.
///
/// # Errors
///
/// When the file is there and cannot be read, or has something in it that was never given.
pub fn read(state: &StateDirectory) -> Result<Vec<TemporaryExemption>, StateError> {
    Ok(read_kept(state)?.unwrap_or_default().exemptions)
}

/// What is kept is held to what is given: it may have been written by others.
fn read_kept(state: &StateDirectory) -> Result<Option<KeptExemptions>, StateError> {
    let kept: Option<KeptExemptions> = state.read(FILE)?;
    let given = kept.iter().flat_map(|kept| &kept.exemptions);
    for exemption in given {
        let TemporaryExemption {
            id, reason, ticket, ..
        } = exemption;
        if let Err(error) = check_text(reason, ticket.as_deref()) {
            let source = serde_json::Error::custom(format!("temporary exemption {id}: {error}"));
            let path = state.file(FILE);
            return Err(StateError::Damaged { path, source });
        }
    }
    Ok(kept)
}

/// Those that an earlier controller has left, and says what ended meanwhile. From
/// here on the controller knows them, and only writes them.
pub(super) fn at_start(state: &StateDirectory, now: Timestamp) -> KeptExemptions {
    let meaning = "the temporary exemptions in it do not exempt";
    let kept = salvage(state, FILE, meaning, || read_kept(state));
    let mut kept = kept.whole().unwrap_or_default();
    kept.next_id = kept.next_id();
    let mut is_news = false;
    for exemption in kept.exemptions.iter().filter(|e| e.is_expired(now)) {
        if !kept.over.iter().any(|(id, _)| *id == exemption.id) {
            kept.over.push((exemption.id, 0));
            is_news = true;
            log_over(exemption);
        }
    }
    if is_news {
        keep_over(state, &kept);
    }
    kept
}

/// How long an exemption is kept that is over, in hours that a controller runs: its end
/// may have come by a clock that is wrong.
const KEPT_OVER: u32 = 7 * 24;
/// How many are. Those that have been over the longest go first.
const MOST_OVER: usize = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// For how long exemptions have been over, by the hours that controllers have run and
/// seen them so.
#[derive(Debug)]
pub(super) struct Over {
    hours: BTreeMap<u64, u32>,
    /// When the next hour is over, by the time that passes.
    next: Duration,
}

impl Over {
    pub(super) fn new(hours: Vec<(u64, u32)>, passed: Duration) -> Self {
        Self {
            hours: hours.into_iter().collect(),
            next: passed + HOUR,
        }
    }

    /// The same of these exemptions.
    pub(super) fn of(&self, exemptions: &[TemporaryExemption]) -> Vec<(u64, u32)> {
        let known = exemptions.iter().map(|e| e.id);
        let hours = known.filter_map(|id| Some((id, *self.hours.get(&id)?)));
        hours.collect()
    }

    /// Counts an hour for those that are over. Gives back those that have been for long
    /// enough.
    fn count(&mut self, exemptions: &[TemporaryExemption], now: Timestamp) -> Vec<u64> {
        let is_over = |e: &&TemporaryExemption| e.is_expired(now);
        let over = exemptions.iter().filter(is_over).map(|e| {
            let hours = self.hours.get(&e.id).copied().unwrap_or_default();
            (e.id, hours + 1)
        });
        self.hours = over.collect();
        let mut by_age: Vec<_> = self.hours.iter().map(|(id, hours)| (*hours, *id)).collect();
        by_age.sort_by_key(|(hours, id)| (std::cmp::Reverse(*hours), *id));
        let too_many = by_age.len().saturating_sub(MOST_OVER);
        let is_long =
            |(place, (hours, _)): &(usize, (u32, u64))| *hours >= KEPT_OVER || *place < too_many;
        let long = by_age.into_iter().enumerate().filter(is_long);
        long.map(|(_, (_, id))| id).collect()
    }
}

/// Why an exemption was not given or taken back. Everything is as it was, unless it says
/// otherwise.
#[derive(Debug, Error)]
pub enum ExemptionError {
    /// It would open nothing, or not all that it names.
    #[error("{0}")]
    NoRoom(#[from] NoRoom),
    /// It names nothing to open.
    #[error("it opens nothing: name forbidden ports, or --smtp-out")]
    OpensNothing,
    /// It would be over already.
    #[error("{expires} has passed already: choose a later moment")]
    Expired {
        /// When it would have ended.
        expires: Timestamp,
    },
    /// Logs and terminals have to show it.
    #[error("the {what} is empty or has control characters in it: write a line of text")]
    BadText {
        /// `reason` or `ticket`.
        what: &'static str,
    },
    /// All numbers were given.
    #[error(
        "no number is left for another exemption: `next_id` in {FILE} is the last one. Correct that, \
         and take the line `sha256` out, while poolguard does not run"
    )]
    NoNumber,
    /// There is none of this number.
    #[error("there is no temporary exemption {id}: `poolguard exempt list` shows them")]
    Unknown {
        /// The number.
        id: u64,
    },
    /// It cannot be kept.
    #[error("{0}. Nothing was changed")]
    State(#[from] StateError),
    /// It cannot be put into force.
    #[error("{why}{so_far}", why = .0, so_far = so_far(.0))]
    Apply(#[from] ApplyError),
}

/// What has changed although it failed, where it does not say so itself.
fn so_far(error: &ApplyError) -> &'static str {
    match error {
        ApplyError::HalfDone { .. } => "",
        _ => ". Nothing was changed",
    }
}

impl<D: Dataplane> Controller<D> {
    /// Gives an exemption, on behalf of user `uid`.
    ///
    /// # Errors
    ///
    /// When it opens nothing, cannot be kept or cannot be put into force.
    pub fn exempt(
        &mut self,
        new: NewExemption,
        uid: u32,
    ) -> Result<ListedExemption, ExemptionError> {
        let now = self.clock.now();
        check(&new, &self.intent, now)?;
        let added = TemporaryExemption {
            id: self.next_exemption,
            prefix: new.prefix,
            ports: new.ports,
            smtp_out: new.smtp_out,
            expires: new.expires,
            reason: new.reason,
            ticket: new.ticket,
            added: now,
            added_by: uid,
        };
        let next = added.id.checked_add(1).ok_or(ExemptionError::NoNumber)?;
        let mut temporary = self.intent.temporary.clone();
        temporary.push(added.clone());
        self.check_classes(&added, &temporary, now)?;
        self.replace_exemptions(temporary, next, added.prefix, now)
            .inspect_err(|error| {
                tracing::error!(
                    prefix = %added.prefix, traffic = self.traffic(), %error,
                    "temporary exemption NOT added: correct this and add it again"
                );
            })?;
        log(&added, uid, "temporary exemption added");
        Ok(ListedExemption {
            exemption: added,
            ignored: None,
            last_use: None,
        })
    }

    /// Takes an exemption back, on behalf of user `uid`.
    ///
    /// # Errors
    ///
    /// When there is no such exemption, or the others cannot be put into force
    /// without it.
    pub fn remove_exemption(
        &mut self,
        id: u64,
        uid: u32,
    ) -> Result<TemporaryExemption, ExemptionError> {
        let now = self.clock.now();
        let mut temporary = self.intent.temporary.clone();
        // Also one that is over: it would come back with a clock that goes back.
        let Some(index) = temporary.iter().position(|e| e.id == id) else {
            return Err(ExemptionError::Unknown { id });
        };
        let removed = temporary.remove(index);
        self.replace_exemptions(temporary, self.next_exemption, removed.prefix, now)
            .inspect_err(|error| {
                tracing::error!(
                    id, prefix = %removed.prefix, traffic = self.traffic(), %error,
                    "temporary exemption NOT removed: correct this and remove it again"
                );
            })?;
        log(&removed, uid, "temporary exemption removed");
        Ok(removed)
    }

    /// That what it opens can be told apart from what it does not: by the tables in force,
    /// or by those that will be.
    fn check_classes(
        &self,
        added: &TemporaryExemption,
        temporary: &[TemporaryExemption],
        now: Timestamp,
    ) -> Result<(), ExemptionError> {
        let in_use = self.dataplane.in_use();
        if in_use.is_some_and(|in_use| in_use.ports.tells_apart(&added.ports)) {
            return Ok(());
        }
        let intent = self.intent.with_temporary(temporary.to_vec());
        let ports = PortTable::of(&intent, now).map_err(ApplyError::from)?;
        match ports.tells_apart(&added.ports) {
            true => Ok(()),
            false => Err(too_many_classes(added).into()),
        }
    }

    /// Puts these in the place of the temporary exemptions in force, from which they
    /// differ in one prefix.
    fn replace_exemptions(
        &mut self,
        temporary: Vec<TemporaryExemption>,
        next_exemption: u64,
        prefix: IpNet,
        now: Timestamp,
    ) -> Result<(), ExemptionError> {
        let (_, mut changed) = self.turned(now);
        changed.extend(self.temporary_turned(now));
        changed.push(prefix);
        let wanted = Wanted {
            intent: self.intent.with_temporary(temporary),
            only_in: Some(changed),
            next_exemption,
            ..self.as_it_is()
        };
        let _unmoved = self.put_into_force(wanted, now)?;
        Ok(())
    }

    /// What is to be kept: what is in force, and the next number.
    pub(super) fn kept_exemptions(&self) -> KeptExemptions {
        KeptExemptions {
            next_id: self.next_exemption,
            exemptions: self.intent.temporary.clone(),
            over: self.over.of(&self.intent.temporary),
        }
    }

    /// Forgets exemptions that have been over for long, once an hour.
    pub fn forget_exemptions(&mut self) {
        let passed = self.clock.passed();
        if passed < self.over.next {
            return;
        }
        self.over.next = passed + HOUR;
        let before = self.kept_exemptions();
        // Those that the tables have are in force for some seconds yet.
        let now = self.clock.now().min(self.as_of);
        let long = self.over.count(&self.intent.temporary, now);
        self.intent.temporary.retain(|e| !long.contains(&e.id));
        let kept = self.kept_exemptions();
        if kept != before {
            keep_over(&self.state, &kept);
        }
    }
}

/// Keeps for how long exemptions have been over.
fn keep_over(state: &StateDirectory, kept: &KeptExemptions) {
    if let Err(error) = kept.write(state) {
        tracing::warn!(
            %error,
            "for how long exemptions have been over cannot be kept: they stay on disk for longer, and \
             do not exempt"
        );
    }
}

/// Says that an exemption is over.
pub(super) fn log_over(exemption: &TemporaryExemption) {
    log(
        exemption,
        exemption.added_by,
        "temporary exemption has expired and no longer exempts",
    );
}

/// Says that an exemption is not over after all.
pub(super) fn log_back(exemption: &TemporaryExemption) {
    log(
        exemption,
        exemption.added_by,
        "the clock went back to before the end of a temporary exemption, which exempts again",
    );
}

fn too_many_classes(exemption: &TemporaryExemption) -> NoRoom {
    let ports = exemption.ports.iter().map(ToString::to_string);
    NoRoom::TooManyPortClasses {
        ports: ports.collect::<Vec<_>>().join(", "),
    }
}

/// Says which exemptions a configuration has no room for.
pub(super) fn warn_of_ignored(intent: &Intent, now: Timestamp) {
    if intent.temporary.is_empty() {
        return;
    }
    let ports = PortTable::of(intent, now).ok();
    for listed in listed(intent, now, ports.as_ref()) {
        if let Some(reason) = listed.ignored {
            tracing::warn!(
                id = listed.exemption.id, prefix = %listed.exemption.prefix, %reason,
                "temporary exemption is kept, and does not exempt as it says"
            );
        }
    }
}

/// The temporary exemptions of an intent that are not over, and what keeps them from
/// exempting, in tables with these ports.
pub(super) fn listed(
    intent: &Intent,
    now: Timestamp,
    ports: Option<&PortTable>,
) -> Vec<ListedExemption> {
    let directory = Directory::of(intent);
    let exemptions = intent.temporary.iter().filter(|e| !e.is_expired(now));
    // Thousands open the same.
    let mut known: HashMap<&[PortSpec], bool> = HashMap::new();
    exemptions
        .map(|exemption| {
            let room = directory.room_for(exemption.prefix, &exemption.ports);
            let told_apart = known.entry(&exemption.ports);
            let is_told_apart = *told_apart
                .or_insert_with_key(|list| ports.is_none_or(|ports| ports.tells_apart(list)));
            let too_many = (!is_told_apart).then(|| too_many_classes(exemption));
            ListedExemption {
                ignored: room.err().or(too_many).map(|reason| reason.to_string()),
                exemption: exemption.clone(),
                last_use: None,
            }
        })
        .collect()
}

fn check(new: &NewExemption, intent: &Intent, now: Timestamp) -> Result<(), ExemptionError> {
    if new.ports.is_empty() && !new.smtp_out {
        return Err(ExemptionError::OpensNothing);
    }
    check_text(&new.reason, new.ticket.as_deref())?;
    if new.expires <= now {
        let expires = new.expires;
        return Err(ExemptionError::Expired { expires });
    }
    Ok(Directory::of(intent).room_for(new.prefix, &new.ports)?)
}

/// That logs and terminals can show them.
fn check_text(reason: &str, ticket: Option<&str>) -> Result<(), ExemptionError> {
    let is_bad = |text: &str| text.trim().is_empty() || !is_line(text);
    if is_bad(reason) {
        return Err(ExemptionError::BadText { what: "reason" });
    }
    if ticket.is_some_and(is_bad) {
        return Err(ExemptionError::BadText { what: "ticket" });
    }
    Ok(())
}

fn log(exemption: &TemporaryExemption, uid: u32, message: &str) {
    let TemporaryExemption {
        id,
        prefix,
        expires,
        reason,
        ..
    } = exemption;
    let ticket = exemption.ticket.as_deref().unwrap_or_default();
    tracing::info!(
        id, %prefix, opens = exemption.opens(), %expires, uid, reason, ticket, "{message}"
    );
}
