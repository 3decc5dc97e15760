//! Counters under their Prometheus names.
//!
//! [`Totals`](policy::totals::Totals) are what all generations have counted, by the names
//! of pools, ports and interfaces; its methods say what each count is of. `status` is
//! computed from these.
//! The catalogue lists every metric, those of the program and the controller's own, and
//! the [`exposition`] renders them.

mod catalogue;
pub mod exposition;
mod label;
mod metric;

pub use catalogue::counters;
