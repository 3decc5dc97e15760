//! The running controller: what it does on start, on reload, when an exemption
//! expires, and on the way out. Everything here blocks; [`daemon`] puts it
//! under signals, sockets and clocks.

mod confirmation;
mod control;
pub mod daemon;
pub mod exemptions;
mod http;
mod interfaces;
mod kept;
mod outcome;
mod snapshot;

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use confirmation::Standing;
pub use confirmation::{ConfirmError, Confirmed};
pub use exemptions::{ExemptionError, NewExemption};
use kept::Kept;
pub use outcome::{DiffOutcome, ReloadOutcome};
pub use snapshot::{Shared, Snapshot};

use crate::{
    change::{Change, Extent, TooMuch, check_limit},
    compile::{self, CompileError, Compiled, amend, compile},
    config::{self, Config, Interface, Loaded, Report, Severity},
    dataplane::{Dataplane, DataplaneError, Event, FlowMemory, Instance},
    listing::some_of,
    remedy::remedy,
    state::{StateDirectory, StateError},
    status::{InterfaceStatus, Reloads, Status, WireStatus},
};

/// Why a configuration was not put into force. The one before it still is.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It is wrong; the report says where.
    #[error("the configuration is wrong: {}", .0.summary())]
    Config(Report),
    /// It does not fit the tables.
    #[error("the configuration does not fit: {0}")]
    Compile(#[from] CompileError),
    /// The kernel would not have it.
    #[error(transparent)]
    Dataplane(#[from] DataplaneError),
    /// What was kept on disk makes no sense.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another one is on trial.
    #[error(
        "what is in force is on trial until {deadline}: `poolguard confirm` it, or wait until it \
         has gone back. `poolguard reload --force` goes on from it all the same"
    )]
    Unconfirmed {
        /// When it goes back.
        deadline: Timestamp,
    },
    /// No clock goes that far.
    #[error("a trial of {time:#} has no end")]
    TrialTooLong {
        /// How long it was to last.
        time: SignedDuration,
    },
    /// It would leave interfaces without the filter, or under other rules, or
    /// forward elsewhere: a slip in a name or a role does, or in a wire.
    #[error(
        "{what}. If that is meant: `poolguard reload --force`",
        what = leaves(.without, .otherwise, .elsewhere)
    )]
    Leaves {
        /// Those that have the program, and would not.
        without: Vec<String>,
        /// Those whose role would change.
        otherwise: Vec<String>,
        /// Those whose permitted frames would go elsewhere.
        elsewhere: Vec<String>,
    },
    /// It changes more at once than it may.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// The metrics cannot be served where it says.
    #[error(
        "cannot listen on {address} for [metrics]: {source}: {}",
        remedy(source)
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// A controller that is enforcing.
#[derive(Debug)]
pub struct Controller {
    config_file: PathBuf,
    state: StateDirectory,
    config: Config,
    standing: Standing,
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

/// A listener that serves from now on in the place of the one before it.
pub type NewListener = Option<TcpListener>;

impl Controller {
    /// Reads the configuration and enforces it. What an earlier run has left
    /// attached goes on as it is until then, and is taken over.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong or something that a filter needs is
    /// missing. What was attached before still is then; if nothing was, nothing
    /// is, and nothing is left behind.
    pub fn start(
        config_file: &Path,
        instance: &Instance,
        state: StateDirectory,
    ) -> Result<(Self, TcpListener), ApplyError> {
        let now = Timestamp::now();
        tracing::info!(file = %config_file.display(), "reading the configuration");
        // What is kept there opens ports, and may be a whole configuration.
        let doubts = config::doubts(&state.files(), Severity::Error);
        if !doubts.is_empty() {
            return Err(ApplyError::Config(doubts));
        }
        let confirmation::Start {
            config,
            warnings,
            standing,
        } = confirmation::start(config_file, &state, now)?;
        log_report(&warnings);
        exemptions::warn_of_ignored(&config);
        let mut dataplane = Dataplane::open(instance)?;
        let found = dataplane.links().len();
        tracing::info!("building the tables and loading the program for each interface");
        let begun = Begun::begin(&mut dataplane, &config, now);
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) if dataplane.is_new() => {
                if let Err(error) = dataplane.detach() {
                    tracing::error!(
                        %error,
                        "cannot take everything back: pins are left, which the next start takes over"
                    );
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        if found > 0 {
            let kept = dataplane.links().len();
            tracing::info!(
                found,
                kept,
                "an earlier run was still enforcing: taken over, without a gap where it was kept"
            );
        }
        let Begun {
            kept,
            compiled,
            flows,
            listener,
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
            flows: Arc::clone(&flows),
        };
        let mut controller = Self {
            config_file: config_file.to_owned(),
            state,
            config,
            standing,
            dataplane,
            flows,
            status,
            shared: Arc::new(Shared::new(snapshot)),
            failing: BTreeMap::new(),
            cut: BTreeMap::new(),
        };
        controller.note(&compiled);
        controller.publish();
        controller.log_wires();
        Ok((controller, listener))
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
        let (compiled, extent) = thread::scope(|scope| {
            let extent = || Extent::between(&self.config, &loaded.config, now);
            // Beside the tables: with a million exemptions both take a while.
            let extent = (!options.force).then(|| scope.spawn(extent));
            let compiled = compile(&loaded.config, now);
            (compiled, extent.map(thread::ScopedJoinHandle::join))
        });
        let compiled = compiled?;
        if let Some(extent) = extent {
            let extent = extent.unwrap_or_else(|panic| resume_unwind(panic));
            // Not the new one's limit: a mistake could be in there as well.
            check_limit(extent, self.config.max_change)?;
            self.check_interfaces(&loaded.config, &compiled)?;
        }
        let listener = if loaded.config.metrics == self.config.metrics {
            None
        } else {
            Some(listen(loaded.config.metrics.listen)?)
        };
        let standing = self.next_standing(options.confirm, now)?;
        // First, so that a crash at any moment leaves a way back.
        self.keep(&standing)?;
        if let Err(error) = self.enforce(&compiled) {
            self.keep_as_it_stands();
            return Err(error.into());
        }
        if let Standing::OnTrial(trial) = &standing {
            confirmation::log_trial(trial.deadline);
        }
        self.standing = standing;
        self.config = loaded.config;
        Ok((compiled, loaded.warnings, listener))
    }

    /// That no interface loses the filter, or changes sides, or is joined to
    /// another one.
    fn check_interfaces(&self, next: &Config, compiled: &Compiled) -> Result<(), ApplyError> {
        let without = self.dataplane.would_leave(&compiled.interfaces)?;
        let is_otherwise = |now: &&Interface| {
            let mut next = next.interfaces.iter();
            next.any(|next| next.name == now.name && next.role != now.role)
        };
        let otherwise = self.config.interfaces.iter().filter(is_otherwise);
        let otherwise: Vec<_> = otherwise.map(|now| now.name.clone()).collect();
        let goes_elsewhere = |now: &&Interface| {
            let is_kept = next.interfaces.iter().any(|next| next.name == now.name);
            is_kept && self.config.other_end(&now.name) != next.other_end(&now.name)
        };
        let elsewhere = self.config.interfaces.iter().filter(goes_elsewhere);
        let elsewhere: Vec<_> = elsewhere.map(|now| now.name.clone()).collect();
        if without.is_empty() && otherwise.is_empty() && elsewhere.is_empty() {
            return Ok(());
        }
        Err(ApplyError::Leaves {
            without,
            otherwise,
            elsewhere,
        })
    }

    /// The configuration as it is on disk, with what was given beside it.
    fn load(&self, now: Timestamp) -> Result<Loaded, ApplyError> {
        let mut loaded =
            config::load_to_enforce(&self.config_file, now).map_err(ApplyError::Config)?;
        loaded.config.temporary = exemptions::holding(&self.state, now)?;
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
        Ok(Change::in_part(old, new, now, EXEMPTIONS))
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
        let compiled = compile(&self.config, now)?;
        self.enforce(&compiled)?;
        self.note(&compiled);
        Ok(())
    }

    fn amend(&mut self, prefixes: &[IpNet], now: Timestamp) -> Result<compile::Loaded, ApplyError> {
        let policies = self.dataplane.policies();
        let policies = policies.ok_or(DataplaneError::NoProgram)?;
        let amendment = amend(&self.config, prefixes, policies, now)?;
        self.dataplane.amend(&amendment)?;
        Ok(amendment.loaded)
    }

    fn enforce(&mut self, compiled: &Compiled) -> Result<(), DataplaneError> {
        let generation = self.dataplane.load(compiled)?;
        // Before the first frame is counted in it.
        self.kept().write(&mut self.dataplane)?;
        self.dataplane.enforce(generation)
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
        if events.is_empty() {
            self.failing.clear();
            self.log_wires();
            return true;
        }
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
        self.publish();
        self.log_wires();
        true
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
        (self.status.unconfirmed_until, self.status.rolled_back) = match &self.standing {
            Standing::Confirmed => (None, None),
            Standing::OnTrial(trial) => (Some(trial.deadline), None),
            Standing::RolledBack(at) => (None, Some(*at)),
        };
        self.shared.publish(Snapshot {
            status: self.status.clone(),
            books: self.dataplane.books().clone(),
            tables: self.dataplane.tables(),
            links: self.dataplane.links().clone(),
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
    listener: TcpListener,
}

impl Begun {
    fn begin(
        dataplane: &mut Dataplane,
        config: &Config,
        now: Timestamp,
    ) -> Result<Self, ApplyError> {
        let kept = Kept::read(dataplane, now)?;
        let compiled = compile(config, now)?;
        let listener = listen(config.metrics.listen)?;
        let generation = dataplane.load(&compiled)?;
        // Before the first frame is counted in it.
        kept.write(dataplane)?;
        let flows = Arc::new(dataplane.flows()?);
        dataplane.enforce(generation)?;
        Ok(Self {
            kept,
            compiled,
            flows,
            listener,
        })
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

fn listen(address: SocketAddr) -> Result<TcpListener, ApplyError> {
    let error = |source| ApplyError::Listen { address, source };
    let listener = match TcpListener::bind(address) {
        // Before the network is up nobody has an address: that is when the filter
        // starts.
        Err(refusal) if refusal.kind() == io::ErrorKind::AddrNotAvailable => {
            tracing::warn!(
                %address,
                "no interface has the address of [metrics] yet: /metrics answers as soon as one \
                 has. The filter does not wait for it (`ip address`)"
            );
            bind_ahead(address).map_err(error)?
        }
        bound => bound.map_err(error)?,
    };
    listener.set_nonblocking(true).map_err(error)?;
    Ok(listener)
}

/// Listens on an address that nobody has yet (`IP_FREEBIND`).
fn bind_ahead(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
    }
    bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// As many connections wait as with `TcpListener::bind`.
const BACKLOG: i32 = 128;

/// What a reload would do to interfaces that it should leave alone.
fn leaves(without: &[String], otherwise: &[String], elsewhere: &[String]) -> String {
    let mut text = Vec::new();
    if !without.is_empty() {
        text.push(format!(
            "it would take the filter off {}",
            without.join(", ")
        ));
    }
    if !otherwise.is_empty() {
        text.push(format!(
            "it would change the role of {}",
            otherwise.join(", ")
        ));
    }
    if !elsewhere.is_empty() {
        text.push(format!(
            "it would forward elsewhere what {} permits (forwarding, [[wire]])",
            elsewhere.join(", ")
        ));
    }
    text.join(", and ")
}

fn log_report(report: &Report) {
    for diagnostic in report.diagnostics() {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}
