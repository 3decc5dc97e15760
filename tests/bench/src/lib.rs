//! What a packet costs: poolguard beside a program that drops at once and beside
//! what people would otherwise use.
//!
//! [`customers`] says who lives where, [`cases`] which frames are decided,
//! [`subjects`] by whom. [`decisions`] times programs alone, through
//! `BPF_PROG_TEST_RUN`; [`live`] sends frames to routers; [`processors`] to what forwards
//! in other ways as well, on one processor and on all. [`instructions`] counts what a
//! frame takes. [`rounds`] is how anything is measured here: all subjects in turn, many
//! times over, and the median of each. [`results`] are printed, and held against the
//! [`targets`].

#![expect(clippy::unwrap_used, reason = "a panic says what is wrong")]

pub mod cases;
pub mod customers;
pub mod decisions;
pub mod instructions;
pub mod live;
pub mod netfilter;
pub mod plan;
pub mod processors;
pub mod programs;
pub mod results;
pub mod rounds;
mod router;
pub mod subjects;
pub mod targets;

#[path = "../../../filter-ebpf/src/bench/spec.rs"]
pub mod spec;
