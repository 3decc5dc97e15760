//! The controller of poolguard.
//!
//! A configuration becomes tables, and tables become a running filter:
//! [`config`] reads text, [`compile`] turns it into the tables that
//! [`filter_common::decide`](filter_common::decide()) consults, [`dataplane`] brings them into the
//! kernel. The first two are pure, and so is [`change`], which says what a
//! configuration would change.

pub mod args;
pub mod change;
pub mod compile;
pub mod config;
pub mod controller;
pub mod dataplane;
pub mod directory;
pub mod disk;
pub mod explain;
pub mod host;
pub mod intent;
mod listing;
pub mod metrics;
mod prefix_map;
mod public_directory;
mod refused_link;
mod regular_file;
mod remedy;
pub mod state;
pub mod status;
