//! `cargo xtask`: everything around the code that cargo alone does not do.

mod apt;
mod arrows;
mod bench;
mod build;
mod bulk;
mod captures;
mod chaos;
mod ci;
mod command;
mod crate_tool;
mod deb;
mod demo;
mod fuzz;
mod help;
mod kernel;
mod linker;
mod lint;
mod mta;
mod mutants;
mod packages;
mod rules;
mod setup;
mod soak;
mod sum;
mod systemd;
mod test;
mod toolchain;
mod unpack;
mod verify;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::setup::Mode;

/// Builds, tests and shows poolguard, setting up what that takes.
///
/// Every command first looks for what it needs, says what it is about to
/// install and where, and installs it; where it may not, it prints the commands
/// to run. Exit status: 0 fine, 1 failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what the other commands need
    ///
    /// The toolchain that compiles the XDP program is the pinned nightly where
    /// rustup has it or can fetch it, else Debian's own; POOLGUARD_TOOLCHAIN set
    /// to "rustup" or "debian" allows only that one.
    Setup {
        /// Install nothing, only say what is missing (exit status 1)
        #[arg(long)]
        check: bool,
    },
    /// Build the XDP program, then the workspace around it
    ///
    /// As root it then loads the program once for each interface role and prints
    /// what the kernel's verifier said.
    Build {
        /// Build the controller with optimisations
        #[arg(long)]
        release: bool,
    },
    /// Build, then run all tests, also those that need the kernel (as root)
    Test {
        /// Run those that need the kernel on Debian's own, in a virtual machine
        /// that is emulated if need be; takes no root
        ///
        /// 6.1 is Debian 12's, 6.12 is Debian 13's; without a version, both.
        #[arg(long, value_name = "VERSION")]
        kernel: Option<Option<kernel::Stock>>,
        /// A few of those, which say that the program is attached and filters
        #[arg(long, requires = "kernel", conflicts_with = "args")]
        few: bool,
        /// Passed on to the test programs, such as a filter for names
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Load a program that was built, and print what the kernel's verifier said
    Verify {
        /// The XDP object
        object: PathBuf,
    },
    /// Formatting, clippy, documentation, alert rules, and who may know of whom
    ///
    /// Warnings are errors. Clippy looks at the host crates, for x86-64 and for aarch64,
    /// and at the program. Prometheus's promtool checks the alert rules and tries them.
    Lint,
    /// The laboratory: real traffic by real programs, without and with poolguard
    ///
    /// Builds a provider's network of network namespaces, starts poolguard on
    /// its box, makes the same attempts without and with it, and takes all of
    /// it down again. Exit status 1 if any attempt went other than the rules
    /// say, 130 if interrupted. Takes root.
    Demo {
        /// Leave the laboratory up until Ctrl-C
        #[arg(long)]
        keep: bool,
        /// Print the outcomes as JSON
        #[arg(long)]
        json: bool,
    },
    /// Random frames, until the time is up: do all implementations of the rules agree?
    ///
    /// An independent one, the decision function, and as root the program in the
    /// kernel are shown the same frames under the same configurations, on all
    /// cores. Ends with a census. Exit status 1 if they disagreed on any frame;
    /// the smallest reproduction is then printed.
    Soak {
        /// For so long
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Begin at this configuration; at a random one if not given
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Numbered traffic while everything goes wrong: was any verdict wrong?
    ///
    /// The controller is killed, reloaded, refused what it needs, flooded and shown
    /// another clock, interfaces go and come back. Takes about half an hour, and
    /// ends with a table. Exit status 1 if any frame passed that should not have,
    /// or did not and should have, or a counter went back.
    Chaos {
        /// One object a line, for each fault
        #[arg(long)]
        json: bool,
        /// Each fault as often as `cargo xtask test` brings it about
        #[arg(long)]
        quick: bool,
        /// Only the faults with these words in their names
        #[arg(long, value_name = "WORDS")]
        only: Option<String>,
    },
    /// Poolguard beside what people would otherwise use: nanoseconds a packet
    ///
    /// A program that drops at once, poolguard, a kernel LPM trie and xdp-filter
    /// decide the same frames with up to a million exemptions, in interleaved rounds.
    /// Takes root.
    Bench {
        /// Fewer rounds and fewer sizes, in under a minute
        #[arg(long)]
        quick: bool,
        /// One object a line
        #[arg(long)]
        json: bool,
        /// This case alone, such as `dropped`
        #[arg(long)]
        only: Option<String>,
        /// Measure nothing: count the instructions that frames take
        #[arg(long)]
        count: bool,
    },
    /// A million rows of customer lists: how long does everything take?
    ///
    /// `check`, a start, `reload` under traffic, `exempt add` and the memory of the
    /// controller, of a release build (as root). Exit status 1 if a target is
    /// missed, a verdict was wrong or a counter lost.
    Bulk {
        /// So many
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Another list
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Frames that others captured: do all implementations of the rules agree?
    ///
    /// Fetches the captures that tcpdump, dnscap, Wireshark and nDPI test
    /// themselves with out of Debian's source packages, and shows each frame to
    /// an independent implementation, the decision function, and as root the
    /// program in the kernel. Ends with a census. Exit status 1 if they
    /// disagreed on any frame.
    Captures,
    /// Bytes that a fuzzer makes up, until the time is up: does anything go wrong?
    ///
    /// The decision function is held against the oracle, the prefix table against
    /// a plain search, the reader of configurations has to come to an end, and that
    /// of customer lists must lose no line.
    /// Ends with the number of executions of each target. Exit status 1 if one
    /// crashed; the bytes are then in tests/fuzz/artifacts.
    Fuzz {
        /// For so long in total
        #[arg(long, default_value_t = 30)]
        minutes: u64,
        /// This one alone
        target: Option<fuzz::Target>,
    },
    /// Breaks the decision in every way that cargo-mutants knows: does a test notice?
    ///
    /// Exit status 1 if there is a mutant that none noticed.
    Mutants {
        /// Passed on to cargo-mutants, such as --exclude or --shard
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build the Debian package, with manual pages and completions, and look it over
    ///
    /// The package is target/deb/poolguard-1.deb. Exit status 1 if lintian has
    /// anything to say that is not explained.
    Deb,
    /// The package under a living systemd, on Debian 12 and on Debian 13 (as root)
    ///
    /// Boots each in namespaces of its own, and installs, starts, reloads, stops,
    /// kills, hangs, upgrades, reboots, removes and purges poolguard there while
    /// numbered frames go through it. The root file systems are made by mmdebstrap,
    /// once. Exit status 1 if anything went wrong. Leaves nothing running.
    Systemd {
        /// On this one alone
        #[arg(long)]
        only: Option<systemd::Release>,
    },
    /// What the continuous integration runs: lint, demo, systemd, a few of the
    /// tests on Debian's kernels, test
    Ci,
}

fn main() -> ExitCode {
    let matches = help::grouped::<Cli>().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Setup { check: true } => setup::run(Mode::Check),
        Command::Setup { check: false } => setup::run(Mode::Install),
        Command::Build { release } => build::run_command(release),
        Command::Test {
            kernel: Some(which),
            few: true,
            ..
        } => kernel::run_few(which),
        Command::Test {
            kernel: Some(which),
            args,
            ..
        } => kernel::run_command(which, &args),
        Command::Test { args, .. } => test::run_command(&args),
        Command::Verify { object } => verify::report(&object),
        Command::Demo { keep, json } => demo::run_command(keep, json),
        Command::Soak { minutes, seed } => soak::run_command(minutes, seed),
        Command::Chaos { json, quick, only } => chaos::run_command(json, quick, only),
        Command::Bench {
            quick,
            json,
            only,
            count,
        } => bench::run_command(quick, json, only, count),
        Command::Bulk { rows, seed } => bulk::run_command(rows, seed),
        Command::Captures => captures::run_command(),
        Command::Fuzz { minutes, target } => fuzz::run_command(minutes, target),
        Command::Mutants { args } => mutants::run_command(&args),
        Command::Deb => deb::run_command(),
        Command::Systemd { only } => systemd::run_command(only),
        Command::Lint => lint::run_command(),
        Command::Ci => ci::run_command(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref() {
                // As shells report a program that SIGINT ended.
                Some(lab::Error::Interrupted) => ExitCode::from(130),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
