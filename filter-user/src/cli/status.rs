//! `poolguard status`, for people.

use std::fmt::Write as _;

use api::status::{InterfaceStatus, LastGood, ListedExemption, Status};
use comfy_table::{Table, presets};
use jiff::{SpanRound, Timestamp, Unit};
use policy::listing::some_of;

/// A table without borders, like those of `ip` and `nft`.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// For people.
pub(super) fn render(status: &Status, now: Timestamp) -> String {
    let mut text = summary(status, now);
    if let Some(deadline) = status.unconfirmed_until {
        let _infallible = match &status.roll_back_problem {
            None => writeln!(
                text,
                "ON TRIAL: goes back at {deadline:.0} unless `poolguard confirm` follows"
            ),
            Some(problem) => writeln!(
                text,
                "NOT CONFIRMED by {deadline}, and STILL IN FORCE: the configuration before cannot \
                 be put into force, tried again: {problem}"
            ),
        };
    }
    if let Some(error) = &status.reloads.last_error {
        let _infallible = writeln!(text, "LAST RELOAD REFUSED: {error}");
    }
    if let Some(at) = status.rolled_back {
        let why = status.rolled_back_because.as_deref();
        let _infallible = writeln!(
            text,
            "ROLLED BACK at {at}, {}: {} is NOT what is in force",
            why.unwrap_or("not confirmed in time"),
            status.config_file.display()
        );
    }
    if let Some(LastGood {
        in_force_since,
        error,
    }) = &status.last_good
    {
        let _infallible = writeln!(
            text,
            "LAST GOOD CONFIGURATION, of {in_force_since:.0}: {} is NOT what is in force, a reload \
             would refuse it: {error}",
            status.config_file.display()
        );
    }
    if let Some(unconfirmed) = &status.unconfirmed {
        let _infallible = writeln!(text, "{unconfirmed}: `poolguard confirm`, or reload");
    }
    if !status.half_done.is_empty() {
        let _infallible = writeln!(
            text,
            "HALF DONE: a part of a change that failed may be in force in {}, taking it back is \
             tried every minute",
            some_of(status.half_done.clone()).join(", ")
        );
    }
    if let Some(problem) = &status.metrics.problem {
        let _infallible = writeln!(text, "METRICS NOT SERVED as configured: {problem}");
    }
    for ListedExemption {
        exemption, ignored, ..
    } in &status.temporary
    {
        text.push_str(&exemption.to_string());
        if let Some(why) = ignored {
            text.push_str(": IGNORED, ");
            text.push_str(why);
        }
        text.push('\n');
    }
    for table in [
        interface_table(status),
        table_table(status),
        denied_table(status),
    ] {
        text.push('\n');
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn summary(status: &Status, now: Timestamp) -> String {
    let enforcement = status.enforcement();
    let reloads = &status.reloads;
    let last = match (reloads.total, reloads.last_successful) {
        (0, _) => "",
        (_, true) => "; the last one succeeded",
        (_, false) => "; THE LAST ONE FAILED, the configuration before it is in force",
    };
    let expiry = status.next_expiry.map_or_else(
        || "no exemption expires".to_owned(),
        |at| format!("the next exemption expires {at}"),
    );
    format!(
        "poolguard {} ({}), instance {}, up {}, counting for {}\n\
         configuration {}: {enforcement}, forwarding {}, generation {}, in force for {}\n\
         reloads: {}, of which {} failed{last}\n\
         loaded: pool prefixes {} IPv4 and {} IPv6, exemptions {} IPv4 and {} IPv6; {expiry}\n",
        status.version,
        status.revision,
        status.instance,
        age(status.started, now),
        age(status.counting_since, now),
        status.config_file.display(),
        status.forwarding,
        status.generation,
        age(status.generation_since, now),
        reloads.total,
        reloads.failures,
        status.pool_prefixes.ipv4,
        status.pool_prefixes.ipv6,
        status.exemptions.ipv4,
        status.exemptions.ipv6,
    )
}

fn interface_table(status: &Status) -> Table {
    let is_wire = status.interfaces.iter().any(|known| known.wire.is_some());
    let mut header = vec!["INTERFACE", "ROLE", "MODE", "ATTACHED", "EGRESS", "PASSED"];
    if is_wire {
        header.extend(["GOES TO", "UP"]);
    }
    header.push("");
    let mut rows = table(&header);
    let yes = |is_so| if is_so { "yes" } else { "NO" }.to_owned();
    for interface in &status.interfaces {
        let passed = status.passed.iter().find(|p| p.interface == interface.name);
        let mut row = vec![
            interface.name.clone(),
            interface.role.clone(),
            interface.mode.clone(),
            yes(interface.attached),
            egress(interface),
            passed.map_or(0, |passed| passed.packets).to_string(),
        ];
        match &interface.wire {
            Some(wire) => row.extend([wire.peer.clone(), yes(wire.up)]),
            None if is_wire => row.extend(["the kernel".to_owned(), String::new()]),
            None => {}
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

/// Whether what leaves there is judged, and how.
fn egress(interface: &InterfaceStatus) -> String {
    let Some(egress) = &interface.egress else {
        return "?".to_owned();
    };
    match &egress.way {
        _ if egress.is_open() => "NO".to_owned(),
        Some(way) if egress.behind => format!("{way}, behind"),
        Some(way) => way.clone(),
        None => egress.configured.clone(),
    }
}

fn table_table(status: &Status) -> Table {
    let mut rows = table(&["TABLE", "ENTRIES", "CAPACITY", "KIB"]);
    for table in &status.tables {
        rows.add_row([
            table.table.clone(),
            table.entries.to_string(),
            table.capacity.to_string(),
            table.bytes.div_ceil(1024).to_string(),
        ]);
    }
    rows
}

fn denied_table(status: &Status) -> Table {
    let mut rows = table(&["RULE", "POOL", "DROPPED", "BYTES", "WOULD DROP"]);
    for total in &status.denied {
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
