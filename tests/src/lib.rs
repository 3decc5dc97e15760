//! What poolguard does to every kind of frame.
//!
//! A [fixture] is a configuration and a story in frames: what arrives where,
//! what becomes of it, and how every counter moves. The stories are written
//! once, in [`fixtures`], and told to the decision function on the [`host`], to
//! the XDP program through `BPF_PROG_TEST_RUN`, and, a part of them, on the
//! wire between network namespaces.
//!
//! [`frames`] builds the frames, hostile ones as well; [`configs`] has the
//! configurations.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

pub mod configs;
pub mod fixture;
pub mod fixtures;
pub mod frames;
pub mod host;
#[cfg(feature = "kernel")]
pub mod kernel;
#[cfg(feature = "kernel")]
pub mod wire;
