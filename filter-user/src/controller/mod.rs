//! The running controller: what it does on start, on reload, when an exemption
//! expires, and on the way out. Everything here blocks; [`daemon`] puts it
//! under signals, sockets and clocks.

mod archive;
mod confirmation;
mod control;
pub mod daemon;
mod defect;
mod endpoint;
mod error;
pub mod exemptions;
mod http;
mod interfaces;
mod kept;
mod outcome;
mod salvage;
mod snapshot;
mod start;

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use archive::{CONFIRMED, ON_TRIAL};
use confirmation::Standing;
pub use confirmation::{ConfirmError, Confirmed};
pub use defect::Defect;
use defect::guarded;
use endpoint::Endpoint;
pub use endpoint::NewListener;
pub use error::ApplyError;
pub use exemptions::{ExemptionError, NewExemption};
use kept::Kept;
pub use outcome::{DiffOutcome, ReloadOutcome};
pub use snapshot::{Shared, Snapshot};
pub use start::StartOptions;
use start::{Chosen, REFUSED, Refusal};

use crate::{
    change::{Change, Extent, check_limit},
    compile::{self, Compiled, amend, compile},
    config::{self, Config, Loaded, Report, Severity, Texts},
    dataplane::{Dataplane, DataplaneError, Demand, Event, Events, FlowMemory, Instance},
    listing::some_of,
    state::{Prepared, StateDirectory, StateError},
    status::{InterfaceStatus, LastGood, MetricsStatus, Reloads, Status, WireStatus},
};

/// A controller that is enforcing.
#[derive(Debug)]
pub struct Controller {
    config_file: PathBuf,
    state: StateDirectory,
    config: Config,
    standing: Standing,
    /// Whether the archive of the confirmed configuration is the one in force, or
    /// the one that comes back after a trial.
    is_kept: bool,
    /// The number of the next temporary exemption.
    next_exemption: u64,
    endpoint: Endpoint,
    dataplane: Dataplane,
    flows: Arc<FlowMemory>,
    status: Status,
    shared: Arc<Shared>,
    /// What keeps the program from interfaces that are there, as it was logged.
    failing: BTreeMap<String, String>,
    /// The same of wires.
    cut: BTreeMap<String, String>,
}

/// How a reload is to go about it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ReloadOptions {
    /// However much it changes, and also while another one is on trial.
    pub force: bool,
    /// On trial: for that long, unless it is confirmed.
    pub confirm: Option<SignedDuration>,
}

impl Controller {
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
        config_file: &Path,
        instance: &Instance,
        state: StateDirectory,
        options: StartOptions,
    ) -> Result<(Self, NewListener), ApplyError> {
        let now = Timestamp::now();
        tracing::info!(file = %config_file.display(), "reading the configuration");
        let mut chosen = start::choose(config_file, &state, options, now)?;
        let temporary = exemptions::at_start(&state, now);
        let mut dataplane = Dataplane::open(instance)?;
        let found = dataplane.links().len();
        tracing::info!("building the tables and loading the program for each interface");
        let begun = loop {
            chosen.config.temporary.clone_from(&temporary.exemptions);
            match (
                Begun::begin(&mut dataplane, &chosen.config, now),
                chosen.last.take(),
            ) {
                (Ok(begun), _) => break begun,
                // The files may be what the kernel does not take.
                (Err(error), Some(last)) if !options.strict => chosen = last.goes_on(&error),
                (Err(error), _) => {
                    leave_as_found(dataplane);
                    return Err(error);
                }
            }
        };
        if found > 0 {
            let kept = dataplane.links().len();
            tracing::info!(
                found,
                kept,
                "an earlier run was still enforcing: taken over, without a gap where it was kept"
            );
        }
        let Chosen {
            config,
            warnings,
            standing,
            to_keep,
            is_kept,
            extent,
            ..
        } = chosen;
        log_report(&warnings);
        if let Some(Extent { opened, closed, .. }) = extent {
            tracing::warn!(
                file = %config_file.display(), %opened, %closed,
                "the files have changed since they were last in force, by no more than a reload may \
                 change: taken"
            );
        }
        exemptions::warn_of_ignored(&config);
        let (endpoint, listener) = Endpoint::open(config.metrics.listen);
        let Begun {
            kept,
            compiled,
            flows,
            events,
        } = begun;
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("POOLGUARD_REVISION").to_owned(),
            instance: instance.name().to_owned(),
            config_file: config_file.to_owned(),
            started: now,
            counting_since: kept.counting_since,
            monitor: false,
            forwarding: String::new(),
            generation: kept.generation,
            generation_since: now,
            reloads: Reloads {
                last_successful: true,
                last_success: now,
                total: kept.reloads,
                failures: kept.reload_failures,
            },
            interfaces: Vec::new(),
            attachments: kept.attachments,
            pool_prefixes: compiled.loaded.pool_prefixes.into(),
            exemptions: compiled.loaded.exemptions.into(),
            temporary_exemptions: compiled.loaded.temporary.into(),
            temporary: Vec::new(),
            unconfirmed_until: None,
            rolled_back: None,
            last_good: None,
            metrics: MetricsStatus::default(),
            next_expiry: None,
            tables: Vec::new(),
            passed: Vec::new(),
            denied: Vec::new(),
        };
        let snapshot = Snapshot {
            status: status.clone(),
            books: dataplane.books().clone(),
            tables: Vec::new(),
            links: dataplane.links().clone(),
            failing: BTreeMap::new(),
            flows: Arc::clone(&flows),
        };
        let mut controller = Self {
            config_file: config_file.to_owned(),
            state,
            config,
            standing,
            is_kept,
            next_exemption: temporary.next_id,
            endpoint,
            dataplane,
            flows,
            status,
            shared: Arc::new(Shared::new(snapshot)),
            failing: BTreeMap::new(),
            cut: BTreeMap::new(),
        };
        controller.note(&compiled);
        controller.log_events(events);
        controller.publish();
        controller.log_standing();
        if let Some(texts) = to_keep {
            controller.keep_files(&texts, now);
        }
        if matches!(
            controller.standing,
            Standing::Confirmed | Standing::LastGood(_)
        ) {
            // A trial that an earlier run has left is over.
            controller.keep_as_it_stands();
            controller.forget_trial();
        }
        controller.log_wires();
        Ok((controller, listener))
    }

    /// Keeps the configuration of the files, which is in force and stays so.
    fn keep_files(&mut self, texts: &Texts, now: Timestamp) {
        let prepared = archive::prepare(&self.state, CONFIRMED, &self.config_file, texts, now);
        self.keep_prepared(prepared);
    }

    fn keep_prepared(&mut self, prepared: Result<Prepared, StateError>) {
        let kept = prepared.and_then(Prepared::commit);
        self.is_kept = kept.is_ok();
        if let Err(error) = kept {
            tracing::error!(
                traffic = self.traffic(), %error,
                "the configuration in force cannot be kept: the next start compares the files with \
                 the one that was kept before. Correct this and reload"
            );
        }
        self.forget_trial();
        self.forget_refusal();
    }

    /// What was on trial is not any more.
    fn forget_trial(&self) {
        self.forget(ON_TRIAL);
    }

    fn forget_refusal(&self) {
        self.forget(REFUSED);
    }

    fn forget(&self, name: &str) {
        if let Err(error) = self.state.remove(name) {
            tracing::warn!(%error, "what is over stays on disk, where it does no harm");
        }
    }

    /// Says that the files are not what is in force, if that is so.
    fn log_standing(&self) {
        if let Standing::LastGood(LastGood {
            in_force_since,
            error,
        }) = &self.standing
        {
            tracing::error!(
                file = %self.config_file.display(), %in_force_since, %error,
                "the files are NOT in force, a reload would refuse them: the last good configuration \
                 goes on. Correct them and `poolguard reload`"
            );
        }
    }

    /// What scrapes and `status` read.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Where frames are decided and where they are not, for the log.
    fn traffic(&self) -> String {
        self.shared.latest().traffic()
    }

    /// When the tables in force are to be made anew.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.status.next_expiry
    }

    /// Reads the configuration again and puts it into force, or leaves
    /// everything as it is.
    pub fn reload(&mut self, options: ReloadOptions) -> (ReloadOutcome, NewListener) {
        self.status.reloads.total += 1;
        let outcome = self.try_reload(options);
        self.status.reloads.last_successful = outcome.is_ok();
        if outcome.is_ok() {
            self.status.reloads.last_success = Timestamp::now();
        } else {
            self.status.reloads.failures += 1;
        }
        let generation = self.status.generation + u64::from(outcome.is_ok());
        let (outcome, compiled, listener) = match outcome {
            Ok((compiled, warnings, listener)) => {
                tracing::info!(generation, "reloaded: the new configuration is in force");
                let outcome = ReloadOutcome::success(generation, &warnings);
                (outcome, Some(compiled), listener)
            }
            Err(error) => {
                if let ApplyError::Config(report) = &error {
                    log_report(report);
                }
                tracing::error!(
                    traffic = self.traffic(), %error,
                    "reload refused, everything is as it was: mend this and reload"
                );
                (ReloadOutcome::refusal(generation, &error), None, None)
            }
        };
        if let Some(compiled) = &compiled {
            self.note(compiled);
        }
        self.publish();
        self.log_wires();
        (outcome, listener)
    }

    fn try_reload(
        &mut self,
        options: ReloadOptions,
    ) -> Result<(Compiled, Report, NewListener), ApplyError> {
        let now = Timestamp::now();
        if let (Standing::OnTrial(trial), false) = (&self.standing, options.force) {
            let deadline = trial.deadline;
            return Err(ApplyError::Unconfirmed { deadline });
        }
        let loaded = self.load(now)?;
        log_report(&loaded.warnings);
        exemptions::warn_of_ignored(&loaded.config);
        let texts = loaded.texts.clone();
        self.put_into_force(loaded, options, now)
            .inspect_err(|error| self.remember_refusal(&texts, error, now))
    }

    fn put_into_force(
        &mut self,
        loaded: Loaded,
        options: ReloadOptions,
        now: Timestamp,
    ) -> Result<(Compiled, Report, NewListener), ApplyError> {
        let archive_name = match options.confirm {
            Some(_) => ON_TRIAL,
            None => CONFIRMED,
        };
        let (compiled, extent, prepared) = thread::scope(|scope| {
            // Beside the tables: with a million exemptions each takes a while.
            let extent = || {
                guarded("comparing the configurations", || {
                    Extent::between(&self.config, &loaded.config, now)
                })
            };
            let extent = (!options.force).then(|| scope.spawn(extent));
            let (state, main, texts) = (&self.state, &self.config_file, &loaded.texts);
            let prepared = scope.spawn(|| {
                guarded("keeping the configuration", || {
                    archive::prepare(state, archive_name, main, texts, now)
                })
            });
            let compiled = guarded("compiling", || compile(&loaded.config, now));
            (compiled, extent.map(joined), joined(prepared))
        });
        let (compiled, prepared) = (compiled??, prepared?);
        if let Some(extent) = extent {
            // Not the new one's limit: a mistake could be in there as well.
            check_limit(extent?, self.config.max_change)?;
            let without = self.dataplane.would_leave(&compiled.interfaces)?;
            ApplyError::check_sides(without, &self.config, &loaded.config)?;
        }
        let listen = loaded.config.metrics.listen;
        let endpoint = self.endpoint.prepare(listen)?;
        let standing = self.next_standing(options.confirm, now)?;
        // What is on trial has to be there after a crash. What stays is kept if it can be.
        let prepared = match standing {
            Standing::OnTrial(_) => Ok(prepared?),
            _ => prepared,
        };
        // First, so that a crash at any moment leaves a way back.
        self.keep(&standing)?;
        let events = match self.enforce(&compiled, Demand::All) {
            Ok(events) => events,
            Err(error) => {
                self.keep_as_it_stands();
                return Err(error.into());
            }
        };
        self.standing = standing;
        self.config = loaded.config;
        if let Standing::OnTrial(trial) = &self.standing {
            confirmation::log_trial(trial.deadline);
            if let Err(error) = prepared.and_then(Prepared::commit) {
                tracing::error!(
                    %error, "what is on trial cannot be kept: a restart goes back before the time"
                );
            }
        } else {
            self.keep_prepared(prepared);
        }
        self.end_exemptions(now);
        self.log_events(events);
        let listener = self.endpoint.commit(listen, endpoint);
        Ok((compiled, loaded.warnings, listener))
    }

    /// Keeps that these files were refused, for a start that would take them.
    fn remember_refusal(&self, texts: &Texts, error: &ApplyError, now: Timestamp) {
        let refusal = Refusal {
            fingerprint: archive::fingerprint(&self.config_file, texts),
            at: now,
            error: error.to_string(),
        };
        if let Err(error) = self.state.write(REFUSED, &refusal) {
            tracing::warn!(
                %error,
                "the refusal cannot be kept: a start compares the files with what was last in force, \
                 and takes them if they do not change too much"
            );
        }
    }

    /// The configuration as it is on disk, with what was given beside it.
    fn load(&self, now: Timestamp) -> Result<Loaded, ApplyError> {
        let mut loaded = guarded("reading the configuration", || {
            config::load_to_enforce(&self.config_file, now)
        })?
        .map_err(ApplyError::Config)?;
        loaded.config.temporary.clone_from(&self.config.temporary);
        Ok(loaded)
    }

    /// What a reload would change.
    ///
    /// # Errors
    ///
    /// When it would be refused for a mistake.
    pub fn diff(&self) -> Result<Change, ApplyError> {
        /// More are for nobody to read; a million take 1.5 GB, and nine seconds of
        /// a controller who has something else to do.
        const EXEMPTIONS: usize = 10_000;
        let now = Timestamp::now();
        let loaded = self.load(now)?;
        let (old, new) = (&self.config, &loaded.config);
        let change = guarded("comparing the configurations", || {
            Change::in_part(old, new, now, EXEMPTIONS)
        });
        Ok(change?)
    }

    /// Puts the configuration in force as it holds now: without the exemptions
    /// that have expired.
    ///
    /// # Errors
    ///
    /// When the tables could not be changed; the exemptions still exempt.
    pub fn expire(&mut self) -> Result<(), ApplyError> {
        let now = Timestamp::now();
        // Not since the tables were put into force: loading them takes a while.
        let due = self.status.next_expiry;
        let ended = self.config.held_prefixes().filter(|(_, holder)| {
            let terms = holder.terms;
            terms.is_expired(now) && terms.expires >= due
        });
        let (prefixes, names): (Vec<_>, Vec<_>) =
            ended.map(|(prefix, holder)| (prefix, holder.name)).unzip();
        let lent = self.config.temporary.iter().filter(|e| e.is_expired(now));
        let changed: Vec<_> = lent.map(|e| e.prefix).chain(prefixes).collect();
        let names = some_of(names);
        self.enforce_changes(&changed, now)?;
        if !names.is_empty() {
            tracing::info!(customers = ?names, "exemptions have expired and no longer exempt");
        }
        self.end_exemptions(now);
        self.publish();
        Ok(())
    }

    /// Puts the configuration at hand into force, which is another than before
    /// in these prefixes alone: in the tables in use, where they are few and
    /// there is room, and else in new ones.
    fn enforce_changes(&mut self, prefixes: &[IpNet], now: Timestamp) -> Result<(), ApplyError> {
        /// A new generation takes as long as some thousand of them, and the
        /// kernel more than half a second to verify the program.
        const FEW: usize = 256;
        if prefixes.len() <= FEW {
            match self.amend(prefixes, now) {
                Ok(loaded) => {
                    self.note_loaded(&loaded);
                    return Ok(());
                }
                Err(error) => tracing::info!(%error, "new tables take the place of those in use"),
            }
        }
        let compiled = guarded("compiling", || compile(&self.config, now))??;
        let events = self.enforce(&compiled, Demand::All)?;
        self.note(&compiled);
        self.log_events(events);
        Ok(())
    }

    fn amend(&mut self, prefixes: &[IpNet], now: Timestamp) -> Result<compile::Loaded, ApplyError> {
        let policies = self.dataplane.policies();
        let policies = policies.ok_or(DataplaneError::NoProgram)?;
        let amendment = guarded("compiling", || amend(&self.config, prefixes, policies, now))??;
        self.dataplane.amend(&amendment)?;
        Ok(amendment.loaded)
    }

    fn enforce(&mut self, compiled: &Compiled, demand: Demand) -> Result<Events, DataplaneError> {
        let generation = self.kept().load(&mut self.dataplane, compiled)?;
        self.dataplane.enforce(generation, demand)
    }

    /// What the next controller has to know.
    fn kept(&self) -> Kept {
        Kept {
            counting_since: self.status.counting_since,
            generation: self.status.generation,
            reloads: self.status.reloads.total,
            reload_failures: self.status.reloads.failures,
            attachments: self.status.attachments.clone(),
        }
    }

    /// Attaches to interfaces that have come (back), and takes notice of those
    /// that have gone. Says whether the kernel could be asked.
    pub fn reconcile(&mut self) -> bool {
        let events = match self.dataplane.reconcile() {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(
                    traffic = self.traffic(), %error,
                    "interfaces that come are not attached to. Tried again in some seconds"
                );
                return false;
            }
        };
        let is_news = !events.is_empty() || !self.failing.is_empty();
        self.log_events(events);
        if is_news {
            self.publish();
        }
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

    fn log_events(&mut self, events: Events) {
        let failed_before = std::mem::take(&mut self.failing);
        for (interface, event) in events {
            match event {
                Event::Attached => {
                    tracing::info!(%interface, "the interface is there: enforcing on it");
                    *self.status.attachments.entry(interface).or_default() += 1;
                }
                Event::Lost => tracing::warn!(
                    %interface,
                    "the interface or its link is gone, NOT ENFORCING there: attached again as soon \
                     as it is back (`ip link show`)"
                ),
                Event::Failed(error) => {
                    let text = error.to_string();
                    if failed_before.get(&interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the interface cannot be attached to as configured, NOT ENFORCING \
                             there unless by an earlier configuration. Tried again every few seconds"
                        );
                    }
                    self.failing.insert(interface, text);
                }
                Event::Unpinned(error) => {
                    let text = error.to_string();
                    if failed_before.get(&interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the pin of the link is gone and cannot be made anew: enforcing here, but \
                             only for as long as this process runs. Do not stop it; tried again every \
                             few seconds"
                        );
                    }
                    self.failing.insert(interface, text);
                }
                Event::Unfit(error) => {
                    let text = error.to_string();
                    if failed_before.get(&interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the end of a wire is not as a wire needs it: enforcing here, but frames \
                             may be lost. Tried again every few seconds"
                        );
                    }
                    self.failing.insert(interface, text);
                }
            }
        }
    }

    /// Says what has become of the wires since this was last asked.
    fn log_wires(&mut self) {
        let mut before = std::mem::take(&mut self.cut);
        for status in self.shared.latest().interfaces() {
            let (interface, Some(wire)) = (status.name, status.wire) else {
                continue;
            };
            let (peer, was_cut) = (wire.peer, before.remove(&interface));
            match wire.problem {
                None if was_cut.is_some() => {
                    tracing::info!(%interface, %peer, "the wire forwards again");
                }
                None => {}
                Some(problem) => {
                    if was_cut.as_ref() != Some(&problem) {
                        tracing::warn!(
                            %interface, %peer,
                            "what is permitted here is NOT FORWARDED, or not all of it: {problem}"
                        );
                    }
                    self.cut.insert(interface, problem);
                }
            }
        }
    }

    /// Looks once more after what is left to itself, and says how that stands.
    pub fn leave(&mut self) {
        self.reconcile();
        let traffic = self.traffic();
        let unpinned = self.dataplane.unpinned();
        if matches!(self.standing, Standing::OnTrial(_)) {
            tracing::warn!(
                "stopped while a configuration is on trial: it goes back with the next start, not before"
            );
        }
        if !unpinned.is_empty() {
            tracing::error!(
                interfaces = ?unpinned,
                "stopped, and the filter ENDS here with this process, for want of pins: start again"
            );
        } else if self.dataplane.links().is_empty() {
            tracing::warn!("stopped, and nothing is enforced: no interface has the filter");
        } else {
            tracing::info!(
                traffic,
                "stopped, and STILL ENFORCING: the filter goes on by itself until the next start. \
                 `poolguard detach` takes it off"
            );
        }
    }

    /// Takes note of what was put into force.
    fn note(&mut self, compiled: &Compiled) {
        // Of interfaces whose counters are gone.
        let books = self.dataplane.books();
        let attachments = &mut self.status.attachments;
        attachments.retain(|interface, _| books.has_interface(interface));
        self.status.monitor = compiled.settings.monitor;
        self.status.forwarding = forwarding(compiled).to_owned();
        self.status.interfaces = interfaces(compiled);
        self.note_loaded(&compiled.loaded);
    }

    fn note_loaded(&mut self, loaded: &compile::Loaded) {
        self.status.generation += 1;
        self.status.generation_since = Timestamp::now();
        self.status.pool_prefixes = loaded.pool_prefixes.into();
        self.status.exemptions = loaded.exemptions.into();
        self.status.temporary_exemptions = loaded.temporary.into();
        self.status.next_expiry = loaded.next_expiry;
    }

    /// Lets scrapes and `status` see how things are.
    fn publish(&mut self) {
        self.status.temporary = exemptions::listed(&self.config);
        let status = &mut self.status;
        (
            status.unconfirmed_until,
            status.rolled_back,
            status.last_good,
        ) = match &self.standing {
            Standing::Confirmed => (None, None, None),
            Standing::OnTrial(trial) => (Some(trial.deadline), None, None),
            Standing::RolledBack(at) => (None, Some(*at), None),
            Standing::LastGood(last) => (None, None, Some(last.clone())),
        };
        status.metrics = MetricsStatus {
            listen: Some(self.config.metrics.listen),
            problem: self.endpoint.problem().map(str::to_owned),
        };
        self.shared.publish(Snapshot {
            status: self.status.clone(),
            books: self.dataplane.books().clone(),
            tables: self.dataplane.tables(),
            links: self.dataplane.links().clone(),
            failing: self.failing.clone(),
            flows: Arc::clone(&self.flows),
        });
        if let Err(error) = self.kept().write(&mut self.dataplane) {
            tracing::error!(
                %error,
                "cannot note the state for after a restart, with which counters begin anew. The \
                 filter goes on. Noted again with the next change"
            );
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

/// A controller half-way through its start.
struct Begun {
    kept: Kept,
    compiled: Compiled,
    flows: Arc<FlowMemory>,
    events: Events,
}

impl Begun {
    fn begin(
        dataplane: &mut Dataplane,
        config: &Config,
        now: Timestamp,
    ) -> Result<Self, ApplyError> {
        let kept = Kept::read(dataplane, now)?;
        let compiled = guarded("compiling", || compile(config, now))??;
        let generation = kept.load(dataplane, &compiled)?;
        let flows = Arc::new(dataplane.flows()?);
        let events = dataplane.enforce(generation, Demand::WhatCan)?;
        Ok(Self {
            kept,
            compiled,
            flows,
            events,
        })
    }
}

/// Takes back what a start has done that failed.
fn leave_as_found(dataplane: Dataplane) {
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

/// What a thread has done. Those that may panic are guarded.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The interfaces that are to be attached; whether they are is looked up by
/// whoever asks.
fn interfaces(compiled: &Compiled) -> Vec<InterfaceStatus> {
    compiled
        .interfaces
        .iter()
        .map(|interface| InterfaceStatus {
            name: interface.name.clone(),
            role: interface.role.name().to_owned(),
            mode: interface.attach.name().to_owned(),
            attached: false,
            problem: None,
            wire: interface.peer.clone().map(|peer| WireStatus {
                peer,
                up: false,
                problem: None,
            }),
        })
        .collect()
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
