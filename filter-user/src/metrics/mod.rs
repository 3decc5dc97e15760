//! The program's counters under their Prometheus names.
//!
//! [`Totals`] are what all generations have counted, by name; [`samples`] gives
//! metrics and labels to that; the [`exposition`] adds what the controller knows and
//! renders the text format.

pub mod exposition;
mod samples;
mod totals;

pub use samples::{COUNTERS, Metric, Sample, samples};
pub(crate) use samples::{DROPPED_BYTES, DROPPED_PACKETS, PASSED_PACKETS, WOULD_DROP_PACKETS};
pub use totals::{CounterSource, Forgotten, Totals};
