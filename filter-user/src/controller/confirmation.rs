//! Configurations on trial: they go back by themselves unless they are
//! confirmed, also when the controller dies meanwhile.

use std::{path::Path, sync::Arc, time::Duration};

use api::{
    answers::Confirmed,
    status::{LastGood, Unconfirmed},
};
use dataplane::Dataplane;
use jiff::{SignedDuration, Timestamp};
use policy::config::Config;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use thiserror::Error;

use super::{
    ApplyError, Clock, Controller, NewListener,
    archive::{Archive, CONFIRMED, ON_TRIAL},
    into_force::{Insists, Wanted},
    refusals::Refusals,
};
use crate::state::{StateDirectory, StateError};

/// What it is called in the state directory.
pub(super) const FILE: &str = "unconfirmed.json";

/// What is kept over restarts of a trial. What is on trial is kept as
/// [`ON_TRIAL`], what was in force before as [`CONFIRMED`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptTrial<C> {
    pub(super) deadline: Timestamp,
    pub(super) rolled_back: bool,
    /// Why, where that is not [`NOT_IN_TIME`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What was in force before, where no archive has it: one could not be written,
    /// or a poolguard that wrote none began the trial.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<C>,
}

/// Why a trial is mostly gone back from.
pub(super) const NOT_IN_TIME: &str = "not confirmed in time";

/// Whether what is in force is there to stay.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// It is, and it is what was read from the files last.
    Confirmed,
    /// It goes back.
    OnTrial(Trial),
    /// It was gone back to at that moment: the files say something else.
    RolledBack { at: Timestamp, why: String },
    /// It was in force when this controller was started, whose files were refused.
    LastGood(LastGood),
    /// It was all that there was when this controller was started, and nothing could
    /// be compared with it.
    Unconfirmed(Unconfirmed),
}

/// A trial that goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trial {
    /// What comes back.
    pub(super) previous: Arc<Config>,
    pub(super) deadline: Timestamp,
    /// The same by the time that passes, which nobody sets: what counts.
    ends: Duration,
}

impl Trial {
    pub(super) fn new(previous: Arc<Config>, deadline: Timestamp, clock: &Clock) -> Self {
        let left = deadline.duration_since(clock.now());
        Self {
            previous,
            deadline,
            ends: clock.passed() + Duration::try_from(left).unwrap_or_default(),
        }
    }

    /// How long it still lasts, whatever the clock is set to.
    fn left(&self, clock: &Clock) -> Duration {
        self.ends.saturating_sub(clock.passed())
    }

    /// Has the deadline say when it ends, by a clock that was set. Says whether that is
    /// another moment.
    pub(super) fn go_by(&mut self, clock: &Clock) -> bool {
        let left = SignedDuration::try_from(self.left(clock)).unwrap_or(SignedDuration::MAX);
        let deadline = clock.now().saturating_add(left).unwrap_or(Timestamp::MAX);
        // Clocks are read one after the other, and one may be slewed.
        let is_other = deadline.duration_since(self.deadline).abs() > SignedDuration::from_secs(1);
        if is_other {
            self.deadline = deadline;
        }
        is_other
    }
}

/// Why there is nothing to confirm.
#[derive(Debug, Error)]
pub enum ConfirmError {
    /// Nothing is on trial.
    #[error("nothing waits to be confirmed")]
    NothingOnTrial,
    /// It goes back at this moment.
    #[error("the time for it ended at {deadline}: the configuration before it comes back")]
    TooLate {
        /// When it ended.
        deadline: Timestamp,
    },
    /// The next start would go back.
    #[error("{0}. Nothing is confirmed: correct this and confirm again, or reload")]
    State(#[from] StateError),
}

impl<D: Dataplane> Controller<D> {
    /// How a successful reload would stand. `time`: on trial for that long.
    pub(super) fn next_standing(
        &self,
        time: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Standing, ApplyError> {
        let Some(time) = time else {
            return Ok(Standing::Confirmed);
        };
        // What was last confirmed comes back, not what is on trial itself.
        let previous = match &self.standing {
            Standing::OnTrial(trial) => &trial.previous,
            _ => &self.intent.config,
        };
        let deadline = now
            .checked_add(time)
            .map_err(|_| ApplyError::TrialTooLong { time })?;
        Ok(Standing::OnTrial(Trial::new(
            Arc::clone(previous),
            deadline,
            &self.clock,
        )))
    }

    /// Keeps for the next controller how a configuration stands that is in force, or
    /// is about to be.
    pub(super) fn keep(&self, config: &Config, standing: &Standing) -> Result<(), StateError> {
        let (deadline, rolled_back, previous) = match standing {
            // Of what is unconfirmed it is enough that it is kept where trials are.
            Standing::Confirmed | Standing::LastGood(_) | Standing::Unconfirmed(_) => {
                return self.state.remove(FILE);
            }
            Standing::OnTrial(trial) => (trial.deadline, None, &*trial.previous),
            Standing::RolledBack { at, why } => (*at, Some(why.clone()), config),
        };
        let kept = KeptTrial {
            deadline,
            rolled_back: rolled_back.is_some(),
            why: rolled_back,
            previous: (!self.is_kept).then_some(previous),
        };
        self.state.write(FILE, &kept)
    }

    /// Puts things on disk back to how they stand, after a reload has failed.
    pub(super) fn keep_as_it_stands(&self) {
        if let Err(error) = self.keep(&self.intent.config, &self.standing) {
            tracing::error!(
                traffic = self.traffic(), %error,
                "what is on disk is not what is in force, and a restart goes by what is on disk: \
                 correct this and reload"
            );
        }
    }

    /// Lets what is on trial stay.
    ///
    /// # Errors
    ///
    /// When nothing is, or it is over, or that cannot be kept.
    pub fn confirm(&mut self) -> Result<Confirmed, ConfirmError> {
        match &self.standing {
            Standing::OnTrial(trial) if trial.left(&self.clock).is_zero() => {
                let deadline = trial.deadline;
                return Err(ConfirmError::TooLate { deadline });
            }
            Standing::OnTrial(_) | Standing::Unconfirmed(_) => {}
            Standing::Confirmed | Standing::RolledBack { .. } | Standing::LastGood(_) => {
                return Err(ConfirmError::NothingOnTrial);
            }
        }
        // A crash in between goes back to what this makes of it: the same.
        self.state.rename(ON_TRIAL, CONFIRMED)?;
        self.is_kept = true;
        self.standing = Standing::Confirmed;
        self.keep_as_it_stands();
        let generation = self.status.generation;
        tracing::info!(generation, "confirmed: the configuration stays in force");
        self.publish();
        Ok(Confirmed { generation })
    }

    /// How long the trial still lasts, if there is one.
    pub fn trial_left(&self) -> Option<Duration> {
        match &self.standing {
            Standing::OnTrial(trial) => Some(trial.left(&self.clock)),
            _ => None,
        }
    }

    /// Puts the configuration before the trial into force again.
    ///
    /// # Errors
    ///
    /// When that fails; the one on trial is still in force.
    pub fn roll_back(&mut self) -> Result<NewListener, ApplyError> {
        let Standing::OnTrial(trial) = &self.standing else {
            return Ok(None);
        };
        let Trial {
            previous, deadline, ..
        } = trial.clone();
        let wanted = Wanted {
            intent: self.intent.with_config(previous),
            standing: Standing::RolledBack {
                at: deadline,
                why: NOT_IN_TIME.to_owned(),
            },
            // What is filtered matters more.
            insists: Insists::OnTheFilter,
            ..self.as_it_is()
        };
        let put = self.put_into_force(wanted, self.clock.now());
        let (_, listener) = put.inspect_err(|error| {
            self.status.roll_back_problem = Some(error.to_string());
            self.publish();
        })?;
        self.forget_trial();
        log_rollback(&self.config_file, deadline, NOT_IN_TIME);
        Ok(listener)
    }
}

/// Ends a trial that an earlier controller has left, together with its filter: what was
/// on trial counts as refused, and the next start is held to what was confirmed.
///
/// # Errors
///
/// When that cannot be kept.
pub(super) fn give_up(state: &StateDirectory, now: Timestamp) -> Result<(), StateError> {
    let trial: Option<KeptTrial<IgnoredAny>> = state.read(FILE)?;
    if trial.is_none_or(|trial| trial.rolled_back) {
        return Ok(());
    }
    if let Some(archive) = Archive::read(state, ON_TRIAL)? {
        let error = "it was on trial when the filter was taken off, and not confirmed".to_owned();
        Refusals::read(state).add(state, archive.fingerprint(), now, error)?;
    }
    state.remove(ON_TRIAL)?;
    state.remove(FILE)
}

/// Says that what is in force goes back.
pub(super) fn log_trial(deadline: Timestamp) {
    tracing::warn!(
        %deadline,
        "on trial: the configuration before this one comes back unless `poolguard confirm` follows"
    );
}

/// Says that it has gone back. It is an error where nobody let the time pass.
pub(super) fn log_rollback(config_file: &Path, at: Timestamp, why: &str) {
    const MEANS: &str = "the configuration before it is in force again, and stays so over restarts. \
                         The file is NOT what is in force until it is reloaded";
    let file = config_file.display();
    match why {
        NOT_IN_TIME => tracing::warn!(%file, %at, "{why}: {MEANS}"),
        _ => tracing::error!(%file, %at, "{why}: {MEANS}"),
    }
}
