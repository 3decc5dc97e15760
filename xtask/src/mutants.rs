//! `cargo xtask mutants`: does any test notice when the decision is broken?

use anyhow::Result;

use crate::{
    command::{outside_cargo, run},
    crate_tool::CrateTool,
    setup::Mode,
    workspace::step,
};

const CARGO_MUTANTS: CrateTool = CrateTool {
    name: "cargo-mutants",
    version: "27.1.0",
    ask: &["mutants", "--version"],
};

/// The command. What is broken and who judges is said in `.cargo/mutants.toml`;
/// `args` are for cargo-mutants.
pub(crate) fn run_command(args: &[String]) -> Result<()> {
    let program = CARGO_MUTANTS.obtain(Mode::Install)?;
    step("breaking filter-common, one place at a time");
    // Failing tests are expected by the hundred: nobody reads their backtraces.
    run(outside_cargo(program)
        .env("RUST_BACKTRACE", "0")
        .args(["mutants", "--output", "target"])
        .args(args))
}
