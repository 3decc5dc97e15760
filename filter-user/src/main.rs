//! The command line of poolguard.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use filter_user::args::Cli;

fn main() -> ExitCode {
    cli::main(Cli::parse())
}
