//! `cargo xtask build`: the XDP program, then the workspace around it.

use anyhow::Result;

use crate::{
    command::{host_cargo, run},
    setup::{self, Mode, Tools},
    verify, workspace,
    workspace::step,
};

/// The command.
pub(crate) fn run_command(release: bool) -> Result<()> {
    let tools = setup::for_programs(Mode::Install, &[])?;
    program(&tools)?;
    host(release)?;
    verify::report(&workspace::root().join(workspace::object()))
}

/// Builds the XDP program. Always with optimisations: the verifier would not
/// take it otherwise.
pub(crate) fn program(tools: &Tools) -> Result<()> {
    step(format_args!(
        "building the XDP program with {}",
        tools.toolchain
    ));
    run(&mut tools.toolchain.cargo(&tools.linker, "build"))
}

/// Builds the programs of the benchmark.
pub(crate) fn bench_programs(tools: &Tools) -> Result<()> {
    step("building the programs of the benchmark");
    run(tools.toolchain.cargo(&tools.linker, "build").args([
        "--features",
        "bench",
        "--bin",
        "poolguard-bench-xdp",
    ]))
}

/// Builds the host crates; the controller embeds the program that is there.
pub(crate) fn host(release: bool) -> Result<()> {
    step("building the host crates");
    let mut cargo = host_cargo();
    // Not xtask, which is running.
    cargo.args(["build", "--workspace"]);
    cargo.args(["--exclude", "filter-ebpf", "--exclude", "xtask"]);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo)
}
