//! Programs that the laboratory runs, and is sure to end.

use std::{
    fs::{self, File},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::interrupt;

/// How long a program that is told to end may take before it is made to.
const GRACE: Duration = Duration::from_secs(15);

/// A running program. What it prints goes to files; it ends with this value.
pub(crate) struct Process {
    name: String,
    child: Child,
    exited: OwnedFd,
    out: PathBuf,
    err: PathBuf,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts it; `log` is the path of its files without their extensions.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        interrupt::check()?;
        let (out, err) = (log.with_extension("out"), log.with_extension("err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            // Ctrl-C on the terminal is for us, who then end the programs.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            exited: pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?,
            child,
            out,
            err,
        })
    }

    /// Readable once the program has ended.
    pub(crate) fn exited(&self) -> &OwnedFd {
        &self.exited
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        read(&self.out) + &read(&self.err)
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self, within: Duration) -> Result<Ended> {
        let fds = [self.exited.as_fd()];
        if interrupt::wait(&fds, Instant::now() + within)?.is_none() {
            bail!("{} did not end within {} s", self.name, within.as_secs());
        }
        self.collect()
    }

    /// Tells it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<Ended> {
        self.end(Signal::TERM)?;
        self.collect()
    }

    fn collect(&mut self) -> Result<Ended> {
        Ok(Ended {
            status: self.child.wait()?,
            stdout: read(&self.out),
            stderr: read(&self.err),
        })
    }

    /// Sends a signal to it and its children, and waits; longer than the grace
    /// no program lives.
    fn end(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let group = Pid::from_child(&self.child);
        // It may have ended meanwhile.
        let _gone = kill_process_group(group, signal);
        if !interrupt::wait_regardless(self.exited.as_fd(), Instant::now() + GRACE)? {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end(Signal::TERM) {
            eprintln!("warning: cannot end {}: {error:#}", self.name);
        }
    }
}

/// Runs a program to its end.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    log: &Path,
    within: Duration,
) -> Result<Ended> {
    Process::spawn(name, command, log)?.finish(within)
}

fn read(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
