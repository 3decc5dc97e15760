//! Waiting, in a way that Ctrl-C ends.
//!
//! Signals are turned into a readable file descriptor that every wait includes,
//! so an interruption comes back as an ordinary error and unwinds through the
//! same clean-up as any other.

use std::{
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// SIGINT, SIGTERM or SIGHUP came.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Becomes readable with the first signal and stays so.
static SIGNALS: OnceLock<UnixStream> = OnceLock::new();

/// From now on signals end waits rather than the process.
pub(crate) fn catch_signals() -> Result<()> {
    let (receiver, sender) = UnixStream::pair()?;
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::low_level::pipe::register(signal, sender.try_clone()?)
            .context("cannot catch signals")?;
    }
    let _already_set = SIGNALS.set(receiver);
    Ok(())
}

/// Waits until one of `fds` is readable, and says which; `None` where none was
/// by the deadline.
pub(crate) fn wait(fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<Option<usize>> {
    let mut all: Vec<_> = SIGNALS.get().map(AsFd::as_fd).into_iter().collect();
    let signals = all.len();
    all.extend(fds);
    match ready(&all, deadline)? {
        Some(i) if i < signals => Err(Interrupted.into()),
        ready => Ok(ready.map(|i| i - signals)),
    }
}

/// The same for clean-up, which signals must not cut short.
pub(crate) fn wait_regardless(fd: BorrowedFd<'_>, deadline: Instant) -> Result<bool> {
    Ok(ready(&[fd], deadline)?.is_some())
}

/// Waits for a signal.
pub(crate) fn wait_for_signal() -> Result<()> {
    let forever = Duration::from_secs(u64::from(u32::MAX));
    wait(&[], Instant::now() + forever).map(|_| ())
}

/// The error of a pending signal, if there is one.
pub(crate) fn check() -> Result<()> {
    wait(&[], Instant::now()).map(|_| ())
}

fn ready(fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<Option<usize>> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into()?,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(polled.iter().position(|fd| !fd.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
