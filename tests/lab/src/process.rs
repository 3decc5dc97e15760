//! Programs, what they say, and their end.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixDatagram,
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::{error::Error, interrupt};

/// How long a program that is told to end may take before it is made to, on a machine
/// that is busy with other things.
const GRACE: Duration = Duration::from_secs(60);

/// How long the last words of a program that has ended may be in coming. A child of
/// its own that goes on can hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A running program. It ends with this value.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    exited: OwnedFd,
    /// What ends it with this value.
    ends_with: Signal,
    out: Said,
    err: Said,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it printed that nobody has heard yet.
    pub stdout: String,
    /// What it logged that nobody has heard yet.
    pub stderr: String,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there is no such program, or a signal came.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self, Error> {
        interrupt::check()?;
        let cannot = |error| Error::Run {
            program: name.to_owned(),
            error,
        };
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(cannot)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let pid = rustix::process::Pid::from_child(&child);
        Ok(Self {
            name: name.to_owned(),
            ends_with: Signal::SIGTERM,
            exited: pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| cannot(errno.into()))?,
            out: Said::by(out.unwrap()),
            err: Said::by(err.unwrap()),
            child,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// When there is no such program, it takes too long, or a signal came.
    pub fn run(name: &str, command: &mut Command, within: Duration) -> Result<Ended, Error> {
        Self::spawn(name, command)?.finish(within)
    }

    /// For a program that takes no notice of SIGTERM: it ends with this value by
    /// another signal.
    pub fn ending_with(mut self, signal: Signal) -> Self {
        self.ends_with = signal;
        self
    }

    /// The number of its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Readable once it has ended.
    pub fn exited(&self) -> BorrowedFd<'_> {
        self.exited.as_fd()
    }

    /// Whether it is no more.
    pub fn has_ended(&self) -> bool {
        interrupt::wait_regardless(self.exited(), Instant::now())
    }

    /// What it prints.
    pub fn stdout(&self) -> &Said {
        &self.out
    }

    /// What it logs.
    pub fn stderr(&self) -> &Said {
        &self.err
    }

    /// What it has said so far that nobody has heard yet.
    pub fn said(&self) -> String {
        match self.has_ended() {
            true => self.out.rest() + &self.err.rest(),
            false => self.out.so_far() + &self.err.so_far(),
        }
    }

    /// Waits until it tells its service manager that it is ready, over the socket that
    /// it was given as `NOTIFY_SOCKET`. Gives back all that it tells with that.
    ///
    /// # Errors
    ///
    /// When it ends or takes too long, with what it said; or a signal came.
    pub fn until_ready(&self, notify: &UnixDatagram, within: Duration) -> Result<String, Error> {
        let deadline = Instant::now() + within;
        let (name, mut message) = (self.name.clone(), [0; 4_096]);
        loop {
            match interrupt::wait(&[notify.as_fd(), self.exited()], deadline)? {
                Some(0) => {}
                Some(_) => {
                    return Err(Error::Ended {
                        name,
                        said: self.said(),
                    });
                }
                None => {
                    return Err(Error::NotReady {
                        name,
                        said: self.said(),
                    });
                }
            }
            let length = notify.recv(&mut message);
            let length = length.map_err(|error| Error::Run {
                program: name.clone(),
                error,
            })?;
            let told = String::from_utf8_lossy(&message[..length]);
            if told.lines().any(|line| line == "READY=1") {
                return Ok(told.into_owned());
            }
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// When it takes too long, or a signal came.
    pub fn finish(mut self, within: Duration) -> Result<Ended, Error> {
        match interrupt::wait(&[self.exited()], Instant::now() + within)? {
            Some(_) => self.collect(),
            None => Err(Error::Endless {
                name: self.name.clone(),
                within,
            }),
        }
    }

    /// Waits until it ends by itself, for as long as it takes.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn ended(mut self) -> Result<Ended, Error> {
        self.collect()
    }

    /// Tells it to end with SIGTERM, and waits.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn stop(mut self) -> Result<Ended, Error> {
        self.end(Signal::SIGTERM)?;
        self.collect()
    }

    /// Ends it with SIGKILL, as the kernel does when memory runs out.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<(), Error> {
        self.end(Signal::SIGKILL)
    }

    fn collect(&mut self) -> Result<Ended, Error> {
        Ok(Ended {
            status: self.wait()?,
            stdout: self.out.rest(),
            stderr: self.err.rest(),
        })
    }

    /// Sends a signal to it, and waits; longer than the grace no program lives.
    fn end(&mut self, signal: Signal) -> Result<(), Error> {
        if !self.has_ended() {
            // It may have ended meanwhile.
            let _gone = kill(self.pid(), signal);
            if !interrupt::wait_regardless(self.exited(), Instant::now() + GRACE) {
                let _gone = kill(self.pid(), Signal::SIGKILL);
            }
        }
        self.wait().map(drop)
    }

    fn wait(&mut self) -> Result<ExitStatus, Error> {
        let program = self.name.clone();
        self.child
            .wait()
            .map_err(|error| Error::Run { program, error })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end(self.ends_with) {
            eprintln!("warning: {error}");
        }
    }
}

/// What a program says on one of its outputs, line by line. A thread reads it, so that
/// the program never has to wait.
#[derive(Debug)]
pub struct Said(Receiver<String>);

impl Said {
    fn by(output: impl Read + Send + 'static) -> Self {
        let (lines, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // Nobody may want to know any more.
                let _unheard = lines.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self(said)
    }

    /// The next line; `None` once there will be no more.
    pub fn line(&self) -> Option<String> {
        self.0.recv().ok()
    }

    /// The next line, if it comes in time.
    ///
    /// # Errors
    ///
    /// When none came, and whether one still can.
    pub fn line_by(&self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        self.0
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// All lines that have come and were not taken.
    pub fn so_far(&self) -> String {
        joined(self.0.try_iter())
    }

    /// All lines that are left, of a program that has ended.
    fn rest(&self) -> String {
        joined(std::iter::from_fn(|| self.0.recv_timeout(LAST_WORDS).ok()))
    }
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs a program and gives back what it printed.
pub fn command(program: &str, words: &str) -> String {
    try_command(program, words).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`command`], for somebody who goes on without.
pub(crate) fn try_command(program: &str, words: &str) -> Result<String, Error> {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .output();
    let output = output.map_err(|error| Error::Run {
        program: program.to_owned(),
        error,
    })?;
    let [told, why] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    match output.status.success() {
        true => Ok(told.into_owned()),
        false => Err(Error::Failed {
            command: format!("{program} {words}"),
            why: why.trim().to_owned(),
        }),
    }
}

/// What bpftool says of a pinned link.
///
/// It ends with the status of a listing of all links, which is -1 unless the last
/// one was not found: bpftool 7.5 of Debian 13 says what it was asked and fails.
/// What it prints is judged, not its status.
pub fn pinned_link(pin: &Path) -> serde_json::Value {
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["-j", "link", "show", "pinned"]).arg(pin);
    let output = bpftool.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
