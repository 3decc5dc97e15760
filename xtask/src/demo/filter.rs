//! poolguard itself, run on the box.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use lab::{Ended, Process, poolguard};

use super::{
    leftovers::{self, BPFFS, INSTANCE_PREFIX, SOCKETS},
    network::{Host, Provider},
};
use crate::workspace;

/// How long it may take to enforce, on a machine that is busy with other things.
const START: Duration = Duration::from_secs(60);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What `config/poolguard.toml` says.
const METRICS: &str = "http://127.0.0.1:9188/metrics";

/// What the example has as a comment at the customers' interface.
const SOURCES_COMMENT: &str = "# sources = \"monitor\" ";
/// What the laboratory has in its place: rule 7.
pub(crate) const SOURCES: &str = "sources = \"pools\"";

/// Counters as scraped: the name with its labels, and the value.
pub(crate) type Counters = BTreeMap<String, f64>;

/// A running poolguard.
pub(crate) struct Filter<'a> {
    provider: &'a Provider,
    instance: String,
    process: Process,
    traces: Traces,
}

/// Copies the example configuration: poolguard refuses files of other users than
/// root, and a checkout may belong to anyone. In the copy rule 7 is on.
fn example(directory: &Path) -> Result<PathBuf> {
    let (from, to) = (workspace::root().join("config"), directory.join("config"));
    fs::create_dir_all(to.join("customers.d"))?;
    for file in ["poolguard.toml", "customers.d/acme.toml"] {
        let copied = fs::read(from.join(file)).and_then(|text| fs::write(to.join(file), text));
        copied.with_context(|| format!("cannot copy config/{file}"))?;
    }
    let file = to.join("poolguard.toml");
    let text = fs::read_to_string(&file)?;
    if text.matches(SOURCES_COMMENT).count() != 1 {
        bail!("config/poolguard.toml has not one line with {SOURCES_COMMENT:?}");
    }
    fs::write(&file, text.replace(SOURCES_COMMENT, &format!("{SOURCES} ")))?;
    Ok(file)
}

impl<'a> Filter<'a> {
    /// Starts it on the example configuration with [`SOURCES`], and waits until it enforces.
    pub(crate) fn start(provider: &'a Provider) -> Result<Self> {
        let instance = format!("{INSTANCE_PREFIX}{}", std::process::id());
        let config = example(provider.directory())?;
        let socket = provider.directory().join("notify");
        let notifications = UnixDatagram::bind(&socket)?;
        let mut command = provider.command(Host::Box, poolguard());
        command
            .args(["run", "--detach-on-exit", "--instance", &instance])
            .arg("--config")
            .arg(config)
            .env("NOTIFY_SOCKET", &socket);
        let process = Process::spawn("poolguard", &mut command)?;
        let filter = Self {
            provider,
            traces: Traces([
                Path::new(BPFFS).join(format!("poolguard-{instance}")),
                Path::new(SOCKETS).join(format!("{instance}.sock")),
            ]),
            instance,
            process,
        };
        filter.process.until_ready(&notifications, START)?;
        Ok(filter)
    }

    /// What `poolguard status` prints.
    pub(crate) fn status(&self, options: &[&str]) -> Result<String> {
        let mut status = self.provider.command(Host::Box, poolguard());
        status.args(["status", "--instance", &self.instance]);
        status.args(options);
        self.ask("status", status)
    }

    /// Scrapes its metrics, on the box.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let mut curl = self.provider.command(Host::Box, "curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            METRICS,
        ]);
        Ok(parse(&self.ask("scrape", curl)?))
    }

    fn ask(&self, name: &str, mut command: Command) -> Result<String> {
        if self.process.has_ended() {
            bail!("poolguard has ended:\n{}", self.process.said());
        }
        let Ended {
            status,
            stdout,
            stderr,
        } = Process::run(name, &mut command, PATIENCE)?;
        if !status.success() {
            bail!("{name}: {stderr}");
        }
        Ok(stdout)
    }

    /// Ends it as an operator would: it has to detach and leave nothing behind.
    pub(crate) fn stop(self) -> Result<()> {
        let ended = self.process.stop()?;
        if !ended.status.success() {
            bail!("poolguard ended with {}:\n{}", ended.status, ended.stderr);
        }
        if let Some(left) = self.traces.0.iter().find(|path| path.exists()) {
            bail!("poolguard left {} behind", left.display());
        }
        Ok(())
    }
}

/// The directory in bpffs and the control socket of the instance. poolguard
/// removes them when it ends; if it could not, this does.
struct Traces([PathBuf; 2]);

impl Drop for Traces {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| leftovers::remove_all(path));
    }
}

/// The lines of poolguard's counters in the text format of Prometheus.
fn parse(text: &str) -> Counters {
    text.lines()
        .filter(|line| line.starts_with("poolguard_"))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| {
            name.split('{')
                .next()
                .is_some_and(|name| name.ends_with("_total"))
        })
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// Those that moved between two scrapes, and by how much.
pub(crate) fn moved(before: &Counters, after: &Counters) -> Counters {
    after
        .iter()
        .map(|(name, value)| (name.clone(), value - before.get(name).unwrap_or(&0.0)))
        .filter(|(_, change)| *change != 0.0)
        .collect()
}
