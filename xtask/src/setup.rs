//! Set-up: each thing that a command needs is found, or provided by the first
//! remedy that works, announced before it is done.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{
    command::{CommandLine, find_program},
    linker,
    packages::{self, Program},
    toolchain::{self, Toolchain},
    workspace::{is_root, step},
};

/// One way to provide something.
pub(crate) struct Remedy {
    /// What it installs and where, as announced.
    pub(crate) what: String,
    /// The program that does it: without it, this is no way.
    pub(crate) program: &'static str,
    /// Whether only root may.
    pub(crate) as_root: bool,
    /// What it does, in order.
    pub(crate) commands: Vec<CommandLine>,
}

impl Remedy {
    fn is_possible(&self) -> bool {
        find_program(self.program).is_some() && (is_root() || !self.as_root)
    }

    fn apply(&self) -> Result<()> {
        step(format_args!("installing {}", self.what));
        let outcome = self.commands.iter().try_for_each(CommandLine::run);
        if outcome.is_err() && self.commands.iter().any(CommandLine::is_conditional) {
            // What seemed not to be needed may have been: once more, with all.
            return self.commands.iter().try_for_each(CommandLine::run_always);
        }
        outcome
    }

    fn describe(&self) -> String {
        let sudo = if self.as_root && !is_root() {
            "sudo "
        } else {
            ""
        };
        let commands = self.commands.iter().map(|c| format!("\n    {sudo}{c}"));
        format!("{}:{}", self.what, commands.collect::<String>())
    }
}

/// What to do about something that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Install it.
    Install,
    /// Say how to install it.
    Check,
}

/// Finds something, if need be after one of the remedies, tried in order.
pub(crate) fn obtain<T>(
    mode: Mode,
    thing: &str,
    find: impl Fn() -> Option<T>,
    remedies: &[Remedy],
) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    for remedy in remedies {
        if mode == Mode::Check || !remedy.is_possible() {
            continue;
        }
        if let Err(error) = remedy.apply() {
            step(format_args!("that did not work: {error:#}"));
        } else if let Some(found) = find() {
            return Ok(found);
        }
    }
    bail!(missing(thing, remedies))
}

fn missing(thing: &str, remedies: &[Remedy]) -> String {
    let ways: Vec<_> = remedies.iter().map(Remedy::describe).collect();
    format!("missing: {thing}\n  install {}", ways.join("\n  or "))
}

/// What it takes to build the XDP program.
pub(crate) struct Tools {
    pub(crate) toolchain: Toolchain,
    pub(crate) linker: PathBuf,
}

/// Finds or installs what every command needs, and these programs.
pub(crate) fn for_programs(mode: Mode, programs: &[Program]) -> Result<Tools> {
    let toolchain = toolchain::obtain(mode);
    let linker = linker::obtain(mode);
    let programs = packages::obtain(mode, programs);
    match (toolchain, linker, programs) {
        (Ok(toolchain), Ok(linker), Ok(())) => Ok(Tools { toolchain, linker }),
        // All that is missing, at once.
        (toolchain, linker, programs) => {
            let errors = [toolchain.err(), linker.err(), programs.err()];
            let errors = errors.iter().flatten().map(ToString::to_string);
            bail!(errors.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// `cargo xtask setup`.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let tools = for_programs(mode, &packages::all())?;
    println!("toolchain for the XDP program: {}", tools.toolchain);
    println!("bpf-linker: {}", tools.linker.display());
    println!("programs: {}", packages::names(&packages::all()));
    Ok(())
}
