//! Which configuration a start puts into force.
//!
//! A start is held to what a reload is held to. The files are compared with the
//! configuration that was last in force, and what a reload would refuse a start
//! does not put into force either: the last one that was then goes on. So neither
//! a crash nor an upgrade nor a reboot makes anything live that was refused, that was
//! on trial only, or that nobody has looked at.

use std::{path::Path, sync::Arc, thread, time::Duration};

use api::status::{LastGood, Unconfirmed};
use jiff::Timestamp;
use policy::{
    change::{Extent, check_limit, check_sides, left_out},
    config::{Config, Loaded, Report, Texts},
    intent::Intent,
};

use super::{
    ApplyError, Site, Standing,
    archive::{self, Archive, CONFIRMED, ON_TRIAL},
    confirmation::{self, KeptTrial, NOT_IN_TIME, Trial},
    defect::guarded,
    reading::apart,
    refusals::Refusals,
    salvage::{Left, salvage, set_aside},
};
use crate::{
    disk::{self, Disk},
    state::StateDirectory,
    threads,
};

/// How a start is to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Takes the files, however much they change, and ends a trial.
    pub force: bool,
    /// Refuses where otherwise something else than the files would be enforced, or
    /// files that nothing could be compared with.
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
    /// How much the files change of what was last in force.
    pub(super) extent: Option<Extent>,
    /// What comes into force in its place, should the kernel not take this.
    pub(super) instead: Option<Instead>,
}

/// Told why the other one could not be.
type Instead = Box<dyn FnOnce(&ApplyError) -> Result<Chosen, ApplyError>>;

/// Why the files cannot be compared with what was in force.
const MEANS_UNCOMPARED: &str =
    "the files are compared with nothing, and nothing is there to go back to";

/// Reads the files and what is kept, and takes what may be put into force.
///
/// # Errors
///
/// When the files are wrong or refused, and nothing is kept that could go on.
pub(super) fn choose(
    site: &Site,
    options: StartOptions,
    refusals: &Refusals,
) -> Result<Chosen, ApplyError> {
    let start = Start {
        file: &site.config_file,
        site,
        options,
        refusals,
        now: site.clock.now(),
    };
    start.choose()
}

/// Reads the files, in a thread of its own.
///
/// # Errors
///
/// When they are wrong, or a disk does not answer.
pub(super) fn load(file: &Path, now: Timestamp, patience: Duration) -> Result<Loaded, ApplyError> {
    let file = file.to_owned();
    let read = apart(patience, move |progress| {
        guarded("reading the configuration", || {
            disk::load_to_enforce(&file, now, progress)
        })
    });
    read??.map_err(ApplyError::Config)
}

/// Whether what is kept is what the files say, as far as the disk can be asked.
fn is_on_disk(archive: &Arc<Archive>, patience: Duration) -> bool {
    let archive = Arc::clone(archive);
    let read = apart(patience, move |progress| {
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

/// All that a choice depends on, but for what is kept.
struct Start<'a> {
    site: &'a Site,
    file: &'a Path,
    options: StartOptions,
    refusals: &'a Refusals,
    now: Timestamp,
}

impl Start<'_> {
    fn choose(&self) -> Result<Chosen, ApplyError> {
        let state = &self.site.state;
        let trial = salvage(
            state,
            confirmation::FILE,
            "until when something was on trial is not known, and so the trial is over",
            || state.read::<KeptTrial<Config>>(confirmation::FILE),
        );
        let confirmed = archive(state, CONFIRMED, MEANS_UNCOMPARED);
        let on_trial = archive(state, ON_TRIAL, "what was on trial cannot go on");
        let is_trial = !trial.is_nothing() || !on_trial.is_nothing();
        if is_trial
            && !self.options.force
            && let Some(chosen) = self.after_trial(trial, &confirmed, on_trial)?
        {
            return Ok(chosen);
        }
        match confirmed {
            Left::Whole(confirmed) => self.held_to(&Arc::new(confirmed)),
            Left::Unusable(_) | Left::Nothing if self.options.force => Ok(from_files(self.load()?)),
            Left::Unusable(why) => self.uncompared(why),
            Left::Nothing if state.is_set_aside(CONFIRMED) => self.uncompared(was_set_aside()),
            Left::Nothing => self.first(),
        }
    }

    fn load(&self) -> Result<Loaded, ApplyError> {
        load(self.file, self.now, self.site.patience)
    }

    /// The files, where nothing was ever in force before.
    fn first(&self) -> Result<Chosen, ApplyError> {
        let loaded = self.load_unrefused()?;
        let message = "no configuration is kept that was in force before: the files are compared \
                       with nothing, and taken as they are";
        match self.site.state.exists() {
            false => tracing::info!("{message}"),
            true => tracing::warn!("{message}"),
        }
        Ok(from_files(loaded))
    }

    /// The files, where something was in force before and nobody knows what.
    fn uncompared(&self, why: String) -> Result<Chosen, ApplyError> {
        let loaded = self.load_unrefused()?;
        self.unconfirmed(loaded, self.now, why)
    }

    /// What nobody has confirmed, in force until somebody does.
    fn unconfirmed(
        &self,
        loaded: Loaded,
        since: Timestamp,
        why: String,
    ) -> Result<Chosen, ApplyError> {
        if self.options.strict {
            return Err(ApplyError::Uncompared { why });
        }
        let unconfirmed = Unconfirmed { since, error: why };
        Ok(Chosen {
            standing: Standing::Unconfirmed(unconfirmed),
            ..from_files(loaded)
        })
    }

    fn load_unrefused(&self) -> Result<Loaded, ApplyError> {
        let loaded = self.load()?;
        self.check_unrefused(&loaded)?;
        Ok(loaded)
    }

    fn check_unrefused(&self, loaded: &Loaded) -> Result<(), ApplyError> {
        if self.refusals.is_empty() {
            return Ok(());
        }
        let fingerprint = archive::fingerprint(self.file, &loaded.texts);
        self.refusals.check(&fingerprint)
    }

    /// Goes on with a trial that an earlier controller has left, or goes back: `None`
    /// if the files are what it went back to.
    fn after_trial(
        &self,
        trial: Left<KeptTrial<Config>>,
        confirmed: &Left<Archive>,
        on_trial: Left<Archive>,
    ) -> Result<Option<Chosen>, ApplyError> {
        let (trial, recorded) = match trial {
            Left::Whole(mut trial) => {
                let previous = trial.previous.take();
                (Ok(trial), previous.map(Arc::new))
            }
            Left::Unusable(why) => (Err(why), None),
            Left::Nothing => (Err(missing(confirmation::FILE)), None),
        };
        let is_kept = recorded.is_none();
        let previous = match recorded {
            Some(previous) => Ok(previous),
            None => self.confirmed(confirmed),
        };
        let previous = match previous {
            Ok(previous) => previous,
            Err(why) => return self.with_nothing_before(on_trial, confirmed, why).map(Some),
        };
        let going_back = GoingBack {
            previous,
            is_kept,
            at: trial.as_ref().map_or(self.now, |trial| trial.deadline),
        };
        let why = match trial {
            Err(why) => format!("until when it was on trial is not known ({why})"),
            Ok(KeptTrial {
                rolled_back: true,
                why,
                ..
            }) => why.unwrap_or_else(|| NOT_IN_TIME.to_owned()),
            Ok(trial) if trial.deadline <= self.now => NOT_IN_TIME.to_owned(),
            Ok(trial) => match self.tried(on_trial) {
                Ok(tried) => return Ok(Some(self.go_on(tried, trial.deadline, going_back))),
                Err(why) => format!("what was on trial is lost ({why})"),
            },
        };
        if let (true, Left::Whole(archive), Ok(loaded)) = (is_kept, confirmed, self.load())
            && archive.holds(self.file, &loaded.texts)
        {
            return Ok(None);
        }
        let mut chosen = going_back.chosen(&self.site.state, why.clone());
        if let (false, Left::Whole(confirmed)) = (is_kept, confirmed) {
            // What came before what comes back.
            let (state, now) = (self.site.state.clone(), self.now);
            let (confirmed, at) = (confirmed.clone(), going_back.at);
            chosen.instead = Some(Box::new(move |error| {
                let going_back = GoingBack {
                    previous: load_kept(&confirmed, now)?.config,
                    is_kept: true,
                    at,
                };
                let why = format!("{why}, and what was in force before cannot be: {error}");
                Ok(going_back.chosen(&state, why))
            }));
        }
        Ok(Some(chosen))
    }

    /// The configuration that is kept as confirmed, or why there is none.
    fn confirmed(&self, confirmed: &Left<Archive>) -> Result<Arc<Config>, String> {
        match confirmed {
            Left::Whole(archive) => match load_kept(archive, self.now) {
                Ok(loaded) => Ok(loaded.config),
                Err(error) => Err(error.to_string()),
            },
            Left::Unusable(why) => Err(why.clone()),
            Left::Nothing if self.site.state.is_set_aside(CONFIRMED) => Err(was_set_aside()),
            Left::Nothing => Err(missing(CONFIRMED)),
        }
    }

    fn tried(&self, on_trial: Left<Archive>) -> Result<Loaded, String> {
        match on_trial {
            Left::Whole(archive) => {
                load_kept(&archive, self.now).map_err(|error| error.to_string())
            }
            Left::Unusable(why) => Err(why),
            Left::Nothing => Err(missing(ON_TRIAL)),
        }
    }

    fn go_on(&self, tried: Loaded, deadline: Timestamp, going_back: GoingBack) -> Chosen {
        let trial = Trial::new(Arc::clone(&going_back.previous), deadline, &self.site.clock);
        let state = self.site.state.clone();
        Chosen {
            standing: Standing::OnTrial(trial),
            to_keep: None,
            is_kept: going_back.is_kept,
            instead: Some(Box::new(move |error| {
                let why = format!("what was on trial cannot be put into force ({error})");
                Ok(going_back.chosen(&state, why))
            })),
            ..from_files(tried)
        }
    }

    /// What was on trial, if that is all there is, or else the files.
    fn with_nothing_before(
        &self,
        on_trial: Left<Archive>,
        confirmed: &Left<Archive>,
        why: String,
    ) -> Result<Chosen, ApplyError> {
        let since = match &on_trial {
            Left::Whole(archive) => archive.since(),
            _ => self.now,
        };
        let chosen = match self.tried(on_trial) {
            Ok(tried) => Chosen {
                to_keep: None,
                ..self.unconfirmed(tried, since, why.clone())?
            },
            Err(_) => self.uncompared(why.clone())?,
        };
        if let Left::Whole(_) = confirmed {
            set_aside(&self.site.state, CONFIRMED, &why, MEANS_UNCOMPARED);
        }
        Ok(chosen)
    }

    /// The files, where a reload of what was last in force would take them, and else
    /// that.
    fn held_to(&self, confirmed: &Arc<Archive>) -> Result<Chosen, ApplyError> {
        let (file, now, patience) = (self.file, self.now, self.site.patience);
        // Both at once, where they will both be needed: a million customers take a while.
        let (loaded, kept) = thread::scope(|scope| {
            let kept = threads::begin_in(scope, || {
                (!is_on_disk(confirmed, patience)).then(|| load_kept(confirmed, now))
            });
            (self.load(), kept.join())
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
            Err(error) => return self.without_last(loaded, &error),
        };
        let judged = loaded.and_then(|loaded| {
            let extent = match self.options.force {
                true => None,
                false => Some(self.judge(&last.config, &loaded)?),
            };
            Ok((loaded, extent))
        });
        match judged {
            Ok((loaded, extent)) => Ok(Chosen {
                is_kept: true,
                extent,
                instead: Some(Box::new(|error| Ok(last.goes_on(error)))),
                ..from_files(loaded)
            }),
            Err(error) if self.options.strict => Err(error),
            Err(error) => Ok(last.goes_on(&error)),
        }
    }

    /// The files, where this poolguard does not take what another one kept.
    fn without_last(
        &self,
        loaded: Result<Loaded, ApplyError>,
        error: &ApplyError,
    ) -> Result<Chosen, ApplyError> {
        let why = format!("{}: {error}", self.site.state.file(CONFIRMED).display());
        let loaded = loaded.inspect_err(|_| {
            // It stays where it is, for the poolguard that takes it.
            tracing::error!(
                error = %why,
                "what was last in force cannot go on in the place of the files"
            );
        })?;
        let chosen = match self.options.force {
            true => from_files(loaded),
            false => {
                self.check_unrefused(&loaded)?;
                self.unconfirmed(loaded, self.now, why.clone())?
            }
        };
        set_aside(&self.site.state, CONFIRMED, &why, MEANS_UNCOMPARED);
        Ok(chosen)
    }

    /// Whether a reload would put the files into force, and what they change.
    fn judge(&self, last: &Arc<Config>, next: &Loaded) -> Result<Extent, ApplyError> {
        self.check_unrefused(next)?;
        let extent = guarded("comparing the configurations", || {
            let [last, next] = [last, &next.config].map(|config| Intent::from(Arc::clone(config)));
            Extent::between(&last, &next, self.now)
        })?;
        check_limit(&extent, last.max_change)?;
        // Interfaces may come later: what counts is what they are called.
        check_sides(left_out(last, &next.config), last, &next.config)?;
        Ok(extent)
    }
}

fn archive(state: &StateDirectory, name: &str, meaning: &str) -> Left<Archive> {
    salvage(state, name, meaning, || Archive::read(state, name))
}

fn missing(name: &str) -> String {
    format!("{name} is missing")
}

fn was_set_aside() -> String {
    format!("{CONFIRMED} could not be used and was set aside")
}

/// The files as they are, with nothing to hold them to.
fn from_files(loaded: Loaded) -> Chosen {
    Chosen {
        config: loaded.config,
        warnings: loaded.warnings,
        standing: Standing::Confirmed,
        to_keep: Some(loaded.texts),
        is_kept: false,
        extent: None,
        instead: None,
    }
}

/// What a trial goes back to.
struct GoingBack {
    previous: Arc<Config>,
    is_kept: bool,
    at: Timestamp,
}

impl GoingBack {
    /// Keeps that it went back, and why: the clock may be set back before the next
    /// start.
    fn chosen(&self, state: &StateDirectory, why: String) -> Chosen {
        let kept = KeptTrial {
            deadline: self.at,
            rolled_back: true,
            why: Some(why.clone()),
            previous: (!self.is_kept).then_some(&*self.previous),
        };
        if let Err(error) = state.write(confirmation::FILE, &kept) {
            tracing::error!(
                %error,
                "cannot keep that the configuration was rolled back: another restart goes by what \
                 is on disk once more"
            );
        }
        Chosen {
            config: Arc::clone(&self.previous),
            warnings: Report::default(),
            standing: Standing::RolledBack { at: self.at, why },
            to_keep: None,
            is_kept: self.is_kept,
            extent: None,
            instead: None,
        }
    }
}

/// What was last in force.
struct Last {
    config: Arc<Config>,
    since: Timestamp,
}

impl Last {
    /// It is put into force in the place of the files.
    fn goes_on(self, error: &ApplyError) -> Chosen {
        Chosen {
            config: self.config,
            warnings: Report::default(),
            standing: Standing::LastGood(LastGood {
                in_force_since: self.since,
                error: error.to_string(),
            }),
            to_keep: None,
            is_kept: true,
            extent: None,
            instead: None,
        }
    }
}
