//! The Debian package under a living systemd.
//!
//! A box (`debian`) is a root file system of Debian's, in which systemd boots as process 1
//! of namespaces of its own, with a bpffs and a network of its own. The box is a bridge,
//! and numbered frames go through it. The `story` is what happens to the package there
//! from its installation to its purge.

mod debian;
mod gates;
mod journal;
mod package;
mod service;
mod site;
mod starts;
mod story;

pub use story::{Packages, tell};
