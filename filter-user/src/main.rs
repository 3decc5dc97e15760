//! The command line of poolguard.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::main(cli::Cli::parse())
}
