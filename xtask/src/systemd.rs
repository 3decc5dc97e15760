//! `cargo xtask systemd`: the package under a living systemd.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{CommandLine, host_cargo, output, run_showing},
    deb, packages,
    setup::{self, Mode, Remedy},
    workspace::{self, is_root, step},
};

/// Where the root file systems are kept.
const DIRECTORY: &str = "target/systemd";

/// What is on a box before poolguard: what Debian calls essential, and this.
const PACKAGES: &str = "adduser,bridge-utils,ifupdown,iproute2,systemd,systemd-sysv";

/// What would change the machine that all of this runs on: its sysctls, modules, and
/// formats of programs.
const MASKED: &str = "systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service";

/// Which file of a root file system says what it was made of.
const MADE_OF: &str = "etc/made-of";

/// A release of Debian.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Release {
    /// Debian 12, systemd 252
    Bookworm,
    /// Debian 13, systemd 257
    Trixie,
}

impl Release {
    const fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// Finds its root file system or makes it.
    fn obtain(self) -> Result<PathBuf> {
        let suite = self.suite();
        let root = workspace::root().join(DIRECTORY).join(suite);
        let recipe = format!("{PACKAGES} {MASKED}\n");
        let find = || {
            let made_of = fs::read_to_string(root.join(MADE_OF)).ok()?;
            (made_of == recipe).then(|| root.clone())
        };
        if let Some(found) = find() {
            return Ok(found);
        }
        let (place, archive) = (root.to_string_lossy(), archive()?);
        let partial = format!("{place}.partial");
        let remedy = Remedy {
            what: format!("a root file system of Debian's {suite} (300 MB) into {place} alone"),
            program: "mmdebstrap",
            as_root: true,
            commands: vec![
                CommandLine::new(["rm", "-rf", &partial, &place]),
                CommandLine::new(["mkdir", "-p", DIRECTORY]),
                CommandLine::new([
                    "mmdebstrap",
                    "--quiet",
                    "--variant=essential",
                    &format!("--include={PACKAGES}"),
                    // It is made again if the power fails meanwhile.
                    "--dpkgopt=force-unsafe-io",
                    &format!("--customize-hook=chroot \"$1\" systemctl --quiet mask {MASKED}"),
                    &format!("--customize-hook=echo '{PACKAGES} {MASKED}' >\"$1/{MADE_OF}\""),
                    suite,
                    &partial,
                    &archive,
                ]),
                CommandLine::new(["mv", &partial, &place]),
            ],
        };
        setup::obtain(Mode::Install, "a root file system", find, &[remedy])
    }
}

/// The command.
pub(crate) fn run_command(only: Option<Release>) -> Result<()> {
    if !is_root() {
        bail!("this takes root: it boots systemd in namespaces of its own");
    }
    packages::obtain(Mode::Install, packages::SYSTEMD)?;
    let [first, next] = deb::build(["1", "2"])?;
    let releases = only.map_or(vec![Release::Bookworm, Release::Trixie], |only| vec![only]);
    let roots = releases.into_iter().map(Release::obtain);
    let roots = roots.collect::<Result<Vec<_>>>()?;
    step("telling the package's story under a living systemd");
    let mut cargo = host_cargo();
    cargo.args(["run", "--package", "poolguard-tests", "--bin", "living"]);
    cargo.args(["--features", "kernel", "--"]);
    run_showing(cargo.args([first, next]).args(roots))
}

/// The archive that this machine's apt has Debian from.
fn archive() -> Result<String> {
    packages::known_to_apt("Debian's archive", || {
        let mut ask = Command::new("apt-get");
        ask.args([
            "indextargets",
            "--format",
            "$(SITE)",
            "Created-By: Packages",
        ]);
        let sites = output(ask.args(["Origin: Debian", "Label: Debian"]))?;
        sites.lines().next().map(str::to_owned)
    })
    .context("a root file system is made of packages of Debian's")
}
