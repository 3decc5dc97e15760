//! The program's counters under their Prometheus names.
//!
//! [`samples`] gives names and labels to what the program counts; the
//! [`exposition`] adds what the controller knows and renders the text format.

pub mod exposition;
mod samples;

pub use samples::{COUNTERS, CounterSource, Metric, Sample, samples};
pub(crate) use samples::{DROPPED_BYTES, DROPPED_PACKETS, PASSED_PACKETS, WOULD_DROP_PACKETS};
