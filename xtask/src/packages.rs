//! Programs from Debian packages.

use anyhow::Result;

use crate::{
    command::{CommandLine, find_program},
    setup::{self, Mode, Remedy},
};

/// A program and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// What the tests run.
pub(crate) const TEST: &[Program] = &[program("ip", "iproute2"), program("bpftool", "bpftool")];

/// What the demo runs.
pub(crate) const DEMO: &[Program] = &[
    program("ip", "iproute2"),
    program("nsenter", "util-linux"),
    program("curl", "curl"),
    program("nmap", "nmap"),
    program("ping", "iputils-ping"),
    program("postfix", "postfix"),
    program("swaks", "swaks"),
];

/// What all commands run.
pub(crate) fn all() -> Vec<Program> {
    [TEST, DEMO].concat()
}

/// Finds these programs or installs their packages, only those that are missing.
pub(crate) fn obtain(mode: Mode, programs: &[Program]) -> Result<()> {
    let missing = || {
        let missing = programs.iter().filter(|p| find_program(p.name).is_none());
        missing.copied().collect::<Vec<_>>()
    };
    let thing = names(&missing());
    let packages: Vec<_> = missing().iter().map(|program| program.package).collect();
    let find = || missing().is_empty().then_some(());
    setup::obtain(mode, &thing, find, &[apt(&packages)])
}

/// Their names, to be shown.
pub(crate) fn names(programs: &[Program]) -> String {
    let names: Vec<_> = programs.iter().map(|program| program.name).collect();
    names.join(" ")
}

/// Installs Debian packages. Nothing is removed for them: where one conflicts
/// with what is installed, apt refuses.
pub(crate) fn apt(packages: &[&'static str]) -> Remedy {
    let install = |more: &[&'static str]| {
        let words = ["apt-get", "install", "--yes"];
        let words = words.iter().chain(more);
        CommandLine::new(
            words
                .chain(&["--no-install-recommends", "--no-remove"])
                .chain(packages)
                .copied(),
        )
    };
    // Lists of packages that know these are fresh enough.
    let update = CommandLine::new(["apt-get", "update"]).unless(&install(&["--simulate"]));
    Remedy {
        what: format!("Debian packages, system-wide: {}", packages.join(" ")),
        program: "apt-get",
        as_root: true,
        commands: vec![
            update,
            install(&[]).env("DEBIAN_FRONTEND", "noninteractive"),
        ],
    }
}
