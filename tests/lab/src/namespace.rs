//! Network namespaces: hosts without anything but a network.
//!
//! A namespace lives as long as a file is open on it, and every interface in it
//! dies with it. So nothing can be left behind, however a test ends: it is the
//! kernel that closes the files. One with a name is there for people as well, who
//! enter it with `ip netns exec`, and outlives a process that is killed: whoever
//! gives names looks for what an earlier run has left.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{error::Error, process};

/// Where the names are.
pub const DIRECTORY: &str = "/run/netns";

/// A network namespace, with IPv6 switched off so that nobody in it speaks
/// without having been asked to.
#[derive(Debug)]
pub struct Namespace {
    // Removed first: what runs inside ends.
    name: Option<Name>,
    file: File,
}

impl Namespace {
    /// A new one, without a name.
    ///
    /// # Panics
    ///
    /// When the process is not root's.
    pub fn new() -> Self {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = file.unwrap_or_else(|error| panic!("a network namespace takes root: {error}"));
        Self { name: None, file }.silent().unwrap()
    }

    /// A new one with a name.
    ///
    /// # Errors
    ///
    /// When the kernel gives none away, or there is one of this name.
    pub fn named(name: String) -> Result<Self, Error> {
        process::try_command("ip", &format!("netns add {name}"))?;
        Self::left_behind(name.clone())?
            .silent()
            .map_err(|error| Error::Namespace { name, error })
    }

    /// One with a name that an earlier run left behind: it goes with this value.
    ///
    /// # Errors
    ///
    /// When it cannot be opened. Its name is removed nevertheless.
    pub fn left_behind(name: String) -> Result<Self, Error> {
        let owned = Name(name);
        match File::open(owned.path()) {
            Ok(file) => Ok(Self {
                name: Some(owned),
                file,
            }),
            Err(error) => Err(Error::Namespace {
                name: owned.0.clone(),
                error,
            }),
        }
    }

    fn silent(self) -> io::Result<Self> {
        match self.sysctl("ipv6/conf/default/disable_ipv6", "1") {
            // No such file: nobody speaks IPv6 on this machine (`ipv6.disable=1`).
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self),
            written => written.map(|()| self),
        }
    }

    /// A file by which other processes can enter it, for as long as this value lives.
    pub fn path(&self) -> PathBuf {
        match &self.name {
            Some(name) => name.path(),
            None => format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into(),
        }
    }

    /// Runs something inside, on a thread of its own. Only the network is
    /// another one there; files, bpffs among them, are the same.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
            inside()
        })
    }

    /// A program that is to run inside, started from anywhere. Unlike `ip netns exec`
    /// this leaves `/sys`, and so bpffs, where it is.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display()));
        command.arg("--").arg(program);
        command
    }

    /// Sets a value below `/proc/sys/net` inside.
    ///
    /// # Errors
    ///
    /// When there is no such setting, or it cannot have this value.
    pub fn sysctl(&self, key: &str, value: &str) -> io::Result<()> {
        let file = Path::new("/proc/sys/net").join(key);
        self.run(|| fs::write(&file, value))
    }

    /// Runs iproute2's `ip` inside. Words are separated by spaces.
    pub fn ip(&self, words: &str) -> String {
        self.run(|| process::command("ip", words))
    }

    /// As [`ip`](Self::ip), for somebody who goes on without.
    ///
    /// # Errors
    ///
    /// What `ip` complains of.
    pub fn try_ip(&self, words: &str) -> Result<String, Error> {
        self.run(|| process::try_command("ip", words))
    }

    /// Gives an interface another name. Linux 6.1 wants it to be down for that.
    pub fn rename(&self, from: &str, to: &str) {
        self.ip(&format!("link set {from} down"));
        self.ip(&format!("link set {from} name {to}"));
        self.ip(&format!("link set {to} up"));
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of a namespace. It goes with this value, and all that runs there.
#[derive(Debug)]
struct Name(String);

impl Name {
    fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0)
    }

    /// Ends whatever still runs there. The namespace is ours, and so are they.
    fn empty(&self) -> Result<(), Error> {
        let pids = process::try_command("ip", &format!("netns pids {}", self.0))?;
        for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()) {
            // It may have ended meanwhile.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        Ok(())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let delete = || process::try_command("ip", &format!("netns delete {}", self.0));
        if let Err(error) = self.empty().and_then(|()| delete()) {
            eprintln!("warning: cannot remove the namespace {}: {error}", self.0);
        }
    }
}

/// Entering a namespace is for good, so a thread is spent on it.
fn on_a_thread<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(job).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
