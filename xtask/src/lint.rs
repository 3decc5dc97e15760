//! `cargo xtask lint`: formatting, who may know of whom, clippy on the host crates, for
//! this architecture and for another one, and on the program, documentation, and the alert
//! rules.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    arrows,
    command::{CommandLine, host_cargo, output, run},
    rules,
    setup::{self, Mode, Remedy, Tools},
    workspace::step,
};

/// The command.
pub(crate) fn run_command() -> Result<()> {
    host_components()?;
    step("formatting");
    run(host_cargo().args(["fmt", "--all", "--check"]))?;
    run(host_cargo().args(["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"]))?;
    step("who may know of whom");
    arrows::check()?;
    step("clippy on the host crates");
    // The benchmark wants the tests with all that needs the kernel.
    host_clippy(&["--exclude", "poolguard-bench"])?;
    host_clippy(&["--features", "poolguard-tests/python"])?;
    step("documentation of the host crates");
    run(host_cargo()
        .args([
            "doc",
            "--workspace",
            "--exclude",
            "filter-ebpf",
            "--no-deps",
        ])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    optional("the alert rules, by promtool", rules::provide, rules::check)?;
    optional(
        format_args!("clippy on the host crates for {OTHER}"),
        provide_other_architecture,
        |()| other_clippy(),
    )?;
    let tools = setup::for_programs(Mode::Install, &[])?;
    let Tools { toolchain, linker } = &tools;
    optional(
        "clippy on the XDP program",
        || toolchain.provide_clippy(),
        |()| {
            run(toolchain
                .clippy(linker)
                .args(["--features", "bench"])
                .args(DENIED))
        },
    )
}

/// Warnings are errors.
const DENIED: [&str; 3] = ["--", "-D", "warnings"];

fn host_clippy(features: &[&str]) -> Result<()> {
    run(&mut clippy(features))
}

fn clippy(features: &[&str]) -> Command {
    let mut cargo = host_cargo();
    cargo
        .args(["clippy", "--workspace", "--exclude", "filter-ebpf"])
        .arg("--all-targets")
        .args(features)
        .args(DENIED);
    cargo
}

/// An architecture that this is not built on: other signs of characters, other
/// numbers of system calls, other sizes of pages.
const OTHER: &str = if cfg!(target_arch = "aarch64") {
    "x86_64-unknown-linux-gnu"
} else {
    "aarch64-unknown-linux-gnu"
};

fn other_clippy() -> Result<()> {
    let variable = |name| format!("{name}_{}", OTHER.replace('-', "_"));
    // Nothing is linked: what a crate has in C does not have to be compiled.
    let no_compiler = ["CC", "AR"].map(|name| (variable(name), "true"));
    let features = ["--target", OTHER];
    run(clippy(&features).envs(no_compiler))
}

/// Makes sure of the standard library of the other architecture.
fn provide_other_architecture() -> Result<()> {
    let library = sysroot()?.join("lib/rustlib").join(OTHER).join("lib");
    let remedy = rustup(
        &format!("the standard library for {OTHER}, into rustup's directory"),
        &["target", "add", OTHER],
    );
    let find = || library.is_dir().then_some(());
    let thing = format!("the standard library for {OTHER}");
    setup::obtain(Mode::Install, &thing, find, &[remedy])
}

/// Runs a check whose means can't be had everywhere. Where they can't, that is a
/// failure where the code is judged, and a remark where it is written.
fn optional<T>(
    what: impl std::fmt::Display,
    provide: impl FnOnce() -> Result<T>,
    check: impl FnOnce(T) -> Result<()>,
) -> Result<()> {
    match provide() {
        Ok(means) => {
            step(what);
            check(means)
        }
        Err(error) if env::var_os("CI").is_some() => Err(error),
        Err(error) => {
            step(format_args!("{what} was NOT run: {error:#}"));
            Ok(())
        }
    }
}

/// Makes sure that the toolchain of the host crates can format and lint.
fn host_components() -> Result<()> {
    let bin = sysroot()?.join("bin");
    let find = || {
        let programs = ["cargo-fmt", "rustfmt", "cargo-clippy", "clippy-driver"];
        programs
            .iter()
            .all(|name| bin.join(name).is_file())
            .then_some(())
    };
    let remedy = rustup(
        "rustfmt and clippy, into rustup's directory",
        &["component", "add", "rustfmt", "clippy"],
    );
    setup::obtain(Mode::Install, "rustfmt or clippy", find, &[remedy])
}

/// Where the toolchain of the host crates is.
fn sysroot() -> Result<PathBuf> {
    let path = output(Command::new("rustc").args(["--print", "sysroot"]));
    path.map(PathBuf::from).context("cannot run rustc")
}

/// Adds something to the toolchain of the host crates.
fn rustup(what: &str, words: &[&str]) -> Remedy {
    let mut add = ["rustup"]
        .iter()
        .chain(words)
        .copied()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    // Where rustup's proxy ran cargo, it says which toolchain that was.
    if let Ok(toolchain) = env::var("RUSTUP_TOOLCHAIN") {
        add.extend(["--toolchain".to_owned(), toolchain]);
    }
    Remedy {
        what: what.to_owned(),
        program: "rustup",
        as_root: false,
        commands: vec![CommandLine::new(add)],
    }
}
