//! Everything there is, in spaces that are small enough to go through.
//!
//! Where a header field steers what the parser does, [`link`], [`ipv4`],
//! [`ipv6`], [`chains`] and [`cuts`] go through every value that it can have,
//! and hold [`parse`](filter_common::parse::parse()) against the
//! [`oracle`](crate::oracle). [`ports`] does the same with the whole decision,
//! its reason and its counters; [`prefixes`] with the prefix table, against a
//! search through all prefixes.
//!
//! A [`Domain`] also holds the reader of common frames against the parser, and [`common`]
//! sees to it that it finds them.
//!
//! A [`Domain`] counts what it was shown. How much there is to show is worked
//! out apart from that, so a loop that ends early is noticed.

pub mod chains;
pub mod common;
pub mod cuts;
pub mod domain;
pub mod ipv4;
pub mod ipv6;
pub mod link;
pub mod ports;
pub mod prefixes;
pub mod shapes;

pub use domain::Domain;
