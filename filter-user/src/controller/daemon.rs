//! `poolguard run`: the controller under signals, sockets and clocks.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use api::{answers::ReloadOutcome, requests::ReloadOptions};
use axum::Router;
use dataplane::{DataplaneError, Kernel, remedy::remedy};
use jiff::Timestamp;
use policy::instance::Instance;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use thiserror::Error;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    ApplyError, AskedBy, Backoff, Clock, Controller, NewListener, Site, StartOptions,
    confirmation::give_up,
    control::Peer,
    control_socket::ControlSocket,
    defect::log_panics,
    exclusion::Exclusion,
    http::{self, DetachAnswer, Request},
    interfaces::{Carrier, Watch},
};
use crate::state::{StateDirectory, StateError};

/// How often the controller looks whether all is as it should be, of which it
/// tells the service manager's watchdog. A link that somebody detached is
/// announced by nobody. A watchdog with less patience is told more often.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The longest that the clock goes unread while an exemption is about to
/// expire, so that a clock that is set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long those who are being answered may take to listen when it stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Why `run` ended without having been asked to.
#[derive(Debug, Error)]
pub enum RunError {
    /// It could not start. Nothing was attached.
    #[error(transparent)]
    Start(#[from] ApplyError),
    /// There is another controller of this instance.
    #[error(
        "instance {instance} is running already, as process {process}. Use `poolguard reload`, or \
         another --instance"
    )]
    AlreadyRunning {
        /// The name of the instance.
        instance: String,
        /// The process.
        process: i32,
    },
    /// There is one that nobody can ask.
    #[error(
        "instance {instance} is running, as process {process}, and does not answer on its control \
         socket {}: NOTHING WAS DETACHED. That makes the socket again within some seconds: try again; \
         or `kill {process}`, and detach then",
        socket.display()
    )]
    RunsUnasked {
        /// The name of the instance.
        instance: String,
        /// The process.
        process: i32,
        /// Where it should answer.
        socket: PathBuf,
    },
    /// Nobody can tell whether there is another controller.
    #[error("cannot see whether the instance is running already: {}: {}", .0, remedy(.0))]
    Exclusion(io::Error),
    /// The process cannot have what every process can.
    #[error("cannot set up the process: {}: {}", .0, remedy(.0))]
    Process(io::Error),
    /// The filter is off, and what was on trial is not forgotten.
    #[error("detached, but the trial goes on, or back, with the next start: {0}")]
    TrialStays(StateError),
    /// The way out did not go in order.
    #[error("cannot detach: {0}. `bpftool net` shows what is still attached")]
    Stop(DataplaneError),
}

/// What becomes of the filter when the controller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It keeps filtering by itself.
    Enforce,
    /// It is taken off.
    Detach,
}

/// Enforces until SIGTERM or SIGINT, or until it is told to detach.
///
/// # Errors
///
/// When it cannot start or cannot end in order.
pub fn run(
    config_file: &Path,
    instance: &Instance,
    state: StateDirectory,
    options: StartOptions,
    afterwards: Afterwards,
) -> Result<(), RunError> {
    log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Process)?;
    // On a thread of the runtime, so that this one takes the signals: one that
    // is pending makes the kernel give up on loading a program.
    let config_file = config_file.to_owned();
    let served = serve(config_file, instance.clone(), state, options, afterwards);
    let served = runtime.spawn(served);
    runtime
        .block_on(served)
        .map_err(|panic| RunError::Process(io::Error::other(panic)))?
}

/// Takes off what an instance that does not run has left attached. Names the
/// interfaces that were joined by wires; nothing, if nothing was left at all.
///
/// # Errors
///
/// When it runs after all, or something cannot be removed.
pub fn detach_leftovers(
    instance: &Instance,
    state: &StateDirectory,
) -> Result<Option<Vec<String>>, RunError> {
    let _alone = Exclusion::take(instance).map_err(|error| match error {
        RunError::AlreadyRunning {
            instance: name,
            process,
        } => RunError::RunsUnasked {
            instance: name,
            process,
            socket: instance.control_socket(),
        },
        error => error,
    })?;
    let detached = dataplane::detach_leftovers(instance).map_err(RunError::Stop)?;
    give_up(state, Timestamp::now()).map_err(RunError::TrialStays)?;
    Ok(detached)
}

async fn serve(
    config_file: PathBuf,
    instance: Instance,
    state: StateDirectory,
    options: StartOptions,
    afterwards: Afterwards,
) -> Result<(), RunError> {
    // Taken first: from here on a signal means an end in order.
    let mut signals = Signals::new().map_err(RunError::Process)?;
    dataplane::preflight(&instance).map_err(ApplyError::from)?;
    raise_descriptor_limit();
    let _alone = Exclusion::take(&instance)?;
    // Whoever asks from now on waits until it can be answered.
    let mut socket = ControlSocket::at(instance.control_socket());
    let control_listener = socket.keep();
    // Before the interfaces are looked at, so that no change of them is missed.
    let watch = Watch::new().map_err(RunError::Process)?;
    let (controller, listener) = tokio::task::block_in_place(|| {
        let site = Site {
            instance: instance.name().to_owned(),
            config_file,
            state,
            clock: Clock::system(),
        };
        Controller::start(site, || Kernel::open(&instance), options)
    })?;
    log_interfaces(&controller);
    let (requests, received) = mpsc::channel(16);
    let control = http::control(controller.shared(), requests);
    let mut daemon = Daemon {
        control: Control::serve_at(socket, control_listener, control),
        metrics: listener.map(|listener| Metrics::serve(listener, &controller)),
        controller,
        told: String::new(),
        requests: received,
        watch,
        retry_expiry: None,
        retry_roll_back: None,
        roll_back_fails: Backoff::default(),
        afterwards,
    };
    // The first pass over the interfaces is done.
    daemon.told = daemon.headline();
    notify(&[NotifyState::Ready, NotifyState::Status(&daemon.told)]);

    let detached = daemon.until_stopped(&mut signals).await;

    notify(&[NotifyState::Stopping]);
    daemon.metrics.iter().for_each(Metrics::end);
    let mut outcome = Ok(());
    if daemon.afterwards == Afterwards::Detach {
        let controller = daemon.controller;
        let cut = controller.shared().latest().cut_by_detaching();
        if detached.is_some()
            && let Err(error) = controller.give_up_trial()
        {
            tracing::error!(%error, "the trial goes on, or back, with the next start");
        }
        let result = tokio::task::block_in_place(|| controller.detach());
        if let Some(asked) = detached {
            let text = result.as_ref().err().map(ToString::to_string);
            let _gone = asked.send(text);
        }
        outcome = result.map_err(RunError::Stop);
        if outcome.is_ok() {
            tracing::info!("detached: nothing is enforced any more");
            if !cut.is_empty() {
                tracing::warn!(
                    interfaces = ?cut,
                    "NOTHING IS FORWARDED here any more: the wires went with the filter"
                );
            }
        }
    } else {
        tokio::task::block_in_place(|| daemon.controller.leave());
    }
    daemon.control.end().await;
    outcome
}

/// Says where it enforces, and where it does not.
fn log_interfaces(controller: &Controller) {
    for interface in controller.shared().latest().interfaces() {
        let (name, role, mode) = (&interface.name, &interface.role, &interface.mode);
        match &interface.problem {
            None => tracing::info!(interface = %name, %role, %mode, "enforcing"),
            Some(problem) => {
                tracing::warn!(interface = %name, %role, "not enforcing here yet: {problem}");
            }
        }
    }
}

/// Every interface takes some descriptors, twice while a reload replaces them.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(
            %error,
            "cannot raise the limit of open files: with many interfaces a reload may be refused"
        );
    }
}

struct Daemon {
    controller: Controller,
    control: Control,
    /// None where `/metrics` cannot be served.
    metrics: Option<Metrics>,
    /// What the service manager was told of what is enforced.
    told: String,
    requests: mpsc::Receiver<Request>,
    watch: Watch,
    retry_expiry: Option<Timestamp>,
    retry_roll_back: Option<Instant>,
    roll_back_fails: Backoff,
    afterwards: Afterwards,
}

impl Daemon {
    /// Does one thing at a time, so that none sees another's half. Gives back
    /// whom to answer once it is detached, if somebody asked for that.
    async fn until_stopped(&mut self, signals: &mut Signals) -> Option<DetachAnswer> {
        let mut check = tokio::time::interval(check_interval());
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let expiry = self.next_expiry();
            let trial_left = self.trial_left();
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => return None,
                    // Nobody is there to say that it may change a lot.
                    Wish::Reload => drop(self.reload(ReloadOptions::default(), AskedBy::Hangup)),
                },
                Some(request) = self.requests.recv() => match request {
                    // Whoever asked may have gone; the reload counts all the same.
                    Request::Reload(options, by, answer) => drop(answer.send(self.reload(options, by))),
                    Request::Other(done) => {
                        tokio::task::block_in_place(|| done(&mut self.controller));
                    }
                    Request::Detach(answer) => {
                        tracing::info!("`poolguard detach`: detaching");
                        self.afterwards = Afterwards::Detach;
                        return Some(answer);
                    }
                },
                carriers = self.watch.changed() => {
                    let _reported = tokio::task::block_in_place(|| self.controller.reconcile());
                    self.log_carriers(&carriers);
                }
                _ = check.tick() => self.check(),
                () = until(expiry) => self.expire_if_due(),
                () = for_as_long_as(trial_left) => self.roll_back_if_due(),
            }
            self.tell();
        }
    }

    /// Tells the service manager what is enforced and what is not, for `systemctl
    /// status`.
    fn tell(&mut self) {
        let text = self.headline();
        if text != self.told {
            notify(&[NotifyState::Status(&text)]);
            self.told = text;
        }
    }

    fn headline(&self) -> String {
        let latest = self.controller.shared().latest();
        let text = tokio::task::block_in_place(|| latest.headline());
        match self.control.socket.problem() {
            Some(problem) => format!("NO CONTROL SOCKET ({problem}); {text}"),
            None => text,
        }
    }

    fn serve_at(&mut self, listener: NewListener) {
        if let Some(listener) = listener {
            self.metrics.iter().for_each(Metrics::end);
            self.metrics = Some(Metrics::serve(listener, &self.controller));
        }
    }

    /// Looks after the links, and whether the counters can be read. The service
    /// manager hears of it when that worked.
    fn check(&mut self) {
        let (looked_after, read) = tokio::task::block_in_place(|| {
            let looked_after = self.controller.reconcile();
            (looked_after, self.controller.shared().latest().read())
        });
        self.control.keep();
        tokio::task::block_in_place(|| self.controller.look_after_state());
        let listener = self.controller.retry_metrics();
        self.serve_at(listener);
        match read {
            Ok(_) if looked_after => notify(&[NotifyState::Watchdog]),
            Ok(_) => {}
            Err(error) => tracing::error!(
                traffic = self.controller.traffic(), %error, "the counters cannot be read"
            ),
        }
    }

    fn log_carriers(&self, carriers: &[Carrier]) {
        let configured = self.controller.shared().latest().interfaces();
        for Carrier { interface, is_up } in carriers {
            let Some(known) = configured.iter().find(|known| known.name == *interface) else {
                continue;
            };
            match (is_up, known.attached) {
                (true, true) => {
                    tracing::info!(%interface, "the interface is up: its frames are filtered");
                }
                (true, false) => {
                    tracing::warn!(%interface, "the interface is up, and NOTHING FILTERS there");
                }
                (false, true) => tracing::warn!(
                    %interface,
                    "the interface is down. The filter stays attached to it"
                ),
                (false, false) => tracing::warn!(
                    %interface,
                    "the interface is down, and nothing filters there"
                ),
            }
        }
    }

    fn reload(&mut self, options: ReloadOptions, by: AskedBy) -> ReloadOutcome {
        notify(&[
            NotifyState::Reloading,
            NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("")),
        ]);
        let (outcome, listener) =
            tokio::task::block_in_place(|| self.controller.reload(options, by));
        self.retry_expiry = None;
        self.serve_at(listener);
        notify(&[NotifyState::Ready]);
        outcome
    }

    /// How long the trial still lasts, or until going back is tried again after
    /// that failed.
    fn trial_left(&self) -> Option<Duration> {
        let left = self.controller.trial_left()?;
        let retry = self
            .retry_roll_back
            .map(|at| at.saturating_duration_since(Instant::now()));
        Some(left.max(retry.unwrap_or_default()))
    }

    fn roll_back_if_due(&mut self) {
        if self.trial_left().is_none_or(|left| !left.is_zero()) {
            return;
        }
        self.retry_roll_back = None;
        match tokio::task::block_in_place(|| self.controller.roll_back()) {
            Ok(listener) => {
                self.roll_back_fails = Backoff::default();
                self.serve_at(listener);
            }
            Err(error) => {
                let wait = self.roll_back_fails.failed();
                self.retry_roll_back = Some(Instant::now() + wait);
                tracing::error!(
                    traffic = self.controller.traffic(), %error,
                    "not confirmed in time, and still in force: the configuration before could not \
                     be put into force. Tried again in {} seconds", wait.as_secs()
                );
            }
        }
    }

    /// When an exemption expires, or when to try again after that failed.
    fn next_expiry(&self) -> Option<Timestamp> {
        self.controller.next_expiry().max(self.retry_expiry)
    }

    fn expire_if_due(&mut self) {
        let now = Timestamp::now();
        if self.next_expiry().is_none_or(|due| due > now) {
            return;
        }
        self.retry_expiry = None;
        if let Err(error) = tokio::task::block_in_place(|| self.controller.expire()) {
            self.retry_expiry = now.checked_add(LONGEST_WAIT).ok();
            tracing::error!(
                traffic = self.controller.traffic(), %error,
                "exemptions have expired, but still exempt: the tables could not be replaced. \
                 Tried again in {} seconds", LONGEST_WAIT.as_secs()
            );
        }
    }
}

/// Waits for the moment, or for a while before it is looked at again.
async fn until(moment: Option<Timestamp>) {
    let Some(moment) = moment else {
        return std::future::pending().await;
    };
    let left = Duration::try_from(moment.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left.min(LONGEST_WAIT)).await;
}

/// The same for a time that is left.
async fn for_as_long_as(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left.min(LONGEST_WAIT)).await,
        None => std::future::pending().await,
    }
}

/// The control socket, and what answers on it.
struct Control {
    socket: ControlSocket,
    router: Router,
    server: Option<ControlServer>,
}

struct ControlServer {
    /// Dropped, it stops listening.
    listens: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Control {
    fn serve_at(
        socket: ControlSocket,
        listener: Option<std::os::unix::net::UnixListener>,
        router: Router,
    ) -> Self {
        let mut control = Self {
            socket,
            router,
            server: None,
        };
        control.serve(listener);
        control
    }

    /// Sees that the socket is there.
    fn keep(&mut self) {
        let listener = self.socket.keep();
        self.serve(listener);
    }

    /// Answers on another one, and on the one before until it has answered.
    fn serve(&mut self, listener: Option<std::os::unix::net::UnixListener>) {
        let Some(listener) = listener else {
            return;
        };
        let service = self.router.clone();
        let service = service.into_make_service_with_connect_info::<Peer>();
        let (listens, ends) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            axum::serve(UnixListener::from_std(listener)?, service)
                .with_graceful_shutdown(async { drop(ends.await) })
                .await
        });
        self.server = Some(ControlServer { listens, task });
    }

    /// Whoever is being answered still is.
    async fn end(self) {
        if let Some(ControlServer { listens, task }) = self.server {
            drop(listens);
            let _ended = tokio::time::timeout(LAST_ANSWERS, task).await;
        }
    }
}

/// The server of `/metrics`.
struct Metrics {
    task: JoinHandle<io::Result<()>>,
}

impl Metrics {
    fn serve(listener: TcpListener, controller: &Controller) -> Self {
        let router = http::public(controller.shared());
        let task = tokio::spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tracing::info!(address = %listener.local_addr()?, "serving /metrics");
            http::serve_strangers(listener, router).await
        });
        Self { task }
    }

    fn end(&self) {
        self.task.abort();
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => {
                tracing::info!("SIGTERM: stopping");
                Wish::Stop
            }
            _ = self.interrupt.recv() => {
                tracing::info!("SIGINT: stopping");
                Wish::Stop
            }
            _ = self.reload.recv() => {
                tracing::info!("SIGHUP: reloading");
                Wish::Reload
            }
        }
    }
}

/// What a signal asks for.
enum Wish {
    Stop,
    Reload,
}

/// How often to look: twice as often as the service manager's watchdog, if there
/// is one, loses its patience.
fn check_interval() -> Duration {
    let mut microseconds = 0;
    if sd_notify::watchdog_enabled(false, &mut microseconds) && microseconds > 0 {
        CHECK_INTERVAL.min(Duration::from_micros(microseconds) / 2)
    } else {
        CHECK_INTERVAL
    }
}

/// Tells systemd, where it asked to be told.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(
            %error,
            "cannot notify the service manager, which may restart the controller. The filter \
             goes on"
        );
    }
}
