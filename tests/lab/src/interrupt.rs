//! Waiting, in a way that Ctrl-C ends.
//!
//! Signals are turned into a readable file descriptor that every wait includes,
//! so an interruption comes back as an ordinary error and unwinds through the
//! same clean-up as any other. A test catches no signals: they end it.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;

/// Becomes readable with the first signal and stays so.
static SIGNALS: OnceLock<UnixStream> = OnceLock::new();

/// From now on signals end waits rather than the process.
///
/// # Errors
///
/// When the kernel has no more file descriptors.
pub fn catch_signals() -> Result<(), Error> {
    let (receiver, sender) = UnixStream::pair().map_err(Error::Wait)?;
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        sender
            .try_clone()
            .and_then(|sender| signal_hook::low_level::pipe::register(signal, sender))
            .map_err(Error::Wait)?;
    }
    let _already_set = SIGNALS.set(receiver);
    Ok(())
}

/// Waits until one of `fds` is readable, and says which; `None` where none was
/// by the deadline.
///
/// # Errors
///
/// [`Error::Interrupted`], if a signal came.
pub fn wait(fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<Option<usize>, Error> {
    let mut all: Vec<_> = SIGNALS.get().map(AsFd::as_fd).into_iter().collect();
    let signals = all.len();
    all.extend(fds);
    match ready(&all, deadline).map_err(Error::Wait)? {
        Some(i) if i < signals => Err(Error::Interrupted),
        ready => Ok(ready.map(|i| i - signals)),
    }
}

/// Whether it becomes readable by the deadline: for clean-up, which signals must not
/// cut short.
pub fn wait_regardless(fd: BorrowedFd<'_>, deadline: Instant) -> bool {
    ready(&[fd], deadline).is_ok_and(|ready| ready.is_some())
}

/// Waits for a signal.
///
/// # Errors
///
/// [`Error::Interrupted`], when it comes.
pub fn wait_for_signal() -> Result<(), Error> {
    let forever = Duration::from_secs(u64::from(u32::MAX));
    wait(&[], Instant::now() + forever).map(drop)
}

/// Goes on, unless a signal has come.
///
/// # Errors
///
/// [`Error::Interrupted`], if one has.
pub fn check() -> Result<(), Error> {
    wait(&[], Instant::now()).map(drop)
}

fn ready(fds: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<Option<usize>> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
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
