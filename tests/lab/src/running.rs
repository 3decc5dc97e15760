//! The real `poolguard`, running on a box, and what it says.

use std::{
    io::{Read as _, Write as _},
    marker::PhantomData,
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use crate::{
    error::Error,
    namespace::Namespace,
    process::{Ended, Process},
};

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A controller that runs.
#[derive(Debug)]
pub struct Running<'a> {
    process: Process,
    /// It ends before its box goes.
    on: PhantomData<&'a Namespace>,
}

impl<'a> Running<'a> {
    pub(crate) fn spawn(host: &'a Namespace, mut command: Command) -> Self {
        let spawn = || Process::spawn("poolguard", &mut command);
        let process = host.run(spawn);
        Self {
            process: process.unwrap_or_else(|error| panic!("{error}")),
            on: PhantomData,
        }
    }

    /// Starts a controller, and waits until it says that it enforces.
    pub(crate) fn start(
        host: &'a Namespace,
        mut command: Command,
        notify: &UnixDatagram,
        socket: &Path,
    ) -> Self {
        command.env("NOTIFY_SOCKET", socket);
        let running = Self::spawn(host, command);
        let told = running.process.until_ready(notify, PATIENCE);
        let told = told.unwrap_or_else(|error| panic!("{error}"));
        assert!(told.starts_with("READY=1\nSTATUS="), "{told:?}");
        running
    }

    /// Reads the log until it serves its metrics, or says that it cannot. Says which.
    ///
    /// # Errors
    ///
    /// The log of one that ends instead.
    pub(crate) fn until_it_serves(self) -> Result<(Self, bool), String> {
        let mut log = String::new();
        while let Some(line) = self.process.stderr().line() {
            let serves = line.contains("serving /metrics");
            if serves || line.contains("are NOT SERVED") {
                return Ok((self, serves));
            }
            log += &line;
            log.push('\n');
        }
        Err(log)
    }

    /// Reads the log up to a line that contains `words`, and gives that back.
    pub fn log_until(&mut self, words: &str) -> String {
        // In all: a line may be repeated for ever.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.process.stderr().line_by(deadline);
            let line = line.unwrap_or_else(|error| panic!("{words:?} in the log: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Whether it is no more.
    pub fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// Ends it with SIGTERM and gives back what is left of its log.
    pub fn stop(self) -> String {
        succeeded(self.process.stop())
    }

    /// Ends it with SIGKILL, as the kernel does when memory runs out.
    pub fn kill(self) {
        self.process.kill().unwrap();
    }

    /// Waits for its end, and gives back what is left of its log.
    pub fn ended(self) -> String {
        succeeded(self.process.ended())
    }
}

fn succeeded(ended: Result<Ended, Error>) -> String {
    let Ended { status, stderr, .. } = ended.unwrap();
    assert!(status.success(), "{status}: {stderr}");
    stderr
}

/// The status and the body of an HTTP answer of the controller in a network namespace.
pub fn get(namespace: &Namespace, path: &str) -> (u16, String) {
    let answer = namespace.run(|| {
        let mut stream = TcpStream::connect("127.0.0.1:9188").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    assert_eq!(length, Some(body.len()), "a whole answer");
    (status, body.to_owned())
}

/// The value of a metric.
pub fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in {text}"));
    value.trim().parse().unwrap()
}
