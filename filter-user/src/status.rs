//! What a running controller says of itself: the facts behind `status` and the
//! gauges of `/metrics`.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, path::PathBuf};

use comfy_table::{Table, presets};
use jiff::{SpanRound, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::config::TemporaryExemption;

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
    pub config_file: PathBuf,
    /// When the controller was started.
    pub started: Timestamp,
    /// When the counters began: what an earlier run counted goes on.
    pub counting_since: Timestamp,
    /// Whether the whole box only monitors.
    pub monitor: bool,
    /// `kernel` or `wire`; empty where an older controller says nothing.
    #[serde(default)]
    pub forwarding: String,
    /// Counts the generations that were put into force, from 1.
    pub generation: u64,
    /// When the running generation was put into force.
    pub generation_since: Timestamp,
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
    /// When the configuration in force goes back unless it is confirmed.
    pub unconfirmed_until: Option<Timestamp>,
    /// When it was gone back to, because another one was not confirmed: the
    /// configuration file says something else.
    pub rolled_back: Option<Timestamp>,
    /// Why the configuration file is not what is in force since the start.
    #[serde(default)]
    pub last_good: Option<LastGood>,
    /// Where `/metrics` is served.
    #[serde(default)]
    pub metrics: MetricsStatus,
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
    /// It.
    #[serde(flatten)]
    pub exemption: TemporaryExemption,
    /// What keeps it from exempting as it says.
    pub ignored: Option<String>,
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

/// Where `/metrics`, `/healthz` and `/readyz` are served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// Where they are to be; nothing where an older controller says nothing.
    pub listen: Option<SocketAddr>,
    /// Why they are not there.
    pub problem: Option<String>,
}

/// What became of the attempts to load the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reloads {
    /// Whether the last attempt succeeded.
    pub last_successful: bool,
    /// When an attempt last succeeded; the start counts.
    pub last_success: Timestamp,
    /// Attempts, the start not counted.
    pub total: u64,
    /// Those that failed.
    pub failures: u64,
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
    /// What keeps it from being as it should be.
    pub problem: Option<String>,
    /// Where what it permits goes, under `forwarding = "wire"`.
    #[serde(default)]
    pub wire: Option<WireStatus>,
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

impl From<crate::compile::FamilyCount> for FamilyCounts {
    fn from(count: crate::compile::FamilyCount) -> Self {
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

/// A table without borders, like those of `ip` and `nft`.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

impl Status {
    /// For people.
    pub fn render(&self, now: Timestamp) -> String {
        let mut text = self.summary(now);
        if let Some(deadline) = self.unconfirmed_until {
            let _infallible = writeln!(
                text,
                "ON TRIAL: goes back at {deadline} unless `poolguard confirm` follows"
            );
        }
        if let Some(at) = self.rolled_back {
            let _infallible = writeln!(
                text,
                "ROLLED BACK at {at}, not confirmed in time: {} is NOT what is in force",
                self.config_file.display()
            );
        }
        if let Some(LastGood {
            in_force_since,
            error,
        }) = &self.last_good
        {
            let _infallible = writeln!(
                text,
                "LAST GOOD CONFIGURATION, of {in_force_since}: {} is NOT what is in force, a reload \
                 would refuse it: {error}",
                self.config_file.display()
            );
        }
        if let Some(problem) = &self.metrics.problem {
            let _infallible = writeln!(text, "METRICS NOT SERVED as configured: {problem}");
        }
        for ListedExemption { exemption, ignored } in &self.temporary {
            text.push_str(&exemption.to_string());
            if let Some(why) = ignored {
                text.push_str(": IGNORED, ");
                text.push_str(why);
            }
            text.push('\n');
        }
        for table in [
            self.interface_table(),
            self.table_table(),
            self.denied_table(),
        ] {
            text.push('\n');
            for line in table.lines() {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }

    fn summary(&self, now: Timestamp) -> String {
        let enforcement = if self.monitor { "monitor" } else { "enforce" };
        let reloads = self.reloads;
        let last = match (reloads.total, reloads.last_successful) {
            (0, _) => "",
            (_, true) => "; the last one succeeded",
            (_, false) => "; THE LAST ONE FAILED, the configuration before it is in force",
        };
        let expiry = self.next_expiry.map_or_else(
            || "no exemption expires".to_owned(),
            |at| format!("the next exemption expires {at}"),
        );
        format!(
            "poolguard {} ({}), instance {}, up {}, counting for {}\n\
             configuration {}: {enforcement}, forwarding {}, generation {}, in force for {}\n\
             reloads: {}, of which {} failed{last}\n\
             loaded: pool prefixes {} IPv4 and {} IPv6, exemptions {} IPv4 and {} IPv6; {expiry}\n",
            self.version,
            self.revision,
            self.instance,
            age(self.started, now),
            age(self.counting_since, now),
            self.config_file.display(),
            self.forwarding,
            self.generation,
            age(self.generation_since, now),
            reloads.total,
            reloads.failures,
            self.pool_prefixes.ipv4,
            self.pool_prefixes.ipv6,
            self.exemptions.ipv4,
            self.exemptions.ipv6,
        )
    }

    fn interface_table(&self) -> Table {
        let is_wire = self.interfaces.iter().any(|known| known.wire.is_some());
        let mut header = vec!["INTERFACE", "ROLE", "MODE", "ATTACHED", "PASSED"];
        if is_wire {
            header.extend(["GOES TO", "UP"]);
        }
        header.push("");
        let mut rows = table(&header);
        let yes = |is_so| if is_so { "yes" } else { "NO" }.to_owned();
        for interface in &self.interfaces {
            let passed = self.passed.iter().find(|p| p.interface == interface.name);
            let mut row = vec![
                interface.name.clone(),
                interface.role.clone(),
                interface.mode.clone(),
                yes(interface.attached),
                passed.map_or(0, |passed| passed.packets).to_string(),
            ];
            if let Some(wire) = &interface.wire {
                row.extend([wire.peer.clone(), yes(wire.up)]);
            }
            let of_wire = interface.wire.as_ref();
            let of_wire = of_wire.and_then(|wire| wire.problem.as_deref());
            let problems = [interface.problem.as_deref(), of_wire];
            row.push(
                problems
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("; "),
            );
            rows.add_row(row);
        }
        rows
    }

    fn table_table(&self) -> Table {
        let mut rows = table(&["TABLE", "ENTRIES", "CAPACITY", "KIB"]);
        for table in &self.tables {
            rows.add_row([
                table.table.clone(),
                table.entries.to_string(),
                table.capacity.to_string(),
                table.bytes.div_ceil(1024).to_string(),
            ]);
        }
        rows
    }

    fn denied_table(&self) -> Table {
        let mut rows = table(&["RULE", "POOL", "DROPPED", "BYTES", "WOULD DROP"]);
        for total in &self.denied {
            rows.add_row([
                total.rule.clone(),
                total.pool.clone(),
                total.dropped_packets.to_string(),
                total.dropped_bytes.to_string(),
                total.would_drop_packets.to_string(),
            ]);
        }
        rows
    }
}

/// How long ago, in the two largest units.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let span = jiff::Span::new().seconds(seconds);
    let rounding = SpanRound::new()
        .largest(Unit::Day)
        .smallest(if seconds >= 86_400 {
            Unit::Hour
        } else {
            Unit::Second
        })
        .days_are_24_hours();
    span.round(rounding)
        .map_or_else(|_| format!("{seconds}s"), |span| format!("{span:#}"))
}
