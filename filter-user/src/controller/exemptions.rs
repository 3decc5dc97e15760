//! Temporary exemptions: given, taken back, and over.

use api::{requests::NewExemption, status::ListedExemption};
use dataplane::Dataplane;
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    config::{NoRoom, TemporaryExemption, is_line},
    directory::Directory,
    intent::Intent,
};
use serde::{Deserialize, Serialize};
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
}

impl Default for KeptExemptions {
    fn default() -> Self {
        Self {
            next_id: 1,
            exemptions: Vec::new(),
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

/// The temporary exemptions of an instance, as they are kept; those that are
/// over may still be among them.
///
/// # Errors
///
/// When the file is there and cannot be read.
pub fn read(state: &StateDirectory) -> Result<Vec<TemporaryExemption>, StateError> {
    let kept: Option<KeptExemptions> = state.read(FILE)?;
    Ok(kept.unwrap_or_default().exemptions)
}

/// Those that an earlier controller has left, and says what ended meanwhile. From
/// here on the controller knows them, and only writes them.
pub(super) fn at_start(state: &StateDirectory, now: Timestamp) -> KeptExemptions {
    let meaning = "the temporary exemptions in it do not exempt";
    let kept = salvage(state, FILE, meaning, || state.read::<KeptExemptions>(FILE));
    let mut kept = kept.whole().unwrap_or_default();
    kept.next_id = kept.next_id();
    let all = std::mem::take(&mut kept.exemptions).into_iter();
    let (over, holding) = all.partition::<Vec<_>, _>(|e| e.is_expired(now));
    kept.exemptions = holding;
    if !over.is_empty() {
        forget(state, &kept);
    }
    log_over(&over);
    kept
}

/// Why an exemption was not given or taken back. Everything is as it was.
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
        "no number is left for another exemption: `next_id` in {FILE} is the last one. Correct that \
         while poolguard does not run"
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
    #[error("{0}. Nothing was changed")]
    Apply(#[from] ApplyError),
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
        let holds = |e: &TemporaryExemption| e.id == id && !e.is_expired(now);
        let Some(index) = temporary.iter().position(holds) else {
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

    /// Puts these in the place of the temporary exemptions in force, from which they
    /// differ in one prefix, and in those that are over.
    fn replace_exemptions(
        &mut self,
        temporary: Vec<TemporaryExemption>,
        next_exemption: u64,
        prefix: IpNet,
        now: Timestamp,
    ) -> Result<(), ExemptionError> {
        let over = temporary.iter().filter(|e| e.is_expired(now));
        let changed = over.map(|e| e.prefix).chain([prefix]).collect();
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
        }
    }
}

/// Keeps what is left of the exemptions on disk, so that those which are over do
/// not come back with a clock that is set back.
fn forget(state: &StateDirectory, left: &KeptExemptions) {
    if let Err(error) = state.write(FILE, left) {
        tracing::error!(
            %error,
            "exemptions that are over stay on disk: they do not exempt, unless the clock is set back \
             before a restart. Correct this, then add or remove one"
        );
    }
}

/// Says which exemptions are over.
pub(super) fn log_over(over: &[TemporaryExemption]) {
    for exemption in over {
        log(
            exemption,
            exemption.added_by,
            "temporary exemption has expired and no longer exempts",
        );
    }
}

/// Says which exemptions a configuration has no room for.
pub(super) fn warn_of_ignored(intent: &Intent) {
    for listed in listed(intent) {
        if let Some(reason) = listed.ignored {
            tracing::warn!(
                id = listed.exemption.id, prefix = %listed.exemption.prefix, %reason,
                "temporary exemption is kept, and does not exempt as it says"
            );
        }
    }
}

/// The temporary exemptions of an intent, and what keeps them from exempting.
pub(super) fn listed(intent: &Intent) -> Vec<ListedExemption> {
    let directory = Directory::of(intent);
    let exemptions = intent.temporary.iter();
    exemptions
        .map(|exemption| ListedExemption {
            ignored: directory
                .room_for(exemption.prefix, &exemption.ports)
                .err()
                .map(|reason| reason.to_string()),
            exemption: exemption.clone(),
        })
        .collect()
}

fn check(new: &NewExemption, intent: &Intent, now: Timestamp) -> Result<(), ExemptionError> {
    if new.ports.is_empty() && !new.smtp_out {
        return Err(ExemptionError::OpensNothing);
    }
    let is_bad = |text: &str| text.trim().is_empty() || !is_line(text);
    if is_bad(&new.reason) {
        return Err(ExemptionError::BadText { what: "reason" });
    }
    if new.ticket.as_deref().is_some_and(is_bad) {
        return Err(ExemptionError::BadText { what: "ticket" });
    }
    if new.expires <= now {
        let expires = new.expires;
        return Err(ExemptionError::Expired { expires });
    }
    Ok(Directory::of(intent).room_for(new.prefix, &new.ports)?)
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
