//! The running controller: what it does on start, on reload, when an exemption
//! expires, and on the way out. Everything here blocks; [`daemon`] puts it
//! under signals, sockets and clocks.

mod control;
pub mod daemon;
pub mod exemptions;
mod http;
mod outcome;
mod snapshot;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use exemptions::{ExemptionError, NewExemption};
pub use outcome::{DiffOutcome, ReloadOutcome};
pub use snapshot::{KernelState, Shared, Snapshot};

use crate::{
    change::{Change, TooMuch, check_limit},
    compile::{CompileError, Compiled, Slots, compile},
    config::{self, Config, Loaded, Report, Severity},
    dataplane::{Dataplane, DataplaneError, Instance},
    state::{StateDirectory, StateError},
    status::{InterfaceStatus, Reloads, Status},
};

/// Why a configuration was not put into force. The one before it still is.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It is wrong; the report says where.
    #[error("the configuration is wrong")]
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
    /// It changes more at once than it may.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// The metrics cannot be served where it says.
    #[error("cannot listen on {address} for [metrics]: {source}")]
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
    slots: Slots,
    dataplane: Dataplane,
    kernel: Arc<KernelState>,
    status: Status,
    shared: Arc<Shared>,
}

/// How a reload is to go about it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ReloadOptions {
    /// However much it changes.
    pub force: bool,
}

/// A listener that serves from now on in the place of the one before it.
pub type NewListener = Option<TcpListener>;

impl Controller {
    /// Reads the configuration and enforces it.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong or something that a filter needs is
    /// missing. Nothing is attached then, and nothing left behind.
    pub fn start(
        config_file: &Path,
        instance: &Instance,
        state: StateDirectory,
    ) -> Result<(Self, TcpListener), ApplyError> {
        let now = Timestamp::now();
        let mut loaded = config::load(config_file, now).map_err(ApplyError::Config)?;
        log_report(&loaded.warnings);
        loaded.config.temporary = exemptions::at_start(&state, now)?;
        exemptions::warn_of_ignored(&loaded.config);
        let mut slots = Slots::default();
        let compiled = compile(&loaded.config, &mut slots, now)?;
        let listener = listen(loaded.config.metrics.listen)?;
        let mut dataplane = Dataplane::open(instance)?;
        let kernel = match bring_up(&mut dataplane, &compiled) {
            Ok(kernel) => Arc::new(kernel),
            Err(error) => {
                if let Err(error) = dataplane.detach() {
                    tracing::error!(%error, "cannot take everything back");
                }
                return Err(error.into());
            }
        };
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("POOLGUARD_REVISION").to_owned(),
            instance: instance.name().to_owned(),
            config_file: config_file.to_owned(),
            started: now,
            monitor: false,
            generation: 0,
            generation_since: now,
            reloads: Reloads {
                last_successful: true,
                last_success: now,
                total: 0,
                failures: 0,
            },
            interfaces: Vec::new(),
            pool_prefixes: compiled.loaded.pool_prefixes.into(),
            exemptions: compiled.loaded.exemptions.into(),
            temporary_exemptions: compiled.loaded.temporary.into(),
            temporary: Vec::new(),
            next_expiry: None,
            tables: Vec::new(),
            passed: Vec::new(),
            denied: Vec::new(),
        };
        let snapshot = Snapshot {
            status: status.clone(),
            slots: slots.clone(),
            tables: Vec::new(),
            attached: BTreeMap::new(),
            kernel: Arc::clone(&kernel),
        };
        let mut controller = Self {
            config_file: config_file.to_owned(),
            state,
            config: loaded.config,
            slots,
            dataplane,
            kernel,
            status,
            shared: Arc::new(Shared::new(snapshot)),
        };
        controller.publish(Some(&compiled));
        Ok((controller, listener))
    }

    /// What scrapes and `status` read.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
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
                    generation, %error,
                    "reload refused: the old configuration stays in force. Mend it and reload"
                );
                (ReloadOutcome::refusal(generation, &error), None, None)
            }
        };
        self.publish(compiled.as_ref());
        (outcome, listener)
    }

    fn try_reload(
        &mut self,
        options: ReloadOptions,
    ) -> Result<(Compiled, Report, NewListener), ApplyError> {
        let now = Timestamp::now();
        let loaded = self.load(now)?;
        log_report(&loaded.warnings);
        exemptions::warn_of_ignored(&loaded.config);
        // A configuration that is refused leaves no names behind.
        let mut slots = self.slots.clone();
        let compiled = compile(&loaded.config, &mut slots, now)?;
        if !options.force {
            // Not the new one's limit: a mistake could be in there as well.
            let change = Change::between(&self.config, &loaded.config, now);
            check_limit(&change, self.config.max_change)?;
        }
        let listener = if loaded.config.metrics == self.config.metrics {
            None
        } else {
            Some(listen(loaded.config.metrics.listen)?)
        };
        self.enforce(&compiled)?;
        self.slots = slots;
        self.config = loaded.config;
        Ok((compiled, loaded.warnings, listener))
    }

    /// The configuration as it is on disk, with what was given beside it.
    fn load(&self, now: Timestamp) -> Result<Loaded, ApplyError> {
        let mut loaded = config::load(&self.config_file, now).map_err(ApplyError::Config)?;
        loaded.config.temporary = exemptions::holding(&self.state, now)?;
        Ok(loaded)
    }

    /// What a reload would change.
    ///
    /// # Errors
    ///
    /// When it would be refused for a mistake.
    pub fn diff(&self) -> Result<Change, ApplyError> {
        let now = Timestamp::now();
        let loaded = self.load(now)?;
        Ok(Change::between(&self.config, &loaded.config, now))
    }

    /// Makes the tables anew from the configuration in force, without the
    /// exemptions that have expired. An interface that is gone keeps the others
    /// from nothing.
    ///
    /// # Errors
    ///
    /// When the tables could not be replaced; the exemptions still exempt.
    pub fn expire(&mut self) -> Result<(), ApplyError> {
        let now = Timestamp::now();
        let mut slots = self.slots.clone();
        let mut compiled = compile(&self.config, &mut slots, now)?;
        let wanted = interfaces(&compiled);
        let attached = self.shared.latest().interfaces();
        let is_attached = |name: &str| attached.iter().any(|i| i.name == name && i.attached);
        compiled
            .interfaces
            .retain(|interface| is_attached(&interface.name));
        self.enforce(&compiled)?;
        // Not since the tables were put into force: loading them takes a while.
        let due = self.status.next_expiry;
        let ended = self
            .config
            .customers
            .iter()
            .filter(|customer| customer.is_expired(now) && customer.expires >= due);
        let names: Vec<_> = ended.map(|customer| customer.name.as_str()).collect();
        if !names.is_empty() {
            tracing::info!(customers = ?names, "exemptions have expired and no longer exempt");
        }
        self.end_exemptions(now);
        self.publish(Some(&compiled));
        self.status.interfaces = wanted;
        self.publish(None);
        Ok(())
    }

    fn enforce(&mut self, compiled: &Compiled) -> Result<(), DataplaneError> {
        let generation = self.dataplane.load(compiled)?;
        self.dataplane.enforce(generation)
    }

    /// Lets scrapes and `status` see how things are, after `compiled` was put
    /// into force if it is given.
    fn publish(&mut self, compiled: Option<&Compiled>) {
        if let Some(compiled) = compiled {
            self.status.generation += 1;
            self.status.generation_since = Timestamp::now();
            self.status.monitor = compiled.settings.monitor;
            self.status.pool_prefixes = compiled.loaded.pool_prefixes.into();
            self.status.exemptions = compiled.loaded.exemptions.into();
            self.status.temporary_exemptions = compiled.loaded.temporary.into();
            self.status.temporary = exemptions::listed(&self.config);
            self.status.next_expiry = compiled.next_expiry;
            self.status.interfaces = interfaces(compiled);
        }
        self.shared.publish(Snapshot {
            status: self.status.clone(),
            slots: self.slots.clone(),
            tables: self.dataplane.tables(),
            attached: self.dataplane.attached().clone(),
            kernel: Arc::clone(&self.kernel),
        });
    }

    /// Detaches from every interface and removes every pin.
    ///
    /// # Errors
    ///
    /// When a pin cannot be removed.
    pub fn stop(self) -> Result<(), DataplaneError> {
        self.dataplane.detach()
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
        })
        .collect()
}

fn bring_up(dataplane: &mut Dataplane, compiled: &Compiled) -> Result<KernelState, DataplaneError> {
    let generation = dataplane.load(compiled)?;
    dataplane.enforce(generation)?;
    Ok(KernelState {
        counters: dataplane.counters()?,
        flows: dataplane.flows()?,
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener, ApplyError> {
    let error = |source| ApplyError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    Ok(listener)
}

fn log_report(report: &Report) {
    for diagnostic in report.diagnostics() {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}
