//! Every metric: its name, its labels, its help text, and where its values are.
//!
//! The exposition is rendered from these lists, and the table in docs/metrics.md is held
//! equal to them. Nothing else has to know of a metric.

use api::status::{FamilyCounts, Status, TableStatus};
use filter_common::{DropReason, Rule};
use policy::totals::{Denied, DeniedByPort, Totals};

use super::{
    label::Label,
    metric::{
        Metric,
        Read::{Events, Facts, Frames},
        Series,
    },
};

/// The metrics: what the program counts, what the controller counts, and what it knows of
/// the moment.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "poolguard_dropped_packets_total",
        labels: &[Label::Pool, Label::Rule],
        help: "Frames dropped, by the rule that dropped them and the pool that it protects \
               (for smtp_out, that the mail came from).",
        read: Frames(|totals| by_rule(totals, |denied| denied.dropped_packets)),
    },
    Metric {
        name: "poolguard_dropped_bytes_total",
        labels: &[Label::Pool, Label::Rule],
        help: "Bytes of the frames dropped, from the IP header on.",
        read: Frames(|totals| by_rule(totals, |denied| denied.dropped_bytes)),
    },
    Metric {
        name: "poolguard_dropped_by_port_packets_total",
        labels: &[Label::Direction, Label::Port, Label::Proto],
        help: "The drops of inbound_port, smtp_out and smtp_reply again, by port or range as \
               written: the destination's, and for smtp_reply the source's.",
        read: Frames(|totals| by_port(totals, |denied| denied.dropped)),
    },
    Metric {
        name: "poolguard_dropped_by_reason_packets_total",
        labels: &[Label::Reason, Label::Rule],
        help: "All drops again, by the last detail of the reason.",
        read: Frames(|totals| by_reason(totals.dropped_by_reason())),
    },
    Metric {
        name: "poolguard_would_drop_packets_total",
        labels: &[Label::Pool, Label::Rule],
        help: "Frames passed because of monitor mode that would have been dropped.",
        read: Frames(|totals| by_rule(totals, |denied| denied.would_drop_packets)),
    },
    Metric {
        name: "poolguard_would_drop_by_reason_packets_total",
        labels: &[Label::Reason, Label::Rule],
        help: "The same again, by the last detail of the reason.",
        read: Frames(|totals| by_reason(totals.would_drop_by_reason())),
    },
    Metric {
        name: "poolguard_would_drop_by_port_packets_total",
        labels: &[Label::Direction, Label::Port, Label::Proto],
        help: "Those of inbound_port, smtp_out and smtp_reply again, by port or range as \
               written: the destination's, and for smtp_reply the source's.",
        read: Frames(|totals| by_port(totals, |denied| denied.would_drop)),
    },
    Metric {
        name: "poolguard_passed_packets_total",
        labels: &[Label::Interface],
        help: "Frames passed, by the interface that they arrived at.",
        read: Frames(|totals| by_interface(totals.passed())),
    },
    Metric {
        name: "poolguard_egress_passed_packets_total",
        labels: &[Label::Interface],
        help: "Packets judged on the way out and passed, by the interface that they left at: what was \
               not judged on arrival.",
        read: Frames(|totals| {
            by_interface(totals.judged_out().map(|(of, [passed, _])| (of, passed)))
        }),
    },
    Metric {
        name: "poolguard_egress_dropped_packets_total",
        labels: &[Label::Interface],
        help: "Packets judged on the way out and dropped, by the interface that they were to leave \
               at. The drops are in poolguard_dropped_packets_total as well.",
        read: Frames(|totals| {
            by_interface(totals.judged_out().map(|(of, [_, dropped])| (of, dropped)))
        }),
    },
    Metric {
        name: "poolguard_wire_unsent_packets_total",
        labels: &[Label::Interface],
        help: "Frames that were to pass and had nowhere to go, by the interface that they \
               arrived at: the other end of its wire was missing.",
        read: Frames(|totals| by_interface(totals.unsent())),
    },
    Metric {
        name: "poolguard_exempted_packets_total",
        labels: &[Label::Pool, Label::Rule],
        help: "Frames passed that a rule matched and an exemption let past.",
        read: Frames(exempted),
    },
    Metric {
        name: "poolguard_return_packets_total",
        labels: &[Label::Pool],
        help: "Frames passed as answers to a flow that the customer opened from a forbidden port.",
        read: Frames(|totals| {
            let pools = totals.permitted();
            let series = pools.map(|of| Series::new([of.pool], of.answers));
            series.collect()
        }),
    },
    Metric {
        name: "poolguard_uninspected_packets_total",
        labels: &[Label::Reason],
        help: "Frames passed without a port to look at.",
        read: Frames(|totals| {
            let reasons = totals.uninspected();
            let series = reasons.map(|(reason, n)| Series::new([reason.name()], n));
            series.collect()
        }),
    },
    Metric {
        name: "poolguard_config_reloads_total",
        labels: &[],
        help: "Attempts to reload the configuration.",
        read: Events(|status| one(status.reloads.total)),
    },
    Metric {
        name: "poolguard_config_reload_failures_total",
        labels: &[],
        help: "Attempts to reload the configuration that failed.",
        read: Events(|status| one(status.reloads.failures)),
    },
    Metric {
        name: "poolguard_interface_attachments_total",
        labels: &[Label::Interface],
        help: "How often an interface came (back) and was attached to by itself.",
        read: Events(attachments),
    },
    Metric {
        name: "poolguard_log_lines_lost_total",
        labels: &[],
        help: "Lines of the log that were lost because nobody read it or it could not be \
               written.",
        read: Events(|status| one(status.log_lines_lost)),
    },
    Metric {
        name: "poolguard_config_last_reload_successful",
        labels: &[],
        help: "Whether the last attempt to load the configuration succeeded.",
        read: Facts(|status| one(flag(status.reloads.last_successful))),
    },
    Metric {
        name: "poolguard_config_last_reload_success_timestamp_seconds",
        labels: &[],
        help: "When the configuration was last loaded.",
        read: Facts(|status| one(status.reloads.last_success.as_millisecond() as f64 / 1e3)),
    },
    Metric {
        name: "poolguard_config_generation",
        labels: &[],
        help: "The number of the generation in force, from 1.",
        read: Facts(|status| one(status.generation as f64)),
    },
    Metric {
        name: "poolguard_config_info",
        labels: &[Label::Hash],
        help: "Always 1; the label tells the texts of the configuration in force from others.",
        read: Facts(|status| vec![Series::new([&*status.config_hash], 1.0)]),
    },
    Metric {
        name: "poolguard_config_monitor",
        labels: &[],
        help: "1 while the whole box is in monitor mode: nothing is dropped.",
        read: Facts(|status| one(flag(status.monitor))),
    },
    Metric {
        name: "poolguard_pool_monitored",
        labels: &[Label::Pool],
        help: "1 while the pool is in monitor mode, by its own setting or the box's: what its \
               rules forbid passes.",
        read: Facts(monitored),
    },
    Metric {
        name: "poolguard_config_unconfirmed",
        labels: &[],
        help: "1 while the configuration in force waits for `poolguard confirm`.",
        read: Facts(|status| {
            one(flag(
                status.unconfirmed_until.is_some() || status.unconfirmed.is_some(),
            ))
        }),
    },
    Metric {
        name: "poolguard_config_rolled_back",
        labels: &[],
        help: "1 while the configuration in force is not that of the file, which was not \
               confirmed.",
        read: Facts(|status| one(flag(status.rolled_back.is_some()))),
    },
    Metric {
        name: "poolguard_config_last_good",
        labels: &[],
        help: "1 while the last good configuration is in force because the start refused the \
               file.",
        read: Facts(|status| one(flag(status.last_good.is_some()))),
    },
    Metric {
        name: "poolguard_half_done_prefixes",
        labels: &[],
        help: "Prefixes in which a part of a change that failed may be in force.",
        read: Facts(|status| one(status.half_done.len() as f64)),
    },
    Metric {
        name: "poolguard_exemptions",
        labels: &[Label::Family],
        help: "Customer prefixes loaded that hold an exemption.",
        read: Facts(|status| by_family(status.exemptions)),
    },
    Metric {
        name: "poolguard_temporary_exemptions",
        labels: &[Label::Family],
        help: "Prefixes with a temporary exemption.",
        read: Facts(|status| by_family(status.temporary_exemptions)),
    },
    Metric {
        name: "poolguard_exemptions_watched",
        labels: &[],
        help: "Prefixes with an exemption that holds, permanent or temporary, whose use is watched.",
        read: Facts(|status| one(status.exemption_use.watched as f64)),
    },
    Metric {
        name: "poolguard_exemptions_unused_90_days",
        labels: &[],
        help: "Those of them that were not used in 90 days for which a controller watched.",
        read: Facts(|status| one(status.exemption_use.unused_90_days as f64)),
    },
    Metric {
        name: "poolguard_pool_prefixes",
        labels: &[Label::Family],
        help: "Pool prefixes loaded.",
        read: Facts(|status| by_family(status.pool_prefixes)),
    },
    Metric {
        name: "poolguard_table_entries",
        labels: &[Label::Table],
        help: "What a table of the program holds.",
        read: Facts(|status| by_table(status, |table| table.entries)),
    },
    Metric {
        name: "poolguard_table_capacity",
        labels: &[Label::Table],
        help: "What a table of the program can hold.",
        read: Facts(|status| by_table(status, |table| table.capacity)),
    },
    Metric {
        name: "poolguard_program_attached",
        labels: &[Label::Interface, Label::Mode, Label::Role],
        help: "1 while the program is attached to the interface.",
        read: Facts(attached),
    },
    Metric {
        name: "poolguard_egress_attached",
        labels: &[Label::Interface],
        help: "1 while a program judges what leaves at the interface, 0 where it should and does not.",
        read: Facts(exits),
    },
    Metric {
        name: "poolguard_wire_up",
        labels: &[Label::Interface, Label::Peer],
        help: "1 while what the interface permits goes out of the peer.",
        read: Facts(wires),
    },
    Metric {
        name: "poolguard_build_info",
        labels: &[Label::Revision, Label::Version],
        help: "Always 1; the labels say what is running.",
        read: Facts(|status| {
            let build = [&*status.revision, &*status.version];
            vec![Series::new(build, 1.0)]
        }),
    },
];

/// Every counter of the program, by its full name: `name{label="value"}`.
pub fn counters(totals: &Totals) -> Vec<(String, u64)> {
    let counters = METRICS.iter().flat_map(|metric| {
        let series = match metric.read {
            Frames(read) => read(totals),
            Events(_) | Facts(_) => Vec::new(),
        };
        let named = series.into_iter();
        named.map(|series| (metric.full_name(&series), series.value))
    });
    counters.collect()
}

fn by_rule(totals: &Totals, value: fn(Denied<'_>) -> u64) -> Vec<Series<'_, u64>> {
    let series = totals.denied().map(|denied| {
        let labels = [denied.pool, denied.rule.name()];
        Series::new(labels, value(denied))
    });
    series.collect()
}

fn by_port(totals: &Totals, value: fn(&DeniedByPort) -> u64) -> Vec<Series<'_, u64>> {
    let series = totals.denied_by_port().map(|denied| {
        let port = denied.ports.to_string().into();
        let (direction, protocol) = (denied.direction.name(), denied.protocol.name());
        Series {
            labels: vec![direction.into(), port, protocol.into()],
            value: value(&denied),
        }
    });
    series.collect()
}

fn by_reason(counts: impl Iterator<Item = (DropReason, u64)>) -> Vec<Series<'static, u64>> {
    let series = counts.map(|(reason, n)| {
        let labels = [reason.name(), reason.rule().name()];
        Series::new(labels, n)
    });
    series.collect()
}

/// Of the interfaces whose way out is to be filtered.
fn exits(status: &Status) -> Vec<Series<'_, f64>> {
    let interfaces = status.interfaces.iter();
    let filtered = interfaces.filter_map(|interface| {
        let egress = interface.egress.as_ref()?;
        let is_wanted = egress.way.is_some() || egress.is_open();
        let series = Series::new([&*interface.name], flag(!egress.is_open()));
        is_wanted.then_some(series)
    });
    filtered.collect()
}

fn by_interface<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Vec<Series<'a, u64>> {
    let series = counts.map(|(interface, n)| Series::new([interface], n));
    series.collect()
}

fn exempted(totals: &Totals) -> Vec<Series<'_, u64>> {
    let series = totals.permitted().flat_map(|of| {
        let labels = |rule: Rule| [of.pool, rule.name()];
        [
            Series::new(labels(Rule::InboundPort), of.exempted_inbound),
            Series::new(labels(Rule::SmtpOut), of.exempted_smtp_out),
        ]
    });
    series.collect()
}

fn attachments(status: &Status) -> Vec<Series<'_, u64>> {
    let series = status.interfaces.iter().map(|interface| {
        let times = status.attachments.get(&interface.name);
        Series::new([&*interface.name], times.copied().unwrap_or(0))
    });
    series.collect()
}

fn monitored(status: &Status) -> Vec<Series<'_, f64>> {
    let pools = status.pools.iter();
    let series = pools.map(|pool| Series::new([&*pool.name], flag(pool.monitored)));
    series.collect()
}

fn attached(status: &Status) -> Vec<Series<'_, f64>> {
    let series = status.interfaces.iter().map(|interface| {
        let labels = [&*interface.name, &*interface.mode, &*interface.role];
        Series::new(labels, flag(interface.attached))
    });
    series.collect()
}

fn wires(status: &Status) -> Vec<Series<'_, f64>> {
    let series = status.interfaces.iter().filter_map(|interface| {
        let wire = interface.wire.as_ref()?;
        let labels = [&*interface.name, &*wire.peer];
        Some(Series::new(labels, flag(wire.up)))
    });
    series.collect()
}

fn by_family(counts: FamilyCounts) -> Vec<Series<'static, f64>> {
    vec![
        Series::new(["ipv4"], counts.ipv4 as f64),
        Series::new(["ipv6"], counts.ipv6 as f64),
    ]
}

fn by_table(status: &Status, value: fn(&TableStatus) -> u64) -> Vec<Series<'_, f64>> {
    let tables = status.tables.iter();
    let series = tables.map(|table| Series::new([&*table.table], value(table) as f64));
    series.collect()
}

/// The series of a metric without labels.
fn one<Value>(value: Value) -> Vec<Series<'static, Value>> {
    vec![Series::new([], value)]
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

    /// A metric's line in the document.
    fn line(metric: &Metric) -> String {
        let kind = match metric.read {
            Frames(_) | Events(_) => "counter",
            Facts(_) => "gauge",
        };
        let labels = metric.labels.iter();
        let labels = labels.map(|label| format!("`{}`", label.name()));
        let labels = labels.collect::<Vec<_>>().join(", ");
        format!(
            "| `{}` | {kind} | {labels} | {} |",
            metric.name, metric.help
        )
    }

    #[test]
    fn the_document_has_every_metric_and_no_other() {
        let lines: Vec<String> = METRICS.iter().map(line).collect();
        let is_metric = |line: &&str| line.starts_with("| `poolguard_");
        let documented: Vec<&str> = DOCUMENT.lines().filter(is_metric).collect();
        assert!(
            documented == lines,
            "the rows of the table in docs/metrics.md are to be:\n\n{}\n",
            lines.join("\n")
        );
    }

    #[test]
    fn no_name_is_given_twice() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn labels_come_in_alphabetical_order() {
        for Metric { name, labels, .. } in METRICS {
            assert!(labels.is_sorted_by(|a, b| a.name() < b.name()), "{name}");
        }
    }
}
