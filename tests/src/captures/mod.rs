//! Frames that no one here made: what other projects have captured, to test
//! their own parsers with.
//!
//! A [`Collection`] is read from a directory of `file`s; what is not Ethernet
//! is given an Ethernet header by [`link`], or is counted as left out, by name.
//! The addresses and ports that occur in it make [`configuration`]s under which
//! the same frames are dropped, exempted and passed. [`replay`](mod@replay) shows all of it to
//! the oracle, the decision function and the program, as in
//! [`agreement`](crate::agreement).
//!
//! `tests/captures/SOURCES.md` says where those in this repository come from;
//! `cargo xtask captures` fetches more.

pub mod collection;
pub mod configuration;
pub mod file;
pub mod link;
pub mod replay;
pub mod repository;

pub use collection::Collection;
pub use replay::replay;
