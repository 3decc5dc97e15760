//! What a metric is made of.

use std::borrow::Cow;

use policy::totals::Totals;

use api::status::Status;

use super::label::Label;

/// A metric: what is said of it, and how its series are read.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its whole name.
    pub(super) name: &'static str,
    /// What tells its series apart, in alphabetical order.
    pub(super) labels: &'static [Label],
    /// The text of `# HELP`.
    pub(super) help: &'static str,
    /// From what, and how.
    pub(super) read: Read,
}

/// Gives all series of a metric, those that are zero as well: a series that appears only
/// with its first event hides that event from rates.
///
/// What they are read from says what the metric is: what is counted is a counter and an
/// integer, what is a fact of the moment is a gauge.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// What the program counts.
    Frames(fn(&Totals) -> Vec<Series<'_, u64>>),
    /// What the controller counts.
    Events(fn(&Status) -> Vec<Series<'_, u64>>),
    /// What the controller knows.
    Facts(fn(&Status) -> Vec<Series<'_, f64>>),
}

impl Metric {
    /// The name of one of its series, as the text format writes it.
    pub(super) fn full_name<Value>(&self, series: &Series<'_, Value>) -> String {
        let pairs = self.labels.iter().zip(&series.labels);
        let pairs = pairs.map(|(label, value)| format!("{}={value:?}", label.name()));
        format!("{}{{{}}}", self.name, pairs.collect::<Vec<_>>().join(","))
    }
}

/// One value of a metric.
pub(super) struct Series<'a, Value> {
    /// What the labels are, in the order of the metric's.
    pub(super) labels: Vec<Cow<'a, str>>,
    /// A number.
    pub(super) value: Value,
}

impl<'a, Value> Series<'a, Value> {
    pub(super) fn new<const N: usize>(labels: [&'a str; N], value: Value) -> Self {
        Self {
            labels: labels.map(Cow::Borrowed).into(),
            value,
        }
    }
}
