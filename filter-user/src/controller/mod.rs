//! The running controller: what it does on start, on reload, when an exemption
//! expires, and on the way out. Everything here blocks; [`daemon`] puts it
//! under signals, sockets and clocks.

mod archive;
mod backoff;
mod clock;
mod clock_watch;
mod confirmation;
mod control;
mod control_socket;
pub mod daemon;
mod defect;
mod endpoint;
mod error;
mod events;
mod exclusion;
pub mod exemptions;
mod http;
mod interfaces;
mod into_force;
mod keeping;
mod kept;
mod last_use;
mod left;
mod outcome;
mod pulse;
mod reading;
mod refusals;
mod salvage;
mod service_manager;
mod snapshot;
mod start;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use api::{
    answers::{InForce, ReloadOutcome},
    last_use::UseCounts,
    requests::{Candidate, ReloadOptions},
    status::{
        EgressStatus, FamilyCounts, InterfaceStatus, LastGood, MetricsStatus, PoolStatus, Reloads,
        Status, Unconfirmed, WireStatus,
    },
};
use dataplane::{Dataplane, DataplaneError, InterfaceState, Kernel};
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    change::{Change, Extent, check_sides},
    compile::{self, Compiled},
    config::{self, Config, Interface, Loaded, Memory, Report, Severity, Texts},
    intent::Intent,
    listing::some_of,
};

use archive::ON_TRIAL;
pub use backoff::Backoff;
pub use clock::{Clock, Hand};
pub use confirmation::ConfirmError;
use confirmation::{Standing, log_rollback, log_trial};
pub use defect::Defect;
use defect::guarded;
use endpoint::Endpoint;
pub use endpoint::NewListener;
pub use error::ApplyError;
pub use exemptions::ExemptionError;
use exemptions::{KeptExemptions, Over};
use into_force::{Compare, Insists, Wanted};
use kept::Kept;
pub use kept::NotedInForce;
use last_use::LastUses;
pub use left::{Left, controller_process, left_behind};
pub use pulse::Pulse;
pub use reading::{NoAnswer, PATIENCE};
use refusals::Refusals;
pub use snapshot::{Shared, Snapshot};
use start::Chosen;
pub use start::StartOptions;

use crate::{
    log,
    state::{Prepared, StateDirectory, StateError},
};

/// A controller that is enforcing, through the data plane `D`.
#[derive(Debug)]
pub struct Controller<D = Kernel> {
    config_file: PathBuf,
    state: StateDirectory,
    clock: Clock,
    patience: Duration,
    /// All that is in force.
    intent: Intent,
    standing: Standing,
    /// Whether the archive of the confirmed configuration is the one in force, or
    /// the one that comes back after a trial.
    is_kept: bool,
    refusals: Refusals,
    /// The number of the next temporary exemption.
    next_exemption: u64,
    /// For how long temporary exemptions have been over.
    over: Over,
    /// When exemptions were used.
    uses: LastUses,
    /// The moment for which what is in force is in force: whether an exemption holds
    /// depends on the clock.
    as_of: Timestamp,
    /// Where tables in use may decide otherwise than what is in force: an amendment has
    /// begun to change them there, and neither ended nor was taken back.
    half_done: BTreeSet<IpNet>,
    endpoint: Endpoint,
    dataplane: D,
    /// What is noted of what is in force, for whoever asks when this one has died.
    noted: Option<NotedInForce>,
    status: Status,
    shared: Arc<Shared>,
    /// What keeps the program from interfaces that are there, as it was logged.
    failing: BTreeMap<String, String>,
    /// When these are tried again, by the time that passes.
    retries: BTreeMap<String, Retry>,
    /// What somebody removed and cannot be written again, and why.
    unwritten: BTreeMap<&'static str, String>,
    /// The same of wires.
    cut: BTreeMap<String, String>,
    /// Whether it was said that the state directory does not answer.
    is_state_stuck: bool,
    /// Whether something else may be on disk than is in force.
    is_state_behind: bool,
}

/// The files of a configuration, to be read by whoever can wait for a disk.
#[derive(Clone, Debug)]
pub struct ToRead {
    file: PathBuf,
    now: Timestamp,
    patience: Duration,
}

impl ToRead {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// When they are wrong, or a disk does not answer.
    pub fn read(&self) -> Result<Loaded, ApplyError> {
        start::load(&self.file, self.now, self.patience)
    }
}

/// What is in force, to be compared with something else by whoever has the time.
#[derive(Debug)]
pub struct Comparison {
    in_force: Intent,
    /// The interfaces that have the filter, as they are called now.
    filtered: Vec<String>,
    now: Timestamp,
    with: ComparedWith,
}

#[derive(Debug)]
enum ComparedWith {
    Files(ToRead),
    /// What is on no disk that has to answer.
    Candidate(Candidate),
}

impl Comparison {
    /// What a reload would change, or the candidate.
    ///
    /// # Errors
    ///
    /// When there is a mistake in it.
    pub fn make(&self) -> Result<Change, ApplyError> {
        /// More are for nobody to read; a million take 1.5 GB, and nine seconds.
        const EXEMPTIONS: usize = 10_000;
        let loaded = match &self.with {
            ComparedWith::Files(files) => files.read()?,
            ComparedWith::Candidate(candidate) => self.read(candidate)?,
        };
        let new = self.in_force.with_config(loaded.config);
        let change = guarded("comparing the configurations", || {
            Change::in_part(&self.in_force, &new, self.now, EXEMPTIONS)
        });
        let mut change = change?;
        let (old, new) = (&self.in_force.config, &new.config);
        // A reload takes no force for an interface that has no filter, or had another name.
        let is_left = |name: &&String| !new.interfaces.iter().any(|new| new.name == **name);
        let without = self.filtered.iter().filter(is_left).cloned().collect();
        change.sides = check_sides(without, old, new)
            .err()
            .map(|sides| sides.to_string());
        Ok(change)
    }

    fn read(&self, candidate: &Candidate) -> Result<Loaded, ApplyError> {
        let files = candidate.files.iter();
        let files = files.fold(Memory::default(), |files, (path, text)| {
            files.with(path, text.as_bytes())
        });
        let loaded = guarded("reading the configuration", || {
            config::load_from(&files, &candidate.main, self.now)
        })?;
        loaded.map_err(ApplyError::Config)
    }
}

/// When something is tried again that did not work.
#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    at: Duration,
    backoff: Backoff,
}

/// Who asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// A user, by the number that the kernel knows.
    User(u32),
    /// Whoever sent SIGHUP.
    Hangup,
}

impl fmt::Display for AskedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Hangup => f.write_str("SIGHUP"),
        }
    }
}

/// Where a controller finds what it needs.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name of the instance.
    pub instance: String,
    /// The main configuration file.
    pub config_file: PathBuf,
    /// What earlier controllers have kept.
    pub state: StateDirectory,
    /// What time it is.
    pub clock: Clock,
    /// How long one file or directory of the configuration may take.
    pub patience: Duration,
}

impl<D: Dataplane> Controller<D> {
    /// Enforces the configuration of the files, or the one that was last in force
    /// where a reload would refuse them. What an earlier run has left attached goes
    /// on as it is until then, and is taken over.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong and none is kept, or something that a filter
    /// needs is missing. What was attached before still is then; if nothing was,
    /// nothing is, and nothing is left behind.
    pub fn start(
        site: Site,
        open: impl FnOnce() -> Result<D, DataplaneError>,
        options: StartOptions,
    ) -> Result<(Self, NewListener), ApplyError> {
        let now = site.clock.now();
        let file = site.config_file.clone();
        tracing::info!(file = %file.display(), "reading the configuration");
        let refusals = Refusals::read(&site.state);
        let mut chosen = start::choose(&site, options, &refusals)?;
        let temporary = exemptions::at_start(&site.state, now);
        let mut controller = Self::before(site, open()?, &chosen, temporary, refusals)?;
        let found = controller.dataplane.link_count();
        tracing::info!("building the tables and loading the program for each interface");
        let listener = loop {
            let error = match controller.begin(&mut chosen, now) {
                Ok(listener) => break listener,
                Err(error) => error,
            };
            // It may be what the tables or the kernel do not take.
            let instead = chosen.instead.take().filter(|_| !options.strict);
            chosen = match instead.map(|instead| instead(&error)) {
                Some(Ok(chosen)) => chosen,
                Some(Err(_)) | None => {
                    controller.leave_as_found();
                    return Err(error);
                }
            };
        };
        if found > 0 {
            let kept = controller.dataplane.link_count();
            tracing::info!(
                found,
                kept,
                "an earlier run was still attached: taken over, without a gap where it was kept"
            );
        }
        log_report(&chosen.warnings);
        if let Some(extent) = chosen.extent {
            let Extent {
                opened,
                closed,
                gained,
                lost,
                ..
            } = extent;
            tracing::warn!(
                file = %file.display(), %opened, %closed, gained, lost,
                "the files have changed since they were last in force, by no more than a reload may \
                 change: taken"
            );
        }
        exemptions::warn_of_ignored(&controller.intent, controller.as_of);
        controller.log_standing();
        Ok((controller, listener))
    }

    /// One that knows what it is to enforce, and enforces nothing yet.
    fn before(
        site: Site,
        mut dataplane: D,
        chosen: &Chosen,
        temporary: KeptExemptions,
        refusals: Refusals,
    ) -> Result<Self, ApplyError> {
        let Site {
            instance,
            config_file,
            state,
            clock,
            patience,
        } = site;
        let now = clock.now();
        let kept = match kept_or_counted_over(&mut dataplane, now) {
            Ok(kept) => kept,
            Err(error) => {
                leave_as_found(dataplane);
                return Err(error.into());
            }
        };
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("POOLGUARD_REVISION").to_owned(),
            instance,
            config_file: config_file.clone(),
            started: now,
            counting_since: kept.counting_since,
            monitor: false,
            pools: Vec::new(),
            forwarding: String::new(),
            generation: kept.generation,
            generation_since: now,
            config_hash: String::new(),
            reloads: Reloads {
                last_successful: true,
                last_success: now,
                total: kept.reloads,
                failures: kept.reload_failures,
                last_error: None,
            },
            interfaces: Vec::new(),
            attachments: kept.attachments,
            pool_prefixes: FamilyCounts::default(),
            exemptions: FamilyCounts::default(),
            temporary_exemptions: FamilyCounts::default(),
            temporary: Vec::new(),
            exemption_use: UseCounts::default(),
            unconfirmed_until: None,
            roll_back_problem: None,
            rolled_back: None,
            rolled_back_because: None,
            last_good: None,
            unconfirmed: None,
            half_done: Vec::new(),
            metrics: MetricsStatus::default(),
            log_lines_lost: kept.log_lines_lost,
            next_expiry: None,
            tables: Vec::new(),
            passed: Vec::new(),
            denied: Vec::new(),
        };
        let snapshot = Snapshot {
            status: status.clone(),
            readings: dataplane.readings(),
            failing: BTreeMap::new(),
        };
        let config = Arc::clone(&chosen.config);
        Ok(Self {
            config_file,
            uses: LastUses::read(&state, clock.passed()),
            state,
            endpoint: Endpoint::new(config.metrics.listen),
            intent: Intent {
                config,
                temporary: temporary.exemptions,
            },
            standing: chosen.standing.clone(),
            is_kept: chosen.is_kept,
            refusals,
            next_exemption: temporary.next_id,
            over: Over::new(temporary.over, clock.passed()),
            as_of: now,
            half_done: BTreeSet::new(),
            clock,
            patience,
            dataplane,
            noted: kept.in_force,
            status,
            shared: Arc::new(Shared::new(snapshot)),
            failing: BTreeMap::new(),
            retries: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            is_state_stuck: false,
            is_state_behind: false,
            cut: BTreeMap::new(),
        })
    }

    /// Puts into force what a start has chosen.
    fn begin(&mut self, chosen: &mut Chosen, now: Timestamp) -> Result<NewListener, ApplyError> {
        self.is_kept = chosen.is_kept;
        self.standing = chosen.standing.clone();
        let texts = chosen.to_keep.take();
        let fingerprint = texts.as_ref().and_then(|texts| self.fingerprint(texts));
        let wanted = Wanted {
            intent: self.intent.with_config(Arc::clone(&chosen.config)),
            standing: chosen.standing.clone(),
            texts,
            compare: Compare::Not,
            only_in: None,
            insists: Insists::OnTheFilter,
            next_exemption: self.next_exemption,
        };
        let put = guarded("putting into force", || self.put_into_force(wanted, now))?;
        let (_, listener) = put?;
        self.forget_refusal(fingerprint);
        // A trial that an earlier run has left is over.
        match self.standing {
            Standing::Confirmed | Standing::LastGood(_) => {
                self.keep_as_it_stands();
                self.forget_trial();
            }
            Standing::RolledBack { .. } => self.forget_trial(),
            Standing::OnTrial(_) | Standing::Unconfirmed(_) => {}
        }
        Ok(listener)
    }

    /// Takes back what a start has done that failed.
    fn leave_as_found(self) {
        leave_as_found(self.dataplane);
    }

    fn keep_prepared(&mut self, prepared: Result<Prepared, StateError>) {
        let kept = prepared.and_then(Prepared::commit);
        self.is_kept = kept.is_ok();
        if let Err(error) = kept {
            tracing::error!(
                traffic = self.traffic(), %error,
                "the configuration in force cannot be kept, as far as the disk says: the next start \
                 compares the files with whichever is there. Correct this and reload"
            );
        }
        self.forget_trial();
    }

    /// What was on trial is not any more.
    fn forget_trial(&self) {
        if let Err(error) = self.state.remove(ON_TRIAL) {
            tracing::warn!(
                %error,
                "what was on trial stays on disk, and the next start may take it for a trial that \
                 is over"
            );
        }
    }

    /// What tells these files from others, where any were refused.
    fn fingerprint(&self, texts: &Texts) -> Option<String> {
        let are_there = !self.refusals.is_empty();
        are_there.then(|| archive::fingerprint(&self.config_file, texts))
    }

    /// What was refused before is accepted by now.
    fn forget_refusal(&mut self, fingerprint: Option<String>) {
        let forgotten = fingerprint.map(|print| self.refusals.forget(&self.state, &print));
        if let Some(Err(error)) = forgotten {
            tracing::warn!(
                %error,
                "that these files were refused before stays on disk: a start that cannot see that \
                 they were in force may refuse them"
            );
        }
    }

    /// Says whether what is in force is there to stay, and whether it is what the files
    /// say.
    fn log_standing(&self) {
        let file = self.config_file.display();
        match &self.standing {
            Standing::Confirmed => {}
            Standing::OnTrial(trial) => log_trial(trial.deadline),
            Standing::RolledBack { at, why } => log_rollback(&self.config_file, *at, why),
            Standing::LastGood(LastGood {
                in_force_since,
                error,
            }) => tracing::error!(
                %file, %in_force_since, %error,
                "the files are NOT in force, a reload would refuse them: the last good configuration \
                 goes on. Correct them and `poolguard reload`"
            ),
            Standing::Unconfirmed(Unconfirmed { since, error }) => tracing::error!(
                %file, %since, %error,
                "UNCONFIRMED: what is in force could be compared with nothing, and there is nothing \
                 to go back to. Look at it, then `poolguard confirm`, or `poolguard reload` another \
                 one"
            ),
        }
    }

    /// All that is in force.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// All that is in force with what it is called, and what time it is.
    pub fn in_force(&self) -> (Intent, InForce, Timestamp) {
        let standing = match &self.standing {
            Standing::Confirmed => None,
            Standing::OnTrial(trial) => Some(format!("on trial until {}", trial.deadline)),
            Standing::RolledBack { at, why } => Some(format!("it came back at {at}: {why}")),
            Standing::LastGood(_) => {
                Some("it is the last good configuration: the file was refused".to_owned())
            }
            Standing::Unconfirmed(_) => Some("it waits for `poolguard confirm`".to_owned()),
        };
        let in_force = InForce {
            generation: self.status.generation,
            since: self.status.generation_since,
            config_file: self.config_file.clone(),
            standing,
            temporary: self.intent.temporary.clone(),
        };
        (self.intent.clone(), in_force, self.clock.now())
    }

    /// What scrapes and `status` read.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Where frames are decided and where they are not, for the log.
    fn traffic(&self) -> String {
        self.shared.latest().traffic()
    }

    /// When the next exemption ends, and the tables have to change.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.status.next_expiry
    }

    /// Reads the configuration again and puts it into force, or leaves
    /// everything as it is.
    ///
    /// `asked_by`: who asked for it, for the log.
    pub fn reload(
        &mut self,
        options: ReloadOptions,
        asked_by: AskedBy,
    ) -> (ReloadOutcome, NewListener) {
        let read = self.begin_reload(options).and_then(|files| files.read());
        self.finish_reload(options, asked_by, read)
    }

    /// What has to be read for a reload, by whoever can wait for it.
    ///
    /// # Errors
    ///
    /// When it would be refused whatever the files say.
    pub fn begin_reload(&self, options: ReloadOptions) -> Result<ToRead, ApplyError> {
        if let (Standing::OnTrial(trial), false) = (&self.standing, options.force) {
            let deadline = trial.deadline;
            return Err(ApplyError::Unconfirmed { deadline });
        }
        Ok(self.to_read())
    }

    fn to_read(&self) -> ToRead {
        ToRead {
            file: self.config_file.clone(),
            now: self.clock.now(),
            patience: self.patience,
        }
    }

    /// Puts what was read into force, or leaves everything as it is.
    ///
    /// `asked_by`: who asked for it, for the log.
    pub fn finish_reload(
        &mut self,
        options: ReloadOptions,
        asked_by: AskedBy,
        read: Result<Loaded, ApplyError>,
    ) -> (ReloadOutcome, NewListener) {
        let before = self.status.reloads.clone();
        let total = before.total + 1;
        // As it will be if it succeeds: said together with what comes into force.
        self.status.reloads = Reloads {
            last_successful: true,
            last_success: self.clock.now(),
            last_error: None,
            total,
            ..before
        };
        let outcome = read.and_then(|loaded| {
            guarded("putting into force", || self.try_reload(options, loaded))
                .map_err(ApplyError::from)
                .flatten()
        });
        let generation = self.status.generation;
        match outcome {
            Ok((warnings, extent, listener)) => {
                let Extent {
                    opened,
                    closed,
                    gained,
                    lost,
                    ..
                } = &extent;
                tracing::info!(
                    generation, by = %asked_by, forced = options.force, %opened, %closed,
                    gained, lost,
                    "reloaded: the new configuration is in force"
                );
                let outcome = outcome::success(generation, extent.to_string(), &warnings);
                (outcome, listener)
            }
            Err(error) => {
                self.status.reloads = Reloads {
                    last_successful: false,
                    last_error: Some(error.to_string()),
                    total,
                    failures: before.failures + 1,
                    ..before
                };
                (self.refuse_reload(options, asked_by, &error), None)
            }
        }
    }

    /// What is said of a reload that was refused.
    pub(super) fn refusal(&self, error: &ApplyError) -> ReloadOutcome {
        outcome::refusal(self.status.generation, error)
    }

    /// Takes note that a reload was refused, and says why.
    fn refuse_reload(
        &mut self,
        options: ReloadOptions,
        asked_by: AskedBy,
        error: &ApplyError,
    ) -> ReloadOutcome {
        self.publish();
        self.log_wires();
        if let ApplyError::Config(report) = error {
            log_report(report);
        }
        tracing::error!(
            traffic = self.traffic(), by = %asked_by, forced = options.force, %error,
            "reload refused, everything is as it was: correct this and reload"
        );
        self.refusal(error)
    }

    fn try_reload(
        &mut self,
        options: ReloadOptions,
        loaded: Loaded,
    ) -> Result<(Report, Extent, NewListener), ApplyError> {
        // Much may have happened while the files were read.
        let _again = self.begin_reload(options)?;
        let now = self.clock.now();
        let Loaded {
            config,
            warnings,
            texts,
        } = loaded;
        let intent = self.intent.with_config(config);
        log_report(&warnings);
        exemptions::warn_of_ignored(&intent, now);
        let wanted = Wanted {
            intent,
            standing: self.next_standing(options.confirm, now)?,
            texts: Some(texts.clone()),
            compare: match options.force {
                true => Compare::ToSay,
                false => Compare::ToJudge,
            },
            only_in: None,
            insists: Insists::OnAll,
            next_exemption: self.next_exemption,
        };
        let put = self.put_into_force(wanted, now);
        let (extent, listener) =
            put.inspect_err(|error| self.remember_refusal(&texts, error, now))?;
        let fingerprint = self.fingerprint(&texts);
        self.forget_refusal(fingerprint);
        if let Standing::OnTrial(trial) = &self.standing {
            log_trial(trial.deadline);
        }
        Ok((warnings, extent.unwrap_or_default(), listener))
    }

    /// Keeps that these files were refused, for a start that would take them. What was
    /// wrong with something else may have passed by then.
    fn remember_refusal(&mut self, texts: &Texts, error: &ApplyError, now: Timestamp) {
        if !error.is_of_the_files() {
            return;
        }
        let fingerprint = archive::fingerprint(&self.config_file, texts);
        let error = error.to_string();
        if let Err(error) = self.refusals.add(&self.state, fingerprint, now, error) {
            tracing::warn!(
                %error,
                "the refusal cannot be kept: a start compares the files with what was last in force, \
                 and takes them if they do not change too much"
            );
        }
    }

    /// What is in force, and the files that a reload would read.
    pub fn comparison(&self) -> Comparison {
        self.compared_with(ComparedWith::Files(self.to_read()))
    }

    /// What is in force, and another configuration than that of the files.
    pub fn comparison_with(&self, candidate: Candidate) -> Comparison {
        self.compared_with(ComparedWith::Candidate(candidate))
    }

    fn compared_with(&self, with: ComparedWith) -> Comparison {
        let readings = self.dataplane.readings();
        let filtered = |interface: &Interface| match readings.standing(&interface.name) {
            InterfaceState::Attached | InterfaceState::Outdated => Some(interface.name.clone()),
            InterfaceState::Renamed(name) => Some(name),
            InterfaceState::Misplaced { kept, .. } => kept,
            InterfaceState::Missing | InterfaceState::Unattached => None,
        };
        let interfaces = &self.intent.config.interfaces;
        Comparison {
            filtered: interfaces.iter().filter_map(filtered).collect(),
            in_force: self.intent.clone(),
            now: self.clock.now(),
            with,
        }
    }

    /// The moment for which what is in force is in force.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Whether the tables do not have what they should: the clock has passed the end of an
    /// exemption since, or went back, or a change is half done.
    pub fn is_behind(&self) -> bool {
        self.is_behind_the_clock() || !self.half_done.is_empty()
    }

    /// Whether the clock has passed the end of an exemption since, or went back.
    pub fn is_behind_the_clock(&self) -> bool {
        let now = self.clock.now();
        now < self.as_of || self.next_expiry().is_some_and(|due| due <= now)
    }

    /// Puts what is in force into force as it holds now, as a whole: without the exemptions
    /// that have expired, with those that have not, should the clock have gone back, and
    /// wherever a change is half done.
    ///
    /// # Errors
    ///
    /// When the tables could not be changed; everything is as it was, or half done.
    pub fn catch_up(&mut self) -> Result<(), ApplyError> {
        let now = self.clock.now();
        let (names, mut changed) = self.turned(now);
        changed.extend(self.temporary_turned(now));
        if changed.is_empty() && self.half_done.is_empty() {
            self.as_of = now;
            return Ok(());
        }
        let went_back = now < self.as_of;
        let wanted = Wanted {
            only_in: Some(changed),
            insists: Insists::OnTheFilter,
            ..self.as_it_is()
        };
        let _unmoved = self.put_into_force(wanted, now)?;
        match (names.is_empty(), went_back) {
            (true, _) => {}
            (false, false) => {
                tracing::info!(customers = ?names, "exemptions have expired and no longer exempt");
            }
            (false, true) => tracing::warn!(
                customers = ?names,
                "the clock went back to before the end of exemptions, which exempt again"
            ),
        }
        Ok(())
    }

    /// The customers whose exemptions hold at one of two moments only, that of what is in
    /// force and `now`, and their prefixes.
    fn turned(&self, now: Timestamp) -> (Vec<String>, Vec<IpNet>) {
        if !self.is_behind_the_clock() {
            return Default::default();
        }
        let held = self.intent.config.held_prefixes().filter(|(_, holder)| {
            let terms = holder.terms;
            terms.is_expired(now) != terms.is_expired(self.as_of)
        });
        let (prefixes, names): (Vec<_>, Vec<_>) =
            held.map(|(prefix, holder)| (prefix, holder.name)).unzip();
        (some_of(names), prefixes)
    }

    /// The prefixes of the temporary exemptions of which the same is true.
    fn temporary_turned(&self, now: Timestamp) -> impl Iterator<Item = IpNet> {
        let turned = self
            .intent
            .temporary
            .iter()
            .filter(move |e| e.is_expired(now) != e.is_expired(self.as_of));
        turned.map(|e| e.prefix)
    }

    /// Goes by the clock as it was set: a trial ends as much later as was said when it
    /// began, also for the next controller.
    pub fn clock_was_set(&mut self) {
        let Standing::OnTrial(trial) = &mut self.standing else {
            return;
        };
        if trial.go_by(&self.clock) {
            let deadline = trial.deadline;
            tracing::info!(%deadline, "the clock was set: the trial lasts as long as it would have");
            self.keep_as_it_stands();
            self.publish();
        }
    }

    /// What is in force.
    fn as_it_is(&self) -> Wanted {
        Wanted {
            intent: self.intent.clone(),
            standing: self.standing.clone(),
            texts: None,
            compare: Compare::Not,
            only_in: None,
            insists: Insists::OnAll,
            next_exemption: self.next_exemption,
        }
    }

    /// What the next controller has to know.
    fn kept(&self) -> Kept {
        Kept {
            counting_since: self.status.counting_since,
            generation: self.status.generation,
            reloads: self.status.reloads.total,
            reload_failures: self.status.reloads.failures,
            attachments: self.status.attachments.clone(),
            log_lines_lost: self.status.log_lines_lost + log::lines_lost(),
            in_force: self.noted.clone(),
        }
    }

    /// Attaches to interfaces that have come (back), and takes notice of those
    /// that have gone. Says whether the kernel could be asked.
    pub fn reconcile(&mut self) -> bool {
        let now = self.clock.passed();
        let waiting = self.retries.iter().filter(|(_, retry)| retry.at > now);
        let waiting: BTreeSet<_> = waiting.map(|(name, _)| name.clone()).collect();
        let events = match self.dataplane.reconcile(&waiting) {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(
                    traffic = self.traffic(), %error,
                    "interfaces that come are not attached to. Tried again in some seconds"
                );
                return false;
            }
        };
        let (before, is_news) = (self.failing.clone(), !events.is_empty());
        let failed_before = self.note_events(&events, &waiting);
        if is_news || self.failing != before {
            self.publish();
        }
        self.log_events(&events, &failed_before);
        self.log_wires();
        true
    }

    /// Serves the metrics where they are to be, if that was not possible before.
    pub fn retry_metrics(&mut self) -> NewListener {
        let listener = self.endpoint.retry();
        if listener.is_some() {
            self.publish();
        }
        listener
    }

    /// Takes note of what was put into force.
    fn note(&mut self, compiled: &Compiled) {
        // Of interfaces whose counters are gone.
        let dataplane = &self.dataplane;
        let attachments = &mut self.status.attachments;
        attachments.retain(|interface, _| dataplane.counts(interface));
        self.status.monitor = compiled.settings.monitor;
        self.status.forwarding = forwarding(compiled).to_owned();
        self.status.interfaces = interfaces(compiled);
        self.note_loaded(&compiled.loaded);
    }

    fn note_loaded(&mut self, loaded: &compile::PrefixCounts) {
        self.status.generation += 1;
        self.status.generation_since = self.clock.now();
        self.status.pool_prefixes = loaded.pool_prefixes.into();
        self.status.exemptions = loaded.exemptions.into();
        self.status.temporary_exemptions = loaded.temporary.into();
        self.status.next_expiry = loaded.next_expiry;
    }

    /// Lets scrapes and `status` see how things are.
    fn publish(&mut self) {
        let ports = self.dataplane.in_use().map(|in_use| &**in_use.ports);
        let listed = exemptions::listed(&self.intent, self.as_of, ports);
        self.status.temporary = self.with_uses(listed);
        self.status.exemption_use = self.use_counts();
        self.status.config_hash.clone_from(&self.intent.config.hash);
        self.status.pools = pools(&self.intent.config);
        self.noted = Some(NotedInForce::of(&self.status));
        let status = &mut self.status;
        (status.unconfirmed_until, status.rolled_back) = (None, None);
        (status.last_good, status.unconfirmed) = (None, None);
        status.rolled_back_because = None;
        if !matches!(self.standing, Standing::OnTrial(_)) {
            status.roll_back_problem = None;
        }
        match &self.standing {
            Standing::Confirmed => {}
            Standing::OnTrial(trial) => status.unconfirmed_until = Some(trial.deadline),
            Standing::RolledBack { at, why } => {
                status.rolled_back = Some(*at);
                status.rolled_back_because = Some(why.clone());
            }
            Standing::LastGood(last) => status.last_good = Some(last.clone()),
            Standing::Unconfirmed(unconfirmed) => {
                status.unconfirmed = Some(unconfirmed.clone());
            }
        }
        status.half_done = self.half_done.iter().copied().collect();
        status.metrics = MetricsStatus {
            listen: Some(self.intent.config.metrics.listen),
            problem: self.endpoint.problem().map(str::to_owned),
        };
        self.shared.publish(Snapshot {
            status: self.status.clone(),
            readings: self.dataplane.readings(),
            failing: self.failing.clone(),
        });
        if let Err(error) = self.kept().write(&mut self.dataplane) {
            tracing::error!(
                %error,
                "cannot save the state for a restart: counters start over then. The \
                 filter goes on. Noted again with the next change"
            );
        }
    }

    /// Ends a trial that goes on, for good: what was on trial counts as refused. For
    /// whoever takes the filter off after it.
    ///
    /// # Errors
    ///
    /// When that cannot be kept. The next start goes on with the trial, or back.
    pub fn give_up_trial(&self) -> Result<(), StateError> {
        match self.standing {
            Standing::OnTrial(_) => confirmation::give_up(&self.state, self.clock.now()),
            _ => Ok(()),
        }
    }

    /// Detaches from every interface and removes every pin. A controller that is
    /// dropped instead leaves the filter to go on by itself.
    ///
    /// # Errors
    ///
    /// When a pin cannot be removed.
    pub fn detach(self) -> Result<(), DataplaneError> {
        self.dataplane.detach()
    }
}

/// What the controller before this one has left. A defect that keeps it from being read
/// keeps no filter off.
fn kept_or_counted_over<D: Dataplane>(
    dataplane: &mut D,
    now: Timestamp,
) -> Result<Kept, DataplaneError> {
    guarded("reading what was counted", || Kept::read(dataplane, now)).unwrap_or_else(|error| {
        tracing::error!(
            %error,
            "what an earlier run has counted cannot be gone on with: counting starts over. What is \
             attached goes on filtering"
        );
        dataplane.forget_counters()?;
        Ok(Kept::new(now))
    })
}

/// Takes back what a start has done that failed.
fn leave_as_found<D: Dataplane>(dataplane: D) {
    if !dataplane.is_new() {
        return;
    }
    if let Err(error) = dataplane.detach() {
        tracing::error!(
            %error,
            "cannot take everything back: pins are left, which the next start takes over"
        );
    }
}

/// The interfaces that are to be attached; whether they are is looked up by
/// whoever asks.
fn interfaces(compiled: &Compiled) -> Vec<InterfaceStatus> {
    compiled
        .interfaces
        .iter()
        .map(|interface| InterfaceStatus {
            name: interface.name.clone(),
            role: interface.ingress.role.name().to_owned(),
            mode: interface.attach.name().to_owned(),
            attached: false,
            outdated: false,
            problem: None,
            wire: interface.peer.clone().map(|peer| WireStatus {
                peer,
                up: false,
                problem: None,
            }),
            egress: Some(EgressStatus {
                configured: interface.egress.name().to_owned(),
                way: None,
                behind: false,
            }),
        })
        .collect()
}

fn pools(config: &Config) -> Vec<PoolStatus> {
    let pools = config.pools.iter().map(|pool| PoolStatus {
        name: pool.name.clone(),
        monitored: config.monitor || pool.monitor,
    });
    pools.collect()
}

/// As the configuration writes it.
fn forwarding(compiled: &Compiled) -> &'static str {
    let mut interfaces = compiled.interfaces.iter();
    match interfaces.any(|interface| interface.peer.is_some()) {
        true => "wire",
        false => "kernel",
    }
}

fn log_report(report: &Report) {
    for diagnostic in report.diagnostics() {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}
