//! The whole of `/metrics`, byte for byte.
//!
//! Dashboards, alert rules and recording rules of operators hang on every name, every
//! label and every series that is there before its first event.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use api::{
    last_use::UseCounts,
    status::{
        EgressStatus, FamilyCounts, InterfaceStatus, MetricsStatus, PoolStatus, Reloads, Status,
        TableStatus, WireStatus,
    },
};
use filter_common::counters::{ROW_LENGTH, Row};
use filter_user::metrics::exposition;
use jiff::Timestamp;
use policy::{
    compile::Slots,
    config::PortRange,
    totals::{CounterSource, Totals},
};

/// What the two facts below are rendered as.
const METRICS: &str = include_str!("metrics.txt");

/// Every counter has a value of its own, so that none can stand in for another: its
/// place, counted down from 2^53, up to which the format is exact.
struct Places;

impl CounterSource for Places {
    type Error = Infallible;

    fn row(&self, row: u32) -> Result<Row, Infallible> {
        let first = u64::from(row) * ROW_LENGTH as u64;
        let mut places = first..;
        Ok(Row::default().map(|_| (1 << 53) - places.next().unwrap()))
    }
}

/// What was counted for two interfaces, two pools, a port and a range.
fn totals() -> Totals {
    let mut slots = Slots::default();
    for interface in ["lan0", "uplink0"] {
        slots.interface(interface).unwrap();
    }
    for pool in ["dialup-east", "business"] {
        slots.pool(pool).unwrap();
    }
    slots.port(PortRange::new(8000, 8080).unwrap()).unwrap();
    slots.port(25).unwrap();
    let Ok(totals) = Totals::of(&slots, &Places);
    totals
}

/// A controller in which no fact is like another.
fn status() -> Status {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let interface = |name: &str, role: &str, mode: &str, attached, wire| InterfaceStatus {
        name: name.to_owned(),
        role: role.to_owned(),
        mode: mode.to_owned(),
        attached,
        outdated: false,
        problem: None,
        wire,
        egress: Some(EgressStatus {
            configured: if role == "customer" { "filter" } else { "off" }.to_owned(),
            way: None,
            behind: false,
        }),
    };
    let wire = |peer: &str, up| {
        Some(WireStatus {
            peer: peer.to_owned(),
            up,
            problem: None,
        })
    };
    let table = |table: &str, entries, capacity| TableStatus {
        table: table.to_owned(),
        entries,
        capacity,
        bytes: 4096,
    };
    Status {
        version: "0.1.0".to_owned(),
        revision: "0123456789ab".to_owned(),
        instance: "poolguard".to_owned(),
        config_file: PathBuf::from("/etc/poolguard/poolguard.toml"),
        started: at("2026-03-01T06:00:00Z"),
        counting_since: at("2026-01-01T00:00:00Z"),
        monitor: false,
        pools: [("dialup", false), ("dialup-v6", true)]
            .map(|(name, monitored)| PoolStatus {
                name: name.to_owned(),
                monitored,
            })
            .into(),
        forwarding: "wire".to_owned(),
        generation: 7,
        generation_since: at("2026-03-02T08:00:00Z"),
        config_hash: "0123456789abcdef".to_owned(),
        reloads: Reloads {
            last_successful: true,
            last_success: at("2026-03-02T08:00:00.25Z"),
            total: 9,
            failures: 3,
            last_error: None,
        },
        interfaces: vec![
            interface("uplink0", "network", "native", true, wire("lan0", true)),
            interface("lan0", "customer", "generic", false, wire("uplink0", false)),
        ],
        attachments: BTreeMap::from([("uplink0".to_owned(), 4)]),
        pool_prefixes: FamilyCounts { ipv4: 11, ipv6: 12 },
        exemptions: FamilyCounts { ipv4: 13, ipv6: 14 },
        temporary_exemptions: FamilyCounts { ipv4: 15, ipv6: 16 },
        temporary: Vec::new(),
        exemption_use: UseCounts {
            watched: 31,
            unused_90_days: 17,
        },
        unconfirmed_until: Some(at("2026-03-02T08:10:00Z")),
        rolled_back: None,
        roll_back_problem: None,
        rolled_back_because: None,
        unconfirmed: None,
        last_good: None,
        half_done: vec!["203.0.113.4/32".parse().unwrap()],
        metrics: MetricsStatus {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 9188))),
            problem: None,
        },
        log_lines_lost: 17,
        next_expiry: None,
        tables: vec![table("prefixes4", 20, 1000), table("flows", 21, 2000)],
        passed: Vec::new(),
        denied: Vec::new(),
    }
}

fn rendered(totals: Totals, status: Status) -> String {
    String::from_utf8(exposition::render(totals, status).unwrap()).unwrap()
}

/// Says which lines differ; the whole text is too long to compare by eye.
#[test]
fn metrics_are_rendered_byte_for_byte_as_ever() {
    let text = rendered(totals(), status());
    for (found, expected) in text.lines().zip(METRICS.lines()) {
        assert_eq!(found, expected, "in\n{text}");
    }
    assert_eq!(text, METRICS);
}

/// Without wires, nothing says that one is down.
#[test]
fn a_metric_without_series_is_left_out_whole() {
    let mut status = status();
    for interface in &mut status.interfaces {
        interface.wire = None;
    }
    let kept = METRICS
        .lines()
        .filter(|line| !line.contains("poolguard_wire_up"));
    let text = rendered(totals(), status);
    assert!(text.lines().eq(kept), "{text}");
}

/// A metric that this text lacks would be held to nothing.
#[test]
fn every_documented_metric_is_rendered() {
    let of_document = include_str!("../../../docs/metrics.md").lines();
    let documented = of_document.filter_map(|line| {
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some(name)
    });
    let typed = METRICS.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some(name)
    });
    let rendered: BTreeSet<&str> = typed.collect();
    assert_eq!(documented.collect::<BTreeSet<_>>(), rendered);
}

/// Series that somebody else's frames could make would fill memory.
#[test]
fn no_label_is_an_address_a_prefix_or_a_time() {
    let is_text = |line: &&str| !line.starts_with('#');
    // Every second piece between quotes is a value.
    let values = METRICS
        .lines()
        .filter(is_text)
        .flat_map(|line| line.split('"').skip(1).step_by(2));
    let values: BTreeSet<&str> = values.collect();
    assert!(values.contains("lan0"), "{values:?}");
    for value in values {
        let (address, _length) = value.split_once('/').unwrap_or((value, ""));
        assert!(address.parse::<IpAddr>().is_err(), "{value}");
        assert!(value.parse::<SocketAddr>().is_err(), "{value}");
        assert!(value.parse::<Timestamp>().is_err(), "{value}");
    }
}
