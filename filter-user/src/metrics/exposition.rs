//! `/metrics` in the Prometheus text format.

use prometheus::{
    Encoder as _, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::{Counter, Gauge, LabelPair, Metric as ProtoMetric, MetricFamily, MetricType},
};

use super::Sample;
use crate::status::Status;

/// The content type of what [`render`] returns.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// One scrape: all families, as they were read from the kernel for it.
struct Scrape(Vec<MetricFamily>);

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        // Its registry holds nothing else that could collide with it.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.clone()
    }
}

/// Renders the counters and the controller's own facts.
///
/// # Errors
///
/// When the library refuses a name or a label: a mistake in this program.
pub fn render(samples: &[Sample], status: &Status) -> prometheus::Result<Vec<u8>> {
    let mut families = counter_families(samples);
    families.extend(gauge_families(status));
    let registry = Registry::new();
    registry.register(Box::new(Scrape(families)))?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

fn counter_families(samples: &[Sample]) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for metric in super::COUNTERS {
        let metrics: Vec<_> = samples
            .iter()
            .filter(|sample| sample.metric == *metric)
            .map(|sample| counter(&sample.labels, sample.value))
            .collect();
        if !metrics.is_empty() {
            families.push(family(
                metric.name,
                metric.help,
                MetricType::COUNTER,
                metrics,
            ));
        }
    }
    families
}

fn gauge_families(status: &Status) -> Vec<MetricFamily> {
    let reloads = status.reloads;
    let tables = |value: fn(&crate::status::TableStatus) -> u64| {
        status
            .tables
            .iter()
            .map(|table| gauge(&[("table", table.table.clone())], value(table) as f64))
            .collect()
    };
    let by_family = |counts: crate::status::FamilyCounts| {
        vec![
            gauge(&[("family", "ipv4".to_owned())], counts.ipv4 as f64),
            gauge(&[("family", "ipv6".to_owned())], counts.ipv6 as f64),
        ]
    };
    let attached = status.interfaces.iter().map(|interface| {
        let labels = [
            ("interface", interface.name.clone()),
            ("mode", interface.mode.clone()),
            ("role", interface.role.clone()),
        ];
        gauge(&labels, f64::from(u8::from(interface.attached)))
    });
    let wires = status.interfaces.iter().filter_map(|interface| {
        let wire = interface.wire.as_ref()?;
        let labels = [
            ("interface", interface.name.clone()),
            ("peer", wire.peer.clone()),
        ];
        Some(gauge(&labels, f64::from(u8::from(wire.up))))
    });
    let wires: Vec<_> = wires.collect();
    let attachments = status.interfaces.iter().map(|interface| {
        let times = status.attachments.get(&interface.name);
        let labels = [("interface", interface.name.clone())];
        counter(&labels, times.copied().unwrap_or(0))
    });
    let build = [
        ("revision", status.revision.clone()),
        ("version", status.version.clone()),
    ];
    let is_gauge = MetricType::GAUGE;
    let is_counter = MetricType::COUNTER;
    let mut families = vec![
        family(
            "poolguard_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
            is_gauge,
            vec![gauge(&[], f64::from(u8::from(reloads.last_successful)))],
        ),
        family(
            "poolguard_config_last_reload_success_timestamp_seconds",
            "When the configuration was last loaded.",
            is_gauge,
            vec![gauge(
                &[],
                reloads.last_success.as_millisecond() as f64 / 1e3,
            )],
        ),
        family(
            "poolguard_config_reloads_total",
            "Attempts to reload the configuration.",
            is_counter,
            vec![counter(&[], reloads.total)],
        ),
        family(
            "poolguard_config_reload_failures_total",
            "Attempts to reload the configuration that failed.",
            is_counter,
            vec![counter(&[], reloads.failures)],
        ),
        family(
            "poolguard_config_generation",
            "The number of the generation in force, from 1.",
            is_gauge,
            vec![gauge(&[], status.generation as f64)],
        ),
        family(
            "poolguard_config_unconfirmed",
            "1 while the configuration in force goes back unless it is confirmed.",
            is_gauge,
            vec![gauge(
                &[],
                f64::from(u8::from(status.unconfirmed_until.is_some())),
            )],
        ),
        family(
            "poolguard_config_rolled_back",
            "1 while the configuration in force is not that of the file, which was not confirmed.",
            is_gauge,
            vec![gauge(
                &[],
                f64::from(u8::from(status.rolled_back.is_some())),
            )],
        ),
        family(
            "poolguard_config_last_good",
            "1 while the last good configuration is in force because the start refused the file.",
            is_gauge,
            vec![gauge(&[], f64::from(u8::from(status.last_good.is_some())))],
        ),
        family(
            "poolguard_exemptions",
            "Customer prefixes loaded that hold an exemption.",
            is_gauge,
            by_family(status.exemptions),
        ),
        family(
            "poolguard_temporary_exemptions",
            "Prefixes with a temporary exemption.",
            is_gauge,
            by_family(status.temporary_exemptions),
        ),
        family(
            "poolguard_pool_prefixes",
            "Pool prefixes loaded.",
            is_gauge,
            by_family(status.pool_prefixes),
        ),
        family(
            "poolguard_table_entries",
            "What a table of the program holds.",
            is_gauge,
            tables(|table| table.entries),
        ),
        family(
            "poolguard_table_capacity",
            "What a table of the program can hold.",
            is_gauge,
            tables(|table| table.capacity),
        ),
        family(
            "poolguard_program_attached",
            "1 while the program is attached to the interface.",
            is_gauge,
            attached.collect(),
        ),
        family(
            "poolguard_interface_attachments_total",
            "How often an interface came (back) and was attached to by itself.",
            is_counter,
            attachments.collect(),
        ),
        family(
            "poolguard_build_info",
            "Always 1; the labels say what is running.",
            is_gauge,
            vec![gauge(&build, 1.0)],
        ),
    ];
    // A family without a metric is refused.
    if !wires.is_empty() {
        families.push(family(
            "poolguard_wire_up",
            "1 while what the interface permits goes out of the peer.",
            is_gauge,
            wires,
        ));
    }
    families
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<ProtoMetric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(labels: &[(&'static str, String)], value: u64) -> ProtoMetric {
    let mut metric = ProtoMetric::from_label(pairs(labels));
    let mut counter = Counter::default();
    // Exact up to 2^53: at 100 million packets a second, for almost three years.
    counter.set_value(value as f64);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: &[(&'static str, String)], value: f64) -> ProtoMetric {
    let mut metric = ProtoMetric::from_label(pairs(labels));
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn pairs(labels: &[(&'static str, String)]) -> Vec<LabelPair> {
    labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.clone());
            pair
        })
        .collect()
}
