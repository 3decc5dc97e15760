//! `/metrics` in the Prometheus text format.

use std::{borrow::Cow, collections::HashMap};

use api::status::Status;
use policy::totals::Totals;
use prometheus::{
    Encoder as _, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::{self, LabelPair, MetricFamily, MetricType},
};

use super::{
    catalogue::METRICS,
    metric::{Metric, Read, Series},
};

/// The content type of what [`render`] returns.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Renders one snapshot: the counters of the program and the controller's own facts.
///
/// # Errors
///
/// When the library refuses a name or a label: a mistake in this program.
pub fn render(totals: Totals, status: Status) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new();
    registry.register(Box::new(Scrape::new(totals, status)?))?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

/// The collector of one snapshot.
///
/// A registry for good would have to read the kernel while it gathers, where a failure
/// cannot be told: so each scrape reads first, and then has a registry of its own.
struct Scrape {
    totals: Totals,
    status: Status,
    descriptions: Vec<Desc>,
}

impl Scrape {
    fn new(totals: Totals, status: Status) -> prometheus::Result<Self> {
        let descriptions = METRICS.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self {
            totals,
            status,
            descriptions,
        })
    }

    /// A metric and its series; the registry leaves it out if there are none.
    fn family(&self, metric: &Metric) -> MetricFamily {
        let (kind, series) = match metric.read {
            Read::Frames(read) => (MetricType::COUNTER, counters(metric, read(&self.totals))),
            Read::Events(read) => (MetricType::COUNTER, counters(metric, read(&self.status))),
            Read::Facts(read) => (MetricType::GAUGE, gauges(metric, read(&self.status))),
        };
        let mut family = MetricFamily::default();
        family.set_name(metric.name.to_owned());
        family.set_help(metric.help.to_owned());
        family.set_field_type(kind);
        family.set_metric(series);
        family
    }
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        METRICS.iter().map(|metric| self.family(metric)).collect()
    }
}

fn describe(metric: &Metric) -> prometheus::Result<Desc> {
    let labels = metric.labels.iter().map(|label| label.name().to_owned());
    let (name, help) = (metric.name.to_owned(), metric.help.to_owned());
    Desc::new(name, help, labels.collect(), HashMap::new())
}

fn counters(metric: &Metric, series: Vec<Series<'_, u64>>) -> Vec<proto::Metric> {
    let counters = series.into_iter().map(|series| {
        let mut counter = proto::Counter::default();
        // Exact up to 2^53: at 100 million packets a second, for almost three years.
        counter.set_value(series.value as f64);
        let mut labelled = labelled(metric, series.labels);
        labelled.set_counter(counter);
        labelled
    });
    counters.collect()
}

fn gauges(metric: &Metric, series: Vec<Series<'_, f64>>) -> Vec<proto::Metric> {
    let gauges = series.into_iter().map(|series| {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(series.value);
        let mut labelled = labelled(metric, series.labels);
        labelled.set_gauge(gauge);
        labelled
    });
    gauges.collect()
}

fn labelled(metric: &Metric, values: Vec<Cow<'_, str>>) -> proto::Metric {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let pairs = metric.labels.iter().zip(values).map(|(label, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.name().to_owned());
        pair.set_value(value.into_owned());
        pair
    });
    proto::Metric::from_label(pairs.collect())
}
