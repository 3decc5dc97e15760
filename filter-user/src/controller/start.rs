//! Which configuration a start puts into force.
//!
//! A start is held to what a reload is held to. The files are compared with the
//! configuration that was last in force, and what a reload would refuse a start
//! does not put into force either: the last one that was then goes on. So neither
//! a crash nor an upgrade nor a reboot makes anything live that was refused.

use std::{path::Path, sync::Arc, thread};

use api::status::LastGood;
use jiff::Timestamp;
use policy::{
    change::{Extent, check_limit},
    config::{Config, Loaded, Report, Texts},
    intent::Intent,
};
use serde::{Deserialize, Serialize};

use super::{
    ApplyError, Site, Standing,
    archive::{self, Archive, CONFIRMED, ON_TRIAL},
    confirmation::{self, KeptTrial, Trial, log_trial, warn_of_rollback},
    defect::guarded,
    joined,
    reading::apart,
    salvage::salvage,
};
use crate::{
    disk::{self, Disk},
    state::{Prepared, StateDirectory},
};

/// How a start is to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Takes the files, however much they change, and ends a trial.
    pub force: bool,
    /// Refuses where otherwise the last good configuration would be enforced.
    pub strict: bool,
}

/// What a start puts into force.
pub(super) struct Chosen {
    pub(super) config: Arc<Config>,
    pub(super) warnings: Report,
    pub(super) standing: Standing,
    /// The texts of the files, where they are to be kept in the place of what is.
    pub(super) to_keep: Option<Texts>,
    /// Whether what is kept as confirmed is what is in force, or comes back.
    pub(super) is_kept: bool,
    /// What was last in force, should the kernel not take this.
    pub(super) last: Option<Last>,
    /// How much the files change of it.
    pub(super) extent: Option<Extent>,
}

/// What was last in force.
pub(super) struct Last {
    config: Arc<Config>,
    since: Timestamp,
}

/// The files that a reload refused, by their fingerprint.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) fingerprint: String,
    pub(super) at: Timestamp,
    pub(super) error: String,
}

/// What that is called in the state directory.
pub(super) const REFUSED: &str = "refused.json";

/// Reads the files and what is kept, and takes what may be put into force.
///
/// # Errors
///
/// When the files are wrong or refused, and nothing is kept that could go on.
pub(super) fn choose(site: &Site, options: StartOptions) -> Result<Chosen, ApplyError> {
    let (file, state, now) = (&*site.config_file, &site.state, site.clock.now());
    let trial = salvage(
        state,
        confirmation::FILE,
        "a trial that went on is over, and what was confirmed last is in force",
        || state.read::<KeptTrial<Config>>(confirmation::FILE),
    );
    let confirmed = archive(
        state,
        CONFIRMED,
        "the files are compared with nothing, and nothing is there to go back to",
    )
    .map(Arc::new);
    let on_trial = archive(
        state,
        ON_TRIAL,
        "what was on trial is not in force any more",
    );
    let chosen = match trial {
        Some(trial) if !options.force => {
            let trial = KeptState {
                trial,
                confirmed: confirmed.as_deref(),
                on_trial: on_trial.as_ref(),
            };
            trial.go_on(site, now)?
        }
        _ => None,
    };
    match (chosen, confirmed) {
        (Some(chosen), _) => Ok(chosen),
        (None, Some(confirmed)) => held_to(&confirmed, file, state, options, now),
        (None, None) => load(file, now).map(from_files),
    }
}

fn archive(state: &StateDirectory, name: &str, meaning: &str) -> Option<Archive> {
    salvage(state, name, meaning, || Archive::read(state, name))
}

/// Reads the files, in a thread of its own.
///
/// # Errors
///
/// When they are wrong, or a disk does not answer.
pub(super) fn load(file: &Path, now: Timestamp) -> Result<Loaded, ApplyError> {
    let file = file.to_owned();
    let read = apart(move |progress| {
        guarded("reading the configuration", || {
            disk::load_to_enforce(&file, now, progress)
        })
    });
    read??.map_err(ApplyError::Config)
}

/// Whether what is kept is what the files say, as far as the disk can be asked.
fn is_on_disk(archive: &Arc<Archive>) -> bool {
    let archive = Arc::clone(archive);
    let read = apart(move |progress| {
        guarded("reading the configuration", || {
            archive.is_on_disk(&Disk::watched(progress.clone()))
        })
    });
    matches!(read, Ok(Ok(true)))
}

fn load_kept(archive: &Archive, now: Timestamp) -> Result<Loaded, ApplyError> {
    guarded("reading the configuration that was kept", || {
        archive.load(now)
    })?
    .map_err(ApplyError::Config)
}

/// The files as they are, with nothing to hold them to.
fn from_files(loaded: Loaded) -> Chosen {
    Chosen {
        config: loaded.config,
        warnings: loaded.warnings,
        standing: Standing::Confirmed,
        to_keep: Some(loaded.texts),
        is_kept: false,
        last: None,
        extent: None,
    }
}

/// A trial, as an earlier controller has left it.
struct KeptState<'a> {
    trial: KeptTrial<Config>,
    confirmed: Option<&'a Archive>,
    on_trial: Option<&'a Archive>,
}

impl KeptState<'_> {
    /// Goes on with it, or goes back: `None` if there is nothing to go back to.
    fn go_on(self, site: &Site, now: Timestamp) -> Result<Option<Chosen>, ApplyError> {
        let (file, state) = (&*site.config_file, &site.state);
        let KeptTrial {
            deadline,
            rolled_back,
            previous,
        } = self.trial;
        let is_kept = previous.is_none();
        let is_older = previous.is_some() && self.on_trial.is_none();
        let previous = match (previous, self.confirmed) {
            (Some(previous), _) => Arc::new(previous),
            (None, Some(archive)) => match load_kept(archive, now) {
                Ok(loaded) => loaded.config,
                Err(error) => return Ok(unusable(&error)),
            },
            (None, None) => return Ok(None),
        };
        let chosen = |config, warnings, standing| Chosen {
            config,
            warnings,
            standing,
            to_keep: None,
            is_kept,
            last: None,
            extent: None,
        };
        if !rolled_back && deadline > now {
            let tried = match (self.on_trial, is_older) {
                (Some(archive), _) => load_kept(archive, now).ok(),
                // A poolguard that kept no archives began it.
                (None, true) => load(file, now)
                    .inspect(|loaded| keep_on_trial(state, file, loaded, now))
                    .ok(),
                (None, false) => None,
            };
            if let Some(Loaded {
                config, warnings, ..
            }) = tried
            {
                log_trial(deadline);
                let trial = Trial::new(previous, deadline, &site.clock);
                return Ok(Some(chosen(config, warnings, Standing::OnTrial(trial))));
            }
        }
        if let (Some(archive), Ok(loaded)) = (self.confirmed, load(file, now))
            && archive.holds(file, &loaded.texts)
        {
            // The files are what it went back to.
            return Ok(None);
        }
        let kept = KeptTrial {
            deadline,
            rolled_back: true,
            previous: (!is_kept).then_some(&*previous),
        };
        // The clock may be set back before the next start.
        if let Err(error) = state.write(confirmation::FILE, &kept) {
            tracing::error!(
                %error,
                "cannot keep that the configuration was rolled back: another restart goes by the \
                 deadline once more, to the same end"
            );
        }
        warn_of_rollback(file, deadline);
        let standing = Standing::RolledBack(deadline);
        Ok(Some(chosen(previous, Report::default(), standing)))
    }
}

/// Keeps what is on trial, so that it can be confirmed.
fn keep_on_trial(state: &StateDirectory, file: &Path, loaded: &Loaded, now: Timestamp) {
    let prepared = archive::prepare(state, ON_TRIAL, file, &loaded.texts, now);
    if let Err(error) = prepared.and_then(Prepared::commit) {
        tracing::error!(%error, "what is on trial cannot be kept, and so not be confirmed");
    }
}

fn unusable(error: &ApplyError) -> Option<Chosen> {
    tracing::warn!(
        %error,
        "the configuration that was last in force cannot be used any more: the files are compared \
         with nothing"
    );
    None
}

/// The files, where a reload of what was last in force would take them, and else
/// that.
fn held_to(
    confirmed: &Arc<Archive>,
    file: &Path,
    state: &StateDirectory,
    options: StartOptions,
    now: Timestamp,
) -> Result<Chosen, ApplyError> {
    // Both at once, where they will both be needed: a million customers take a while.
    let (loaded, kept) = thread::scope(|scope| {
        let kept = scope.spawn(|| (!is_on_disk(confirmed)).then(|| load_kept(confirmed, now)));
        (load(file, now), joined(kept))
    });
    let loaded = match loaded {
        Ok(loaded) if confirmed.holds(file, &loaded.texts) => {
            return Ok(Chosen {
                to_keep: None,
                is_kept: true,
                ..from_files(loaded)
            });
        }
        loaded => loaded,
    };
    let kept = kept.unwrap_or_else(|| load_kept(confirmed, now));
    let last = match kept {
        Ok(kept) => Last {
            config: kept.config,
            since: confirmed.since(),
        },
        Err(error) => {
            unusable(&error);
            return Ok(from_files(loaded?));
        }
    };
    let judged = loaded.and_then(|loaded| {
        let extent = match options.force {
            true => None,
            false => Some(judge(&last.config, &loaded, file, state, now)?),
        };
        Ok((loaded, extent))
    });
    match judged {
        Ok((loaded, extent)) => Ok(Chosen {
            is_kept: true,
            last: Some(last),
            extent,
            ..from_files(loaded)
        }),
        Err(error) if options.strict => Err(error),
        Err(error) => Ok(last.goes_on(&error)),
    }
}

impl Last {
    /// It is put into force in the place of the files.
    pub(super) fn goes_on(self, error: &ApplyError) -> Chosen {
        Chosen {
            config: self.config,
            warnings: Report::default(),
            standing: Standing::LastGood(LastGood {
                in_force_since: self.since,
                error: error.to_string(),
            }),
            to_keep: None,
            is_kept: true,
            last: None,
            extent: None,
        }
    }
}

/// Whether a reload would put the files into force, and what they change.
fn judge(
    last: &Arc<Config>,
    next: &Loaded,
    file: &Path,
    state: &StateDirectory,
    now: Timestamp,
) -> Result<Extent, ApplyError> {
    let refusal = salvage(
        state,
        REFUSED,
        "a reload that was refused is not remembered",
        || state.read::<Refusal>(REFUSED),
    );
    if let Some(refusal) = refusal
        && refusal.fingerprint == archive::fingerprint(file, &next.texts)
    {
        let Refusal { at, error, .. } = refusal;
        return Err(ApplyError::Refused { at, error });
    }
    let extent = guarded("comparing the configurations", || {
        let [last, next] = [last, &next.config].map(|config| Intent::from(Arc::clone(config)));
        Extent::between(&last, &next, now)
    })?;
    check_limit(extent, last.max_change)?;
    // Interfaces may come later: what counts is what they are called.
    let is_kept = |name: &String| next.config.interfaces.iter().any(|new| new.name == *name);
    let names = last.interfaces.iter().map(|interface| &interface.name);
    let without = names.filter(|name| !is_kept(name)).cloned().collect();
    ApplyError::check_sides(without, last, &next.config)?;
    Ok(extent)
}
