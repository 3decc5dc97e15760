//! What it is to cost at most.

use super::results::{Row, Way};

/// What has become of each target, with the most customers that were measured, one
/// line each.
pub fn outcomes(rows: &[Row]) -> Vec<String> {
    let most = rows
        .iter()
        .map(|row| row.prefixes)
        .max()
        .unwrap_or_default();
    let mut lines = Vec::new();
    for row in rows {
        let is_ours = row.subject == "poolguard" && row.prefixes == most;
        match (row.way, row.case) {
            (Way::TestRun, "unwatched") if is_ours => {
                lines.push(at_most(row, "ns over the floor", row.over_floor_ns, 8.0));
            }
            (Way::TestRun, "dropped") if is_ours => {
                let limit = if row.family == 4 { 20.0 } else { 40.0 };
                lines.push(at_most(row, "ns over the floor", row.over_floor_ns, limit));
                let ten = rows.iter().find(|other| {
                    other.prefixes == 10
                        && (
                            other.way,
                            other.case,
                            other.subject,
                            other.family,
                            other.layout,
                        ) == (row.way, row.case, row.subject, row.family, row.layout)
                });
                if let Some(ten) = ten {
                    let times = row.over_floor_ns / ten.over_floor_ns;
                    lines.push(at_most(row, "times that with 10 customers", times, 2.0));
                }
            }
            (Way::Live, "unwatched") if row.subject == "wire" => {
                let bridge = rows.iter().find(|other| {
                    (other.subject, other.processors) == ("kernel_bridge", row.processors)
                });
                if let Some(bridge) = bridge {
                    let times = bridge.ns_per_packet / row.ns_per_packet;
                    let what = format!(
                        "times the rate of kernel_bridge on {} processors",
                        row.processors
                    );
                    lines.push(at_least(row, &what, times, 3.0));
                }
            }
            (Way::Live, "unwatched") if row.subject == "kernel_router" => {
                let open = rows.iter().find(|other| {
                    (other.subject, other.processors)
                        == ("kernel_router_egress_off", row.processors)
                });
                if let Some(open) = open {
                    let more = 100.0 * (row.ns_per_packet / open.ns_per_packet - 1.0);
                    let what = format!(
                        "% more than with `egress = \"off\"` on {} processors",
                        row.processors
                    );
                    lines.push(at_most(row, &what, more, 5.0));
                }
            }
            (Way::Live, "dropped") if is_ours => {
                for (rival, limit) in [("xdp_filter", 1.0), ("nft_ingress", 5.0)] {
                    let rival_row = rows.iter().find(|other| {
                        (other.way, other.case, other.subject, other.family)
                            == (row.way, row.case, rival, row.family)
                            && [0, most].contains(&other.prefixes)
                    });
                    if let Some(other) = rival_row {
                        let times = other.ns_per_packet / row.ns_per_packet;
                        let what = format!("times the rate of {rival}");
                        lines.push(at_least(row, &what, times, limit));
                    }
                }
            }
            _ => {}
        }
    }
    lines
}

fn at_most(row: &Row, what: &str, value: f64, limit: f64) -> String {
    let verdict = if value <= limit { "met" } else { "missed" };
    line(
        row,
        what,
        value,
        &format!("wanted at most {limit}"),
        verdict,
    )
}

fn at_least(row: &Row, what: &str, value: f64, limit: f64) -> String {
    let verdict = if value >= limit { "met" } else { "missed" };
    line(
        row,
        what,
        value,
        &format!("wanted at least {limit}"),
        verdict,
    )
}

fn line(row: &Row, what: &str, value: f64, wanted: &str, verdict: &str) -> String {
    let Row {
        way,
        case,
        family,
        prefixes,
        ..
    } = row;
    let way = match way {
        Way::TestRun => "decided",
        Way::Live => "live",
    };
    let layout = row.layout.unwrap_or_default();
    format!(
        "{verdict}: {case}, {way}, IPv{family}, {prefixes} customers, {layout}: {value:.1} {what} ({wanted})"
    )
}
