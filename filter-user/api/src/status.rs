//! What a running controller says of itself: the facts behind `status` and the
//! gauges of `/metrics`.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    compile::FamilyCount,
    config::{TemporaryExemption, lossy},
};
use serde::{Deserialize, Serialize};

use crate::{
    enforcement::Enforcement,
    last_use::{LastUse, UseCounts},
};

/// Everything that `poolguard status --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the controller, which may be older than the command that asks.
    pub version: String,
    /// The commit it was built from.
    pub revision: String,
    /// The name of the instance.
    pub instance: String,
    /// The configuration file.
    #[serde(serialize_with = "lossy")]
    pub config_file: PathBuf,
    /// When the controller was started.
    pub started: Timestamp,
    /// When the counters began: what an earlier run counted goes on.
    pub counting_since: Timestamp,
    /// Whether the whole box only monitors.
    pub monitor: bool,
    /// The pools of the configuration; none where an older controller says nothing.
    #[serde(default)]
    pub pools: Vec<PoolStatus>,
    /// `kernel` or `wire`; empty where an older controller says nothing.
    #[serde(default)]
    pub forwarding: String,
    /// Counts the generations that were put into force, from 1.
    pub generation: u64,
    /// When the running generation was put into force.
    pub generation_since: Timestamp,
    /// What tells the texts of its configuration from others, in hexadecimal digits.
    #[serde(default)]
    pub config_hash: String,
    /// What became of reloads.
    pub reloads: Reloads,
    /// The interfaces of the configuration.
    pub interfaces: Vec<InterfaceStatus>,
    /// How often the program was attached to an interface that came (back) by
    /// itself, since counting began.
    pub attachments: BTreeMap<String, u64>,
    /// Pool prefixes loaded.
    pub pool_prefixes: FamilyCounts,
    /// Customer prefixes loaded that hold an exemption.
    pub exemptions: FamilyCounts,
    /// Prefixes with a temporary exemption.
    pub temporary_exemptions: FamilyCounts,
    /// The temporary exemptions, one by one.
    pub temporary: Vec<ListedExemption>,
    /// How many exemptions, permanent and temporary ones, are used.
    #[serde(default)]
    pub exemption_use: UseCounts,
    /// When the configuration in force goes back unless it is confirmed.
    pub unconfirmed_until: Option<Timestamp>,
    /// Why it could not go back yet, though that moment has passed.
    #[serde(default)]
    pub roll_back_problem: Option<String>,
    /// When it was gone back to, because another one was not confirmed: the
    /// configuration file says something else.
    pub rolled_back: Option<Timestamp>,
    /// Why it was.
    #[serde(default)]
    pub rolled_back_because: Option<String>,
    /// Why the configuration file is not what is in force since the start.
    #[serde(default)]
    pub last_good: Option<LastGood>,
    /// Why what is in force waits for `poolguard confirm`, with nothing to go back to.
    #[serde(default)]
    pub unconfirmed: Option<Unconfirmed>,
    /// The prefixes in which a change that failed may be in force in part, as it could not
    /// be taken back: each of their addresses is decided as before or as after it.
    #[serde(default)]
    pub half_done: Vec<IpNet>,
    /// Where `/metrics` is served.
    #[serde(default)]
    pub metrics: MetricsStatus,
    /// How many lines of the log were lost, by this controller and those before it.
    #[serde(default)]
    pub log_lines_lost: u64,
    /// When the next exemption expires.
    pub next_expiry: Option<Timestamp>,
    /// How full the program's tables are.
    pub tables: Vec<TableStatus>,
    /// Frames passed, by interface, since counting began.
    pub passed: Vec<PassedTotal>,
    /// What was denied, by rule and pool, since counting began;
    /// what never occurred is left out.
    pub denied: Vec<DeniedTotal>,
}

/// A temporary exemption, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedExemption {
    /// The exemption, as it was added.
    #[serde(flatten)]
    pub exemption: TemporaryExemption,
    /// What keeps it from exempting as it says.
    pub ignored: Option<String>,
    /// When its prefix was last used; none until a controller has looked, within a minute.
    #[serde(default)]
    pub last_use: Option<LastUse>,
}

/// What a start found of the configuration file: a reload would refuse it, and what
/// was last in force goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    /// When what is in force came into force.
    pub in_force_since: Timestamp,
    /// What is wrong with the file, or why it was refused.
    pub error: String,
}

/// What a start found of what was in force before: nothing that could be used, and so
/// nothing could be compared with what is in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// When what is in force came into force.
    pub since: Timestamp,
    /// What is wrong with what was kept.
    pub error: String,
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UNCONFIRMED, in force since {}, compared with nothing, and nothing to go back to ({})",
            self.since, self.error
        )
    }
}

/// Where `/metrics`, `/healthz` and `/readyz` are served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// Where they are to be; nothing where an older controller says nothing.
    pub listen: Option<SocketAddr>,
    /// Why they are not there.
    pub problem: Option<String>,
}

/// What became of the attempts to load the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reloads {
    /// Whether the last attempt succeeded.
    pub last_successful: bool,
    /// When an attempt last succeeded; the start counts.
    pub last_success: Timestamp,
    /// Attempts, the start not counted.
    pub total: u64,
    /// Those that failed.
    pub failures: u64,
    /// Why the last attempt failed, if it did.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// A pool of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Whether what its rules forbid is counted only, by its own setting or the box's.
    pub monitored: bool,
}

impl Status {
    /// How much of what the rules forbid is dropped.
    pub fn enforcement(&self) -> Enforcement {
        let monitored = self.pools.iter().filter(|pool| pool.monitored);
        Enforcement::of(
            self.monitor,
            monitored.map(|pool| pool.name.clone()).collect(),
        )
    }
}

/// An interface of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// `customer` or `network`.
    pub role: String,
    /// `native` or `generic`.
    pub mode: String,
    /// Whether the program is attached.
    pub attached: bool,
    /// Whether it is another one than that of the generation in force.
    #[serde(default)]
    pub outdated: bool,
    /// What keeps it from being as it should be.
    pub problem: Option<String>,
    /// Where what it permits goes, under `forwarding = "wire"`.
    #[serde(default)]
    pub wire: Option<WireStatus>,
    /// What becomes of what leaves there; none where an older controller says nothing.
    #[serde(default)]
    pub egress: Option<EgressStatus>,
}

impl InterfaceStatus {
    /// Whether what leaves there is to be judged, and is not.
    pub fn has_open_exit(&self) -> bool {
        self.egress.as_ref().is_some_and(EgressStatus::is_open)
    }

    /// Whether somebody else's program decides what leaves there before poolguard's does.
    pub fn is_behind(&self) -> bool {
        self.egress.as_ref().is_some_and(|egress| egress.behind)
    }
}

/// The way out of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressStatus {
    /// `filter` or `off`.
    pub configured: String,
    /// How a program is attached there: `tcx` or `clsact`; none where there is none.
    pub way: Option<String>,
    /// Whether somebody else's program decides there before it.
    #[serde(default)]
    pub behind: bool,
}

impl EgressStatus {
    /// Whether what leaves there is to be judged.
    pub fn is_wanted(&self) -> bool {
        self.configured == "filter"
    }

    /// Whether what leaves there is to be judged, and is not.
    pub fn is_open(&self) -> bool {
        self.is_wanted() && self.way.is_none()
    }
}

/// The other end of an interface's wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireStatus {
    /// The interface there.
    pub peer: String,
    /// Whether what is permitted goes out of it.
    pub up: bool,
    /// What keeps it from going, or from coming in whole.
    pub problem: Option<String>,
}

/// A count for each address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FamilyCounts {
    /// IPv4.
    pub ipv4: u64,
    /// IPv6.
    pub ipv6: u64,
}

impl From<FamilyCount> for FamilyCounts {
    fn from(count: FamilyCount) -> Self {
        Self {
            ipv4: count.v4,
            ipv6: count.v6,
        }
    }
}

/// How full a table of the program is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Its name.
    pub table: String,
    /// What it holds.
    pub entries: u64,
    /// What it can hold.
    pub capacity: u64,
    /// Its memory in bytes.
    pub bytes: u64,
}

/// Frames passed that arrived at an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassedTotal {
    /// Its name.
    pub interface: String,
    /// How many.
    pub packets: u64,
}

/// What one rule denied for one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeniedTotal {
    /// As the metrics name it.
    pub rule: String,
    /// As the configuration names it, or `none`.
    pub pool: String,
    /// Frames dropped.
    pub dropped_packets: u64,
    /// Their bytes, from the IP header on.
    pub dropped_bytes: u64,
    /// Frames that monitor mode let pass.
    pub would_drop_packets: u64,
}
