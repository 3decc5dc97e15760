//! `cargo xtask lint`: formatting and clippy, on the host crates and on the program.

use std::{env, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    command::{CommandLine, host_cargo, output, run},
    setup::{self, Mode, Remedy, Tools},
    workspace::step,
};

/// The command.
pub(crate) fn run_command() -> Result<()> {
    host_components()?;
    step("formatting");
    run(host_cargo().args(["fmt", "--all", "--check"]))?;
    run(host_cargo().args(["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"]))?;
    step("clippy on the host crates");
    host_clippy(&[])?;
    host_clippy(&[
        "--features",
        "poolguard-tests/kernel,poolguard-tests/python",
    ])?;
    host_clippy(&["--features", "poolguard-tests/bench"])?;
    let tools = setup::for_programs(Mode::Install, &[])?;
    program_clippy(&tools)
}

fn host_clippy(features: &[&str]) -> Result<()> {
    run(host_cargo()
        .args(["clippy", "--workspace", "--exclude", "filter-ebpf"])
        .arg("--all-targets")
        .args(features)
        .args(["--", "-D", "warnings"]))
}

fn program_clippy(tools: &Tools) -> Result<()> {
    if let Err(error) = tools.toolchain.provide_clippy() {
        // A failure where the code is judged, a remark where it is written.
        if env::var_os("CI").is_some() {
            return Err(error);
        }
        step(format_args!(
            "clippy on the XDP program was NOT run: {error:#}"
        ));
        return Ok(());
    }
    step("clippy on the XDP program");
    run(tools
        .toolchain
        .clippy(&tools.linker)
        .args(["--features", "bench", "--", "-D", "warnings"]))
}

/// Makes sure that the toolchain of the host crates can format and lint.
fn host_components() -> Result<()> {
    let sysroot = output(std::process::Command::new("rustc").args(["--print", "sysroot"]))
        .context("cannot run rustc")?;
    let bin = Path::new(&sysroot).join("bin");
    let find = || {
        let programs = ["cargo-fmt", "rustfmt", "cargo-clippy", "clippy-driver"];
        programs
            .iter()
            .all(|name| bin.join(name).is_file())
            .then_some(())
    };
    let mut add = vec!["rustup", "component", "add", "rustfmt", "clippy"];
    // Where rustup's proxy ran cargo, it says which toolchain that was.
    let toolchain = env::var("RUSTUP_TOOLCHAIN");
    if let Ok(toolchain) = &toolchain {
        add.extend(["--toolchain", toolchain]);
    }
    let remedy = Remedy {
        what: "rustfmt and clippy, into rustup's directory".to_owned(),
        program: "rustup",
        as_root: false,
        commands: vec![CommandLine::new(add)],
    };
    setup::obtain(Mode::Install, "rustfmt or clippy", find, &[remedy])
}
