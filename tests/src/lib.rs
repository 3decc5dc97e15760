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
//!
//! What no story tells is drawn at random: [`generate`] draws configurations and
//! frames, the [`oracle`] is a second implementation of the rules, and
//! [`agreement`] holds it, the decision function and the program against each
//! other. `firewall` has nft answer, too. [`captures`] are frames that others have
//! seen on their networks, shown to the same three. [`exhaustive`] draws nothing: it
//! goes through whole spaces of frames and prefixes.
//! [`fuzz`] is what a fuzzer runs.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

pub mod agreement;
pub mod captures;
#[cfg(feature = "kernel")]
pub mod chaos;
pub mod configs;
pub mod exhaustive;
#[cfg(feature = "kernel")]
pub mod firewall;
pub mod fixture;
pub mod fixtures;
pub mod frames;
pub mod fuzz;
pub mod generate;
pub mod host;
#[cfg(feature = "kernel")]
pub mod kernel;
#[cfg(feature = "kernel")]
pub mod living;
pub mod oracle;
#[cfg(feature = "kernel")]
pub mod wire;
