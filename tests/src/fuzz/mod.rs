//! What a fuzzer runs: bytes go in, and what must never happen is a panic.
//!
//! `cargo xtask fuzz` has libFuzzer look for bytes that reach code that no
//! others reached. What it came upon before is kept, and run with every
//! `cargo test`: `tests/regressions/<target>/` has what once went wrong, by number,
//! `tests/corpus/<target>/` a small set of bytes that reaches all that was reached.

pub mod configuration;
pub mod customer_list;
pub mod decision;
pub mod prefix_table;

/// Something that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the program, and of its directories.
    pub name: &'static str,
    /// What it does with the fuzzer's bytes.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "decision",
        run: decision::run,
    },
    Target {
        name: "prefix_table",
        run: prefix_table::run,
    },
    Target {
        name: "configuration",
        run: configuration::run,
    },
    Target {
        name: "customer_list",
        run: customer_list::run,
    },
];
