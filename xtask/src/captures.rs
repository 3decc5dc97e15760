//! `cargo xtask captures`: captures that are too many, or not free enough, to be
//! in this repository, out of Debian's source packages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    apt::{self, OPTIONS, Wanted},
    build,
    command::{CommandLine, host_cargo, run},
    setup::{self, Mode, Remedy},
    workspace::{cache, is_root, step},
};

/// A Debian source package with captures in it.
struct Source {
    package: &'static str,
    /// Where they are in the original archive.
    paths: &'static str,
    licence: &'static str,
}

const SOURCES: [Source; 4] = [
    Source {
        package: "tcpdump",
        paths: "*/tests/*.pcap*",
        licence: "BSD-3-Clause",
    },
    Source {
        package: "dnscap",
        paths: "*/src/test/*.pcap",
        licence: "BSD-3-Clause",
    },
    Source {
        package: "wireshark",
        paths: "*/test/captures/*",
        licence: "GPL-2.0-or-later",
    },
    Source {
        package: "ndpi",
        paths: "*/tests/pcap/*",
        licence: "LGPL-3.0-or-later",
    },
];

/// Which archives the captures are out of, and their sums.
const ARCHIVES: &str = "SHA256SUMS";

/// The command.
pub(crate) fn run_command() -> Result<()> {
    let directory = obtain()?;
    let mut cargo = host_cargo();
    cargo.args(["run", "--release", "--package", "poolguard-tests"]);
    cargo.args(["--bin", "captures"]);
    if is_root() {
        build::program(&setup::for_programs(Mode::Install, &[])?)?;
        cargo.args(["--features", "kernel"]);
    } else {
        step("without root the program in the kernel is NOT asked");
    }
    for source in &SOURCES {
        println!("{}: {}", source.package, source.licence);
    }
    println!("{}", fs::read_to_string(directory.join(ARCHIVES))?);
    cargo.arg("--");
    cargo.args(SOURCES.map(|source| directory.join(source.package)));
    step("showing captures");
    run(&mut cargo)
}

/// Finds or fetches the captures: a directory for each package.
fn obtain() -> Result<PathBuf> {
    let directory = cache()?.join("captures");
    let find = || directory.is_dir().then(|| directory.clone());
    setup::obtain(Mode::Install, "captures", find, &[fetch(&directory)])
}

/// Downloads the source packages and keeps their captures, uncompressed, in a
/// directory that is there only when it is complete.
///
/// apt knows the archive; that it lists source packages as well is made so for
/// this alone.
fn fetch(directory: &Path) -> Remedy {
    let directory = directory.to_string_lossy();
    let partial = format!("{directory}.partial");
    let packages = SOURCES.map(|source| source.package).join(" ");
    let download = format!(
        "cd {partial} && apt-get {OPTIONS} source --tar-only --only-source {packages} && \
         rm -f *.asc && sha256sum *.tar.* > {ARCHIVES}"
    );
    let extract = SOURCES.map(|Source { package, paths, .. }| {
        format!(
            "mkdir {package} && tar --extract --directory {package} --wildcards '{paths}' \
             --file {package}_*.orig.tar.?z*"
        )
    });
    let extract = format!("cd {partial} && {}", extract.join(" && "));
    let tidy = format!(
        "cd {partial} && find */ -type f -name '*.gz' -exec gunzip {{}} + && \
         rm -r lists cache sources.list *.tar.*"
    );
    let shell = |script| CommandLine::new(["sh", "-c", script]);
    Remedy {
        what: format!(
            "captures of Debian's source packages (180 MB), unpacked into {directory} alone: \
             {packages}"
        ),
        program: "apt-get",
        as_root: false,
        commands: vec![
            CommandLine::new(["rm", "-rf", &partial]),
            CommandLine::new(["mkdir", "-p", &partial]),
            apt::lists(&partial, Wanted::Sources),
            shell(&download),
            shell(&extract),
            shell(&tidy),
            CommandLine::new(["mv", &partial, &directory]),
        ],
    }
}
