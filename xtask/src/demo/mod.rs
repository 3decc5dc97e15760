//! `cargo xtask demo`: the laboratory. A provider's network of namespaces, real
//! traffic by real programs, first without poolguard and then with it.

mod attempts;
mod filter;
mod forgery;
mod leftovers;
mod mail;
mod network;
mod programs;
mod report;
mod web;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use lab::interrupt;

use self::{
    attempts::Attempt,
    filter::{Counters, Filter},
    leftovers::BPFFS,
    network::{Host, Provider},
    programs::Programs,
    report::Report,
};
use crate::{
    build, command, packages,
    setup::{self, Mode},
    workspace::{is_root, step},
};

/// The command.
pub(crate) fn run_command(keep: bool, json: bool) -> Result<()> {
    if !is_root() {
        bail!(
            "the laboratory is made of network namespaces, which take root. Run\n    \
             sudo -E env \"PATH=$PATH\" cargo xtask demo"
        );
    }
    let tools = setup::for_programs(Mode::Install, packages::DEMO)?;
    build::program(&tools)?;
    build::host(false)?;

    interrupt::catch_signals()?;
    // Postfix's processes read what is made here as other users than root.
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    leftovers::remove();
    mount_bpffs()?;
    let report = run(keep, json)?;
    match report.failures() {
        0 => Ok(()),
        n => bail!("{n} attempts or counters went other than the rules say"),
    }
}

fn run(keep: bool, json: bool) -> Result<Report> {
    step("building the laboratory");
    let provider = Provider::build()?;
    step("starting four mail servers, two web servers and the customers' machines");
    let programs = Programs::start(&provider)?;
    let attempts = attempts::all();
    step("attempts without poolguard");
    let without = make(&programs, &attempts)?;

    step(format_args!(
        "starting poolguard on the box, with config/poolguard.toml and at eth1 {}",
        filter::SOURCES
    ));
    let filter = Filter::start(&provider)?;
    let before = filter.counters()?;
    step("attempts with poolguard");
    let with = make(&programs, &attempts)?;
    let counters = filter::moved(&before, &filter.counters()?);
    let outcomes = without.into_iter().zip(with);
    let report = Report {
        unmoved: unmoved(&counters),
        counters,
        attempts: attempts
            .into_iter()
            .zip(outcomes)
            .map(|(attempt, (without, with))| (attempt, without, with))
            .collect(),
        status: filter.status(if json { &["--json"] } else { &[] })?,
    };
    if json {
        println!("{:#}", report.json()?);
    } else {
        println!("{}", report.text());
    }
    if keep {
        announce_kept(&provider);
        // The signal that ends the wait is how this is meant to end.
        let _interrupted = interrupt::wait_for_signal();
    }
    step("taking the laboratory down");
    filter.stop()?;
    Ok(report)
}

/// Makes all attempts, and says what comes of each.
fn make(programs: &Programs<'_>, attempts: &[Attempt]) -> Result<Vec<String>> {
    let attempt = |attempt: &Attempt| {
        let outcome = programs.attempt(attempt)?;
        eprintln!("    {}: {}", attempt.what, outcome.replace('\n', "; "));
        Ok(outcome)
    };
    attempts.iter().map(attempt).collect()
}

/// The counters that the attempts have to move: metric and labels.
const HAVE_TO_MOVE: [(&str, &[&str]); 10] = [
    (
        "poolguard_dropped_packets_total",
        &["rule=\"inbound_port\"", "pool=\"dialup-east\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"inbound_port\"", "pool=\"business-dsl\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"smtp_out\"", "pool=\"dialup-east\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"smtp_out\"", "pool=\"business-dsl\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"smtp_reply\"", "pool=\"dialup-east\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"smtp_reply\"", "pool=\"business-dsl\""],
    ),
    (
        "poolguard_dropped_packets_total",
        &["rule=\"source\"", "pool=\"none\""],
    ),
    (
        "poolguard_exempted_packets_total",
        &["rule=\"inbound_port\"", "pool=\"business-dsl\""],
    ),
    (
        "poolguard_exempted_packets_total",
        &["rule=\"smtp_out\"", "pool=\"business-dsl\""],
    ),
    ("poolguard_return_packets_total", &["pool=\"dialup-east\""]),
];

fn unmoved(moved: &Counters) -> Vec<String> {
    let has_moved = |metric: &str, labels: &[&str]| {
        moved
            .keys()
            .any(|name| name.starts_with(metric) && labels.iter().all(|label| name.contains(label)))
    };
    HAVE_TO_MOVE
        .iter()
        .filter(|(metric, labels)| !has_moved(metric, labels))
        .map(|(metric, labels)| format!("{metric}{{{}}}", labels.join(",")))
        .collect()
}

fn announce_kept(provider: &Provider) {
    eprintln!("\nThe laboratory stays up, with poolguard on, until Ctrl-C. To enter a host:");
    for host in [Host::Internet, Host::Box, Host::Modem] {
        let namespace = provider.host(host).path();
        eprintln!("    nsenter --net={} bash", namespace.display());
    }
}

/// poolguard keeps what it has in the kernel in bpffs.
fn mount_bpffs() -> Result<()> {
    const BPF_MAGIC: u64 = 0xcafe_4a11;
    let at = Path::new(BPFFS);
    let magic = rustix::fs::statfs(at).map(|stat| stat.f_type as u64);
    if magic.is_ok_and(|magic| magic & 0xffff_ffff == BPF_MAGIC) {
        return Ok(());
    }
    step(format_args!("mounting bpffs at {BPFFS}, where it stays"));
    command::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
        .with_context(|| format!("cannot mount bpffs at {BPFFS}"))
}
