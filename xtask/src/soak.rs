//! `cargo xtask soak`: the oracle, the decision function and the program, held
//! against each other for as long as one likes.

use anyhow::Result;

use crate::{
    build,
    command::{host_cargo, run},
    setup::{self, Mode},
    workspace::{is_root, step},
};

/// The command.
pub(crate) fn run_command(minutes: u64, seed: Option<u64>) -> Result<()> {
    let mut cargo = host_cargo();
    cargo.args(["run", "--release", "--package", "poolguard-tests"]);
    cargo.args(["--bin", "soak"]);
    if is_root() {
        build::program(&setup::for_programs(Mode::Install, &[])?)?;
        cargo.args(["--features", "kernel"]);
    } else {
        step("without root the program in the kernel is NOT asked");
    }
    cargo.args(["--", &minutes.to_string()]);
    cargo.args(seed.map(|seed| seed.to_string()));
    step("soaking");
    run(&mut cargo)
}
