//! The command line of poolguard.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use filter_user::args::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli::main(cli),
        Err(error) => cli::wrong_usage(&error),
    }
}
