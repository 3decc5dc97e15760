//! Configurations and frames, at random but near the rules.
//!
//! What proptest draws is symbolic: "the last address of the third prefix", "the
//! port below the second forbidden one". [`Scenario::new`] makes text and bytes
//! of it. So both can be made smaller independently: an address stays at the
//! edge of a prefix when the prefix changes.
//!
//! - `setup` draws configurations that are valid by construction,
//! - [`place`] addresses and ports relative to one,
//! - [`link`], [`chain`], [`transport`] and [`frame`] the parts of a frame,
//! - [`scenario`] what happens in which order.
//!
//! All of it can be drawn from a fuzzer's bytes just as well: each type says how,
//! and [`bytes`] what more that takes. [`script`] keeps what was drawn.

pub mod bytes;
pub mod chain;
pub mod frame;
pub mod lie;
pub mod link;
pub mod place;
pub mod prefix;
pub mod scenario;
pub mod script;
pub mod setup;
pub mod transport;

pub use scenario::{Event, Scenario, Step, event};
pub use setup::{Setup, setup};
