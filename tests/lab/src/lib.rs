//! What the tests and the demo are made of: network namespaces, the cables between
//! them, boxes, and the programs that run there.
//!
//! A [`Namespace`] is a host, a [`cable`] leads from one to another, a [`Port`] sends
//! and receives frames at the end of one, and a [`bridge`] makes a switch of a host. A
//! [`Process`] is any program, a [`Machine`] a box with the real `poolguard` on it, run
//! as an operator runs it. All of them go with their values.
//!
//! Nothing here knows the controller from inside: it is a program with a name.
//!
//! What a user of the demo can meet is an [`Error`]. Tests call the functions that
//! panic: a test that cannot go on has failed, and a panic says where.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

pub mod bridge;
pub mod cable;
pub mod cpu;
mod error;
pub mod interrupt;
mod machine;
mod namespace;
mod port;
mod process;
mod running;

pub use error::Error;
pub use machine::{CONFIG, Machine, by_wire, last_line, poolguard};
pub use namespace::{DIRECTORY, Namespace};
pub use port::{Port, Scatterer};
pub use process::{Ended, Process, command, pinned_link};
pub use running::{Running, get, metric};
