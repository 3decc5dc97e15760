//! `cargo xtask bench`: what a packet costs, here and elsewhere.

use anyhow::{Result, bail};

use crate::{
    build,
    command::{host_cargo, run_showing},
    packages,
    setup::{self, Mode},
    workspace::{bench_object, is_root, root, step},
};

/// The command.
pub(crate) fn run_command(
    quick: bool,
    json: bool,
    only: Option<String>,
    count: bool,
) -> Result<()> {
    if !is_root() {
        bail!("this takes root: it makes network namespaces and loads programs");
    }
    let tools = setup::for_programs(Mode::Install, packages::BENCH)?;
    build::program(&tools)?;
    build::bench_programs(&tools)?;
    step("measuring");
    let mut cargo = host_cargo();
    cargo.args(["run", "--release", "--package", "poolguard-bench", "--"]);
    cargo.arg(root().join(bench_object()));
    cargo.args(quick.then_some("--quick"));
    cargo.args(json.then_some("--json"));
    cargo.args(count.then_some("--count"));
    cargo.args(
        only.into_iter()
            .flat_map(|case| ["--only".to_owned(), case]),
    );
    run_showing(&mut cargo)
}
