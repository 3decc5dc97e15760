//! What poolguard decides, and nothing else.
//!
//! The XDP program, `poolguard explain`, `poolguard diff` and every test ask it; there
//! is no other implementation of the rules in the product. The crate reads
//! frames through [`Frame`] and tables through [`Tables`], so it neither knows
//! nor cares whether it runs in the kernel.
//!
//! A frame goes through the modules in this order: [`parse`] finds its
//! addresses and ports, [`decide`](mod@decide) holds them against the
//! [`policy`] that [`prefix_table`] finds for an address, [`verdict`] names the
//! outcome, [`counters`] says which counters it moves. [`abi`] has the names that the
//! program and its loader share.

#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod address;
pub mod counters;
pub mod decide;
pub mod flow;
pub mod frame;
pub mod parse;
pub mod policy;
pub mod prefix_table;
pub mod verdict;

pub use address::{Address, Family};
pub use decide::{Ingress, Role, Sources, Tables, decide};
pub use frame::Frame;
pub use policy::{Policy, PortClass, PortClasses, Protocol, ReturnTraffic, Settings};
pub use verdict::{DropReason, Outcome, Rule, Uninspected, Verdict};
