//! `manual DIRECTORY`: a manual page for each command and the completions of
//! three shells, as the package has them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use filter_user::args::Cli;

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: manual DIRECTORY"))?;
    fs::create_dir_all(&directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "poolguard", &directory)?;
    }
    // `help` has no page, so none is pointed to.
    let mut command = without_help(Cli::command());
    command.build();
    pages(&command, &directory)
}

/// A command, and those below it, without `help`.
fn without_help(command: Command) -> Command {
    command
        .disable_help_subcommand(true)
        .mut_subcommands(without_help)
}

/// The page of a command, and those of the commands below it.
fn pages(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .section("8")
        .manual("poolguard")
        .render(&mut page)?;
    fs::write(directory.join(format!("{name}.8")), page)?;
    let commands = command.get_subcommands();
    let below = commands.filter(|command| !command.is_hide_set());
    below
        .into_iter()
        .try_for_each(|command| pages(command, directory))
}
