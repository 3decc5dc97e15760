//! `poolguard run`: the controller under signals, sockets and clocks.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use sd_notify::NotifyState;
use thiserror::Error;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    ApplyError, Controller, NewListener, ReloadOutcome,
    http::{self, ReloadRequest},
};
use crate::dataplane::{self, DataplaneError, Instance};

/// The longest that the clock goes unread while an exemption is about to
/// expire, so that a clock that is set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why `run` ended without having been asked to.
#[derive(Debug, Error)]
pub enum RunError {
    /// It could not start. Nothing was attached.
    #[error(transparent)]
    Start(#[from] ApplyError),
    /// Another controller of this instance answers on its socket.
    #[error(
        "instance {instance} is running already: its socket {} answers. Use `poolguard reload`, \
         or another --instance",
        socket.display()
    )]
    AlreadyRunning {
        /// The name of the instance.
        instance: String,
        /// Its control socket.
        socket: PathBuf,
    },
    /// The control socket cannot be served.
    #[error("control socket {}: {source}", path.display())]
    ControlSocket {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process cannot have what every process can.
    #[error("cannot set up the process: {0}")]
    Process(io::Error),
    /// The way out did not go in order.
    #[error("cannot detach: {0}. `bpftool net` shows what is still attached")]
    Stop(DataplaneError),
}

/// Enforces until SIGTERM or SIGINT, then detaches.
///
/// # Errors
///
/// When it cannot start or cannot end in order.
pub fn run(config_file: &Path, instance: &Instance) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Process)?;
    runtime.block_on(serve(config_file, instance))
}

async fn serve(config_file: &Path, instance: &Instance) -> Result<(), RunError> {
    // Taken first: from here on a signal means an end in order.
    let mut signals = Signals::new().map_err(RunError::Process)?;
    dataplane::preflight(instance).map_err(ApplyError::from)?;
    let socket = ControlSocket::bind(instance).await?;
    let (controller, listener) =
        tokio::task::block_in_place(|| Controller::start(config_file, instance))?;
    for interface in &controller.status.interfaces {
        tracing::info!(
            interface = %interface.name, role = %interface.role, mode = %interface.mode,
            "enforcing"
        );
    }
    let (reloads, requests) = mpsc::channel(16);
    let mut daemon = Daemon {
        metrics: Metrics::serve(listener, &controller),
        controller,
        requests,
    };
    let control = http::control(daemon.controller.shared(), reloads);
    let control = tokio::spawn(axum::serve(socket.listener()?, control).into_future());
    notify(&[NotifyState::Ready]);

    daemon.until_stopped(&mut signals).await;

    notify(&[NotifyState::Stopping]);
    control.abort();
    daemon.metrics.task.abort();
    tokio::task::block_in_place(|| daemon.controller.stop()).map_err(RunError::Stop)?;
    tracing::info!("detached: nothing is enforced any more");
    Ok(())
}

struct Daemon {
    controller: Controller,
    metrics: Metrics,
    requests: mpsc::Receiver<ReloadRequest>,
}

impl Daemon {
    /// Reloads and expires one at a time, so that none sees another's half.
    async fn until_stopped(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => return,
                    Wish::Reload => drop(self.reload()),
                },
                Some(answer) = self.requests.recv() => {
                    // Whoever asked may have gone; the reload counts all the same.
                    let _gone = answer.send(self.reload());
                }
                () = until(self.controller.next_expiry()) => self.expire_if_due(),
            }
        }
    }

    fn reload(&mut self) -> ReloadOutcome {
        notify(&[
            NotifyState::Reloading,
            NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("")),
        ]);
        let (outcome, listener) = tokio::task::block_in_place(|| self.controller.reload());
        self.metrics.move_to(listener, &self.controller);
        notify(&[NotifyState::Ready]);
        outcome
    }

    fn expire_if_due(&mut self) {
        let due = self.controller.next_expiry();
        if due.is_some_and(|due| due <= Timestamp::now()) {
            tokio::task::block_in_place(|| self.controller.expire());
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
            axum::serve(listener, router).await
        });
        Self { task }
    }

    fn move_to(&mut self, listener: NewListener, controller: &Controller) {
        if let Some(listener) = listener {
            self.task.abort();
            *self = Self::serve(listener, controller);
        }
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
                tracing::info!("SIGTERM: detaching");
                Wish::Stop
            }
            _ = self.interrupt.recv() => {
                tracing::info!("SIGINT: detaching");
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

/// The control socket: for root alone, removed when dropped.
struct ControlSocket {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
}

impl ControlSocket {
    async fn bind(instance: &Instance) -> Result<Self, RunError> {
        let path = instance.control_socket();
        if tokio::net::UnixStream::connect(&path).await.is_ok() {
            return Err(RunError::AlreadyRunning {
                instance: instance.name().to_owned(),
                socket: path,
            });
        }
        let listener = bind_for_root(&path).map_err(|source| RunError::ControlSocket {
            path: path.clone(),
            source,
        })?;
        Ok(Self { path, listener })
    }

    fn listener(&self) -> Result<UnixListener, RunError> {
        self.listener
            .try_clone()
            .and_then(UnixListener::from_std)
            .map_err(|source| RunError::ControlSocket {
                path: self.path.clone(),
                source,
            })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

fn bind_for_root(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody can connect between the two steps: the socket does not listen
    // under this name before it is renamed.
    let staged = path.with_extension("new");
    let _stale = fs::remove_file(&staged);
    let listener = std::os::unix::net::UnixListener::bind(&staged)?;
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o600))?;
    fs::rename(&staged, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells systemd, where it asked to be told.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
