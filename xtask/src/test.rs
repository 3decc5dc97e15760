//! `cargo xtask test`: every test, counted.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build,
    command::host_cargo,
    packages,
    setup::{self, Mode},
    sum::Sum,
    workspace::{is_root, step},
};

/// What needs the kernel, or a program, is behind these. With the same ones, nothing is
/// compiled twice.
pub(crate) const FEATURES: &str =
    "poolguard-tests/kernel,poolguard-tests/python,poolguard-bench/program";

/// The command. `args` are for the test programs.
pub(crate) fn run_command(args: &[String]) -> Result<()> {
    if !is_root() {
        bail!(
            "the tests load the program into the kernel, which takes root. Run\n    \
             sudo -E env \"PATH=$PATH\" cargo xtask test\n\
             or, for those that need neither root nor the program:\n    cargo test"
        );
    }
    let tools = setup::for_programs(Mode::Install, packages::TEST)?;
    build::program(&tools)?;
    build::host(false)?;
    step("running the tests");
    let mut cargo = host_cargo();
    cargo
        .args(["test", "--workspace", "--exclude", "filter-ebpf"])
        .args(["--features", FEATURES])
        .args(["--no-fail-fast", "--"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().context("cannot run cargo")?;
    let mut sum = Sum::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            sum.add(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() && sum.failed == 0 {
        println!("a test program did not build, or ended without a result: counted as failed");
        sum.failed = 1;
    }
    println!("\n{sum}");
    std::io::stdout().flush()?;
    if sum.failed > 0 || sum.passed == 0 {
        bail!("the tests failed");
    }
    Ok(())
}
