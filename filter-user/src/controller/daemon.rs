//! `poolguard run`: the controller under signals, sockets and clocks.

use std::{
    collections::VecDeque,
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use api::{answers::ReloadOutcome, requests::ReloadOptions};
use axum::Router;
use dataplane::{DataplaneError, Kernel, Namespace, remedy::remedy};
use jiff::Timestamp;
use nix::libc;
use policy::{config::Loaded, instance::Instance};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    ApplyError, AskedBy, Backoff, Clock, Controller, Defect, NewListener, Pulse, Site,
    StartOptions,
    clock_watch::ClockWatch,
    confirmation::give_up,
    control::Peer,
    control_socket::ControlSocket,
    defect::{guarded, log_panics},
    exclusion::Exclusion,
    http::{self, DetachAnswer, Request},
    interfaces::{Carrier, Watch},
    service_manager::{Message, ServiceManager},
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
        "instance {instance} is running already, as process {process}{}. Use `poolguard reload`, or \
         another --instance",
        elsewhere(*namespace)
    )]
    AlreadyRunning {
        /// The name of the instance.
        instance: String,
        /// The process.
        process: i32,
        /// The network namespace that it is in, if that is another one.
        namespace: Option<Namespace>,
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
    /// A panic kept the filter from being taken off, or from being taken off everywhere.
    #[error("{0}. `bpftool net` shows what is still attached: try again")]
    Defect(Defect),
    /// The way out did not go in order.
    #[error("cannot detach: {0}. `bpftool net` shows what is still attached")]
    Stop(DataplaneError),
}

fn elsewhere(namespace: Option<Namespace>) -> String {
    namespace.map_or_else(String::new, |known| {
        format!(" in network namespace {known}")
    })
}

/// What becomes of the filter when the controller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It keeps filtering by itself.
    Enforce,
    /// It is taken off.
    Detach,
}

/// Enforces until SIGTERM or SIGINT, or until it is told to detach. `patience`: how long
/// one file or directory of the configuration may take.
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
    patience: Duration,
) -> Result<(), RunError> {
    log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Process)?;
    // On a thread of the runtime, so that this one takes the signals: one that
    // is pending makes the kernel give up on loading a program.
    let site = Site {
        instance: instance.name().to_owned(),
        config_file: config_file.to_owned(),
        state,
        clock: Clock::system(),
        patience,
    };
    let served = serve(site, instance.clone(), options, afterwards);
    let served = runtime.spawn(served);
    let outcome = runtime.block_on(served);
    // A disk that does not answer keeps nobody from ending.
    runtime.shutdown_background();
    outcome.map_err(|panic| RunError::Process(io::Error::other(panic)))?
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
            namespace: _,
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
    site: Site,
    instance: Instance,
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
    let clock = site.clock.clone();
    let pulse = Pulse::new(clock.clone());
    let (controller, listener) = tokio::task::block_in_place(|| {
        guarded("starting", || {
            Controller::start(site, || Kernel::open(&instance), options)
        })
        .map_err(ApplyError::from)
        .flatten()
    })?;
    let _logged = guarded("telling of interfaces", || log_interfaces(&controller));
    let (requests, received) = mpsc::channel(16);
    let control = http::control(controller.shared(), requests);
    let mut daemon = Daemon {
        control: Control::serve_at(socket, control_listener, control),
        metrics: listener.map(|listener| Metrics::serve(listener, &controller, &pulse)),
        controller,
        clock,
        pulse,
        service_manager: ServiceManager::new(),
        reading: None,
        waiting: VecDeque::new(),
        told: String::new(),
        requests: received,
        watch,
        clock_watch: ClockWatch::new(),
        retry_expiry: None,
        retry_roll_back: None,
        roll_back_fails: Backoff::default(),
        afterwards,
    };
    // The first pass over the interfaces is done.
    daemon.told = daemon.headline();
    daemon
        .service_manager
        .tell(Message::Started(daemon.told.clone()));

    let detached = daemon.until_stopped(&mut signals).await;

    daemon.service_manager.tell(Message::Stopping);
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
        outcome =
            tokio::task::block_in_place(|| match guarded("detaching", || controller.detach()) {
                Ok(detached) => detached.map_err(RunError::Stop),
                Err(defect) => Err(RunError::Defect(defect)),
            });
        if let Some(asked) = detached {
            let text = outcome.as_ref().err().map(ToString::to_string);
            let _gone = asked.send(text);
        }
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
        let controller = &mut daemon.controller;
        // The panic is in the log, and the filter goes on.
        let _left = tokio::task::block_in_place(|| guarded("leaving", || controller.leave()));
    }
    daemon.control.end().await;
    tokio::task::block_in_place(|| daemon.service_manager.end());
    outcome
}

/// Says where it enforces, or only counts, and where it does neither.
fn log_interfaces(controller: &Controller) {
    let latest = controller.shared().latest();
    let doing = latest.enforcement().doing("");
    for interface in latest.interfaces() {
        let (name, role, mode) = (&interface.name, &interface.role, &interface.mode);
        match &interface.problem {
            None => tracing::info!(interface = %name, %role, %mode, "{doing}"),
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

/// How many reloads may wait for one whose files are being read.
const WAITING: usize = 16;

/// A reload that somebody wishes for, and whom to tell how it went.
struct Reload {
    options: ReloadOptions,
    asked_by: AskedBy,
    answer: Option<oneshot::Sender<ReloadOutcome>>,
}

/// A reload whose files are being read.
struct Reading {
    reload: Reload,
    read: JoinHandle<Result<Loaded, ApplyError>>,
}

struct Daemon {
    controller: Controller,
    control: Control,
    clock: Clock,
    pulse: Pulse,
    service_manager: ServiceManager,
    /// The files that are being read, beside everything else.
    reading: Option<Reading>,
    /// Those that come after it.
    waiting: VecDeque<Reload>,
    /// None where `/metrics` cannot be served.
    metrics: Option<Metrics>,
    /// What the service manager was told of what is enforced.
    told: String,
    requests: mpsc::Receiver<Request>,
    watch: Watch,
    clock_watch: ClockWatch,
    retry_expiry: Option<Instant>,
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
            self.pulse.beat();
            let expiry = self.expiry_left();
            let trial_left = self.trial_left();
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => return None,
                    // Nobody is there to say that it may change a lot.
                    Wish::Reload => self.wish_for(Reload {
                        options: ReloadOptions::default(),
                        asked_by: AskedBy::Hangup,
                        answer: None,
                    }),
                },
                Some(request) = self.requests.recv() => match request {
                    Request::Reload(options, asked_by, answer) => self.wish_for(Reload {
                        options,
                        asked_by,
                        answer: Some(answer),
                    }),
                    Request::Other(done) => {
                        tokio::task::block_in_place(|| done(&mut self.controller));
                    }
                    Request::Detach(answer) => {
                        tracing::info!("`poolguard detach`: detaching");
                        self.afterwards = Afterwards::Detach;
                        return Some(answer);
                    }
                },
                read = all_read(&mut self.reading) => self.reload_from(read),
                carriers = self.watch.changed() => {
                    self.reconcile();
                    self.step("telling of interfaces", |daemon| daemon.log_carriers(&carriers));
                }
                _ = check.tick() => self.check(),
                () = self.clock_watch.set() => {
                    self.retry_expiry = None;
                    self.step("going by the clock", |daemon| daemon.controller.clock_was_set());
                    self.catch_up_if_due();
                }
                () = for_as_long_as(expiry) => self.catch_up_if_due(),
                () = for_as_long_as(trial_left) => self.roll_back_if_due(),
            }
            self.tell();
        }
    }

    /// Does something that is done again later, should it panic: that is in the log.
    fn step<T>(&mut self, doing: &'static str, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        tokio::task::block_in_place(|| guarded(doing, || work(self)).ok())
    }

    /// Tells the service manager what is enforced and what is not, for `systemctl
    /// status`.
    fn tell(&mut self) {
        let text = self.headline();
        if text != self.told {
            self.service_manager.tell(Message::Status(text.clone()));
            self.told = text;
        }
    }

    fn headline(&self) -> String {
        let latest = self.controller.shared().latest();
        let headline = tokio::task::block_in_place(|| {
            guarded("telling the service manager", || latest.headline())
        });
        let Ok(text) = headline else {
            return self.told.clone();
        };
        match self.control.socket.problem() {
            Some(problem) => format!("NO CONTROL SOCKET ({problem}); {text}"),
            None => text,
        }
    }

    fn serve_at(&mut self, listener: NewListener) {
        if let Some(listener) = listener {
            self.metrics.iter().for_each(Metrics::end);
            self.metrics = Some(Metrics::serve(listener, &self.controller, &self.pulse));
        }
    }

    /// Looks after the links, and whether the counters can be read. The service
    /// manager hears of it when that worked.
    fn check(&mut self) {
        let looked_after = self.reconcile();
        let shared = self.controller.shared();
        let read = tokio::task::block_in_place(|| {
            guarded("reading the counters", || shared.latest().read())
                .map_err(ApplyError::from)
                .and_then(|read| Ok(read?))
        });
        self.step("looking after the control socket", |daemon| {
            daemon.control.keep();
        });
        self.step("looking after what is kept", |daemon| {
            daemon.controller.look_after_state();
        });
        self.step("serving the metrics", |daemon| {
            let listener = daemon.controller.retry_metrics();
            daemon.serve_at(listener);
        });
        // Where the kernel did not say so.
        self.step("going by the clock", |daemon| {
            daemon.controller.clock_was_set();
            daemon.controller.forget_exemptions();
        });
        self.step("looking at which exemptions are used", |daemon| {
            daemon.controller.note_uses();
        });
        match read {
            Ok(_) if looked_after => self.service_manager.tell(Message::Watchdog),
            Ok(_) => {}
            Err(error) => tracing::error!(
                traffic = self.controller.traffic(), %error, "the counters cannot be read"
            ),
        }
    }

    /// Looks after the interfaces. Says whether that was possible.
    fn reconcile(&mut self) -> bool {
        let looked_after = self.step("looking after the interfaces", |daemon| {
            daemon.controller.reconcile()
        });
        looked_after.unwrap_or(false)
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

    /// Has the files read for a reload, once no others are.
    fn wish_for(&mut self, reload: Reload) {
        let waiting = self.waiting.len();
        if waiting >= WAITING {
            return self.finish(reload, Err(ApplyError::Busy { waiting }));
        }
        self.waiting.push_back(reload);
        self.read_next();
    }

    /// Goes on to the next reload, unless files are being read.
    fn read_next(&mut self) {
        while self.reading.is_none()
            && let Some(reload) = self.waiting.pop_front()
        {
            self.service_manager.tell(Message::Reloading);
            let begun = guarded("beginning a reload", || {
                self.controller.begin_reload(reload.options)
            });
            match begun.map_err(ApplyError::from).flatten() {
                Ok(files) => {
                    let read = tokio::task::spawn_blocking(move || files.read());
                    self.reading = Some(Reading { reload, read });
                }
                Err(error) => self.finish(reload, Err(error)),
            }
        }
    }

    /// Reloads from what was read.
    fn reload_from(&mut self, read: Result<Loaded, ApplyError>) {
        if let Some(Reading { reload, .. }) = self.reading.take() {
            self.finish(reload, read);
        }
        self.read_next();
    }

    fn finish(&mut self, reload: Reload, read: Result<Loaded, ApplyError>) {
        let Reload {
            options,
            asked_by,
            answer,
        } = reload;
        let controller = &mut self.controller;
        let finished = tokio::task::block_in_place(|| {
            guarded("finishing a reload", || {
                controller.finish_reload(options, asked_by, read)
            })
        });
        let (outcome, listener) = finished
            .unwrap_or_else(|defect| (self.controller.refusal(&ApplyError::from(defect)), None));
        self.retry_expiry = None;
        self.serve_at(listener);
        self.service_manager.tell(Message::Ready);
        if let Some(answer) = answer {
            // Whoever asked may have gone; the reload counts all the same.
            let _gone = answer.send(outcome);
        }
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
        let controller = &mut self.controller;
        let went_back = tokio::task::block_in_place(|| {
            guarded("going back", || controller.roll_back())
                .map_err(ApplyError::from)
                .flatten()
        });
        match went_back {
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

    /// How long until an exemption expires, or until ending those that have, or what is half
    /// done, is tried again after that failed.
    fn expiry_left(&self) -> Option<Duration> {
        let left = match self.controller.is_behind() {
            true => Duration::ZERO,
            false => {
                let left = self
                    .controller
                    .next_expiry()?
                    .duration_since(self.clock.now());
                Duration::try_from(left).unwrap_or_default()
            }
        };
        let retry = self
            .retry_expiry
            .map(|at| at.saturating_duration_since(Instant::now()));
        Some(left.max(retry.unwrap_or_default()))
    }

    fn catch_up_if_due(&mut self) {
        if self.expiry_left().is_none_or(|left| !left.is_zero()) {
            return;
        }
        self.retry_expiry = None;
        let controller = &mut self.controller;
        let followed = tokio::task::block_in_place(|| {
            guarded("following the clock", || controller.catch_up())
                .map_err(ApplyError::from)
                .flatten()
        });
        if let Err(error) = followed {
            self.retry_expiry = Some(Instant::now() + LONGEST_WAIT);
            let (traffic, seconds) = (self.controller.traffic(), LONGEST_WAIT.as_secs());
            match self.controller.is_behind_the_clock() {
                true => tracing::error!(
                    traffic, %error,
                    "exemptions have expired, but still exempt: the tables could not be replaced. \
                     Tried again in {seconds} seconds"
                ),
                false => tracing::error!(
                    traffic, %error,
                    "a part of a change that failed may still be in force: the tables could not be \
                     replaced. Tried again in {seconds} seconds"
                ),
            }
        }
    }
}

/// Waits until the files are read, if any are being read.
async fn all_read(reading: &mut Option<Reading>) -> Result<Loaded, ApplyError> {
    match reading {
        Some(Reading { read, .. }) => read.await.unwrap_or_else(|panic| {
            let message = panic.to_string();
            let doing = "reading the configuration";
            Err(Defect { doing, message }.into())
        }),
        None => std::future::pending().await,
    }
}

/// Waits for a time that is left, or for a while before it is looked at again.
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
    fn serve(listener: TcpListener, controller: &Controller, pulse: &Pulse) -> Self {
        let router = http::public(controller.shared(), pulse.clone());
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

/// Those that would end the process, and are about something else: a file that may not get
/// larger (`LimitFSIZE=`), whose writer is told, processor time, and what people and programs
/// send to others for a sign of life or to have logs opened again.
const IGNORED: [i32; 4] = [libc::SIGXFSZ, libc::SIGXCPU, libc::SIGUSR1, libc::SIGUSR2];

impl Signals {
    fn new() -> io::Result<Self> {
        for number in IGNORED {
            // From here on they do nothing: nobody has to wait for them.
            drop(signal(SignalKind::from_raw(number))?);
        }
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
