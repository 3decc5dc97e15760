//! Three answers to the same question: the [`oracle`](crate::oracle)'s, the
//! decision function's, and the XDP program's.
//!
//! A [`Trial`] puts all three in front of one configuration and shows them frame
//! after frame. After each, the verdict and its reason have to agree, and every counter
//! after each or after many. [`campaign`] goes through many configurations, keeps a [`census`] of
//! what was shown, and makes what they disagree on [`smaller`].

pub mod campaign;
pub mod census;
pub mod counters;
pub mod draw;
#[cfg_attr(not(feature = "kernel"), path = "no_program.rs")]
mod program;
pub mod regressions;
pub mod smaller;
pub mod trial;

pub use campaign::{Campaign, Plan};
pub use census::Census;
pub use draw::Events;
pub use trial::{Disagreement, Trial, Witnesses};
