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
    workspace::{is_root, step},
};

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
        // What needs the kernel is behind this feature.
        .args(["--features", "poolguard-tests/kernel"])
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

/// The sum of the `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Sum {
    /// Adds a line of a test program's output, if it is a result:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(f, ", {ignored} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    fn sum(lines: &[&str]) -> Sum {
        let mut sum = Sum::default();
        lines.iter().for_each(|line| sum.add(line));
        sum
    }

    #[test]
    fn results_are_summed_and_all_else_is_not() {
        let sum = sum(&[
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test parse ... ok",
            "5 passed, 5 failed",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.20s",
        ]);
        assert_eq!(sum.to_string(), "5 passed, 4 failed, 1 skipped");
    }

    #[test]
    fn skipped_is_named_only_if_there_are_any() {
        let sum = sum(&["test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured"]);
        assert_eq!(sum.to_string(), "1 passed, 0 failed");
    }
}
