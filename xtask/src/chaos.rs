//! `cargo xtask chaos`: what becomes of the traffic while everything goes wrong.

use anyhow::{Result, bail};

use crate::{
    build,
    command::{host_cargo, run_showing},
    packages,
    setup::{self, Mode},
    workspace::{is_root, step},
};

/// The command.
pub(crate) fn run_command(json: bool, quick: bool, only: Option<String>) -> Result<()> {
    if !is_root() {
        bail!("this takes root: it makes network namespaces and loads the program");
    }
    build::program(&setup::for_programs(Mode::Install, packages::TEST)?)?;
    build::host(false)?;
    step("bringing about every fault");
    let mut cargo = host_cargo();
    cargo.args(["run", "--package", "poolguard-tests", "--bin", "chaos"]);
    cargo.args(["--features", "kernel", "--"]);
    cargo.args(json.then_some("--json"));
    cargo.args(quick.then_some("--quick"));
    if let Some(words) = only {
        cargo.args(["--only", &words]);
    }
    run_showing(&mut cargo)
}
