//! Network namespaces, and the virtual cables between them.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// Where `ip netns` keeps them.
pub(crate) const DIRECTORY: &str = "/run/netns";

/// A network namespace. It goes with this value, and all that runs in it.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes an empty one, with its loopback up.
    pub(crate) fn create(name: String) -> Result<Self> {
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        // Addresses are usable at once, links and hosts are quiet, and nothing
        // is inherited from the machine's own settings.
        for (key, value) in [
            ("ipv6/conf/all/disable_ipv6", "0"),
            ("ipv6/conf/default/disable_ipv6", "0"),
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/all/accept_redirects", "0"),
            ("ipv6/conf/default/accept_redirects", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
        ] {
            namespace.sysctl(key, value)?;
        }
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// One that an earlier run left behind.
    pub(crate) fn adopt(name: String) -> Self {
        Self { name }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, args: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], args].concat())
    }

    /// Sets a value under `/proc/sys/net` in it.
    pub(crate) fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let file = Path::new("/proc/sys/net").join(key);
        self.enter(|| fs::write(&file, value))?
            .with_context(|| format!("cannot set {key} in {}", self.name))
    }

    /// A command that runs in it. Only the network is another one: unlike
    /// `ip netns exec` this leaves `/sys`, and so bpffs, where it is.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Calls a function in it, on a thread of its own. Sockets made there stay
    /// there.
    pub(crate) fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(self.path())
            .with_context(|| format!("cannot open the namespace {}", self.name))?;
        let inside = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).map(|()| f())
        };
        let result = thread::scope(|scope| scope.spawn(inside).join());
        let result = result.map_err(|_| anyhow!("a thread in {} panicked", self.name))?;
        result.with_context(|| format!("cannot enter {}", self.name))
    }

    fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Ends whatever still runs in it. The namespace is ours, and so are they.
    fn empty(&self) -> Result<()> {
        let pids = Command::new("ip")
            .args(["netns", "pids", &self.name])
            .output()?;
        for pid in String::from_utf8_lossy(&pids.stdout).lines() {
            if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let result = self
            .empty()
            .and_then(|()| ip(&["netns", "delete", &self.name]));
        if let Err(error) = result {
            eprintln!("warning: cannot remove {}: {error:#}", self.name);
        }
    }
}

/// A cable between two namespaces, up at both ends.
pub(crate) fn connect(a: (&Namespace, &str), b: (&Namespace, &str)) -> Result<()> {
    ip(&[
        "link",
        "add",
        a.1,
        "netns",
        a.0.name(),
        "type",
        "veth", // one end
        "peer",
        "name",
        b.1,
        "netns",
        b.0.name(), // the other
    ])?;
    for (namespace, link) in [a, b] {
        namespace.ip(&["link", "set", link, "up"])?;
    }
    Ok(())
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .context("cannot run ip")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", args.join(" "), why.trim());
    }
    Ok(())
}
