//! `cargo xtask bulk`: how long things take with a million rows of customers.

use anyhow::{Result, bail};

use crate::{
    build,
    command::{host_cargo, run},
    setup::{self, Mode},
    workspace::{is_root, step},
};

/// The command.
pub(crate) fn run_command(rows: u64, seed: u64) -> Result<()> {
    if !is_root() {
        bail!("this takes root: it makes network namespaces and loads the program");
    }
    build::program(&setup::for_programs(Mode::Install, &[])?)?;
    build::host(true)?;
    step("measuring");
    let mut cargo = host_cargo();
    cargo.args(["run", "--release", "--package", "poolguard-tests"]);
    cargo.args(["--bin", "bulk", "--features", "kernel", "--"]);
    cargo.args([rows.to_string(), seed.to_string()]);
    run(&mut cargo)
}
