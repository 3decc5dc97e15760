//! `cargo xtask fuzz`: libFuzzer looks for bytes that reach what none reached.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::{
    command::run,
    crate_tool::CrateTool,
    setup::Mode,
    toolchain::{self, Toolchain},
    workspace::{self, step},
};

const CARGO_FUZZ: CrateTool = CrateTool {
    name: "cargo-fuzz",
    version: "0.13.2",
    ask: &["fuzz", "--version"],
};

/// The workspace of the fuzz targets.
const DIRECTORY: &str = "tests/fuzz";
/// Where they are built, and where what they come upon is collected from run to run.
const TARGET_DIRECTORY: &str = "target/fuzz";

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The decision function, against the oracle
    Decision,
    /// The prefix table, against a plain search
    PrefixTable,
    /// The reader of configurations
    Configuration,
    /// The reader of customer lists
    CustomerList,
}

impl Target {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The command. The targets share the time.
pub(crate) fn run_command(minutes: u64, target: Option<Target>) -> Result<()> {
    let fuzzer = Fuzzer {
        toolchain: toolchain::obtain(Mode::Install)?,
        cargo_fuzz: CARGO_FUZZ.obtain(Mode::Install)?,
    };
    let targets = target.map_or(Target::value_variants().to_vec(), |target| vec![target]);
    step(format_args!(
        "building the fuzz targets with {}",
        fuzzer.toolchain
    ));
    run(&mut fuzzer.command("build"))?;
    let seconds = 60 * minutes / targets.len() as u64;
    let mut findings = Vec::new();
    for target in targets {
        findings.push(fuzzer.fuzz(target, seconds)?);
    }
    println!();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.iter().any(|finding| finding.has_crashed) {
        bail!("what crashed is in {DIRECTORY}/artifacts");
    }
    Ok(())
}

struct Fuzzer {
    toolchain: Toolchain,
    cargo_fuzz: std::path::PathBuf,
}

impl Fuzzer {
    fn command(&self, subcommand: &str) -> Command {
        let mut command = self.toolchain.for_host(&self.cargo_fuzz);
        command.args(["fuzz", subcommand, "--fuzz-dir", DIRECTORY]);
        command.args(["--target-dir", TARGET_DIRECTORY]);
        // There is no unsafe code in what is fuzzed, so a sanitizer would find
        // nothing in twice the time; Debian's toolchain has none. Sums that
        // overflow are found.
        command.args(["--sanitizer", "none", "--debug-assertions"]);
        command
    }

    /// Runs a target for so long, or until it crashes.
    fn fuzz(&self, target: Target, seconds: u64) -> Result<Finding> {
        let name = target.name();
        step(format_args!("fuzzing {name} for {seconds} s"));
        let found = format!("{TARGET_DIRECTORY}/found/{name}");
        fs::create_dir_all(workspace::root().join(&found))?;
        let mut command = self.command("run");
        command.args([&name, &found]);
        // Where it begins; it writes to the first directory alone.
        let known = ["corpus", "regressions"].map(|kind| format!("tests/{kind}/{name}"));
        command.args(known);
        command.arg("--");
        command.arg(format!("-max_total_time={seconds}"));
        command.args(["-print_final_stats=1", "-max_len=4096", "-len_control=0"]);
        let dictionary = format!("{DIRECTORY}/{name}.dict");
        if Path::new(workspace::root()).join(&dictionary).is_file() {
            command.arg(format!("-dict={dictionary}"));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run cargo-fuzz")?;
        let mut finding = Finding {
            name,
            executions: 0,
            edges: 0,
            has_crashed: false,
        };
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).split(b'\n') {
                finding.add(&String::from_utf8_lossy(&line?));
            }
        }
        finding.has_crashed = !child.wait()?.success();
        Ok(finding)
    }
}

/// What came of a target.
struct Finding {
    name: String,
    executions: u64,
    /// How many edges between pieces of code were reached.
    edges: u64,
    has_crashed: bool,
}

impl Finding {
    /// Reads a line of libFuzzer's, and shows it, unless it is one of those that
    /// come by the thousand.
    fn add(&mut self, line: &str) {
        if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = executions.trim().parse().unwrap_or(0);
        }
        let is_progress = line.starts_with('#');
        if is_progress && let Some((_, edges)) = line.split_once("cov: ") {
            let edges = edges.split(' ').next().unwrap_or_default();
            self.edges = edges.parse().unwrap_or(self.edges);
        }
        let is_rare = ["INITED", "pulse", "DONE"].map(|word| line.contains(word));
        if !is_progress || is_rare.contains(&true) {
            eprintln!("{line}");
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let crashes = match self.has_crashed {
            true => "crashed",
            false => "0 crashes",
        };
        write!(
            f,
            "{:<14} {:>10} executions, {:>6} edges, {crashes}",
            self.name, self.executions, self.edges
        )
    }
}
