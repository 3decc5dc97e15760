//! What the test takes from Debian's packages. They are downloaded and unpacked
//! for it alone: nothing is installed, so none of it takes root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    apt::{self, OPTIONS, Wanted},
    command::{CommandLine, find_program, output},
    packages::known_to_apt,
    setup::{self, Mode, Remedy},
    unpack::{extract, into, partial, unpack},
    workspace::cache,
};

/// What is unpacked of a kernel's package: every module of the network and what
/// these need, but no driver of hardware.
const PARTS: &str = "--exclude '*/drivers/net/ethernet' --exclude '*/drivers/net/wireless' \
     './boot/vmlinuz*' '*/lib/modules/*/kernel/net' '*/lib/modules/*/kernel/lib' \
     '*/lib/modules/*/kernel/crypto' '*/lib/modules/*/kernel/arch' \
     '*/lib/modules/*/kernel/drivers/net' '*/lib/modules/*/modules.*'";

/// A kernel of a stable Debian.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Stock {
    /// Debian 12's.
    #[value(name = "6.1")]
    Bookworm,
    /// Debian 13's, which is in Debian 12's backports as well.
    #[value(name = "6.12")]
    Trixie,
}

impl Stock {
    /// Its version, and the name of the release that it is in.
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Bookworm => ("6.1", "bookworm"),
            Self::Trixie => ("6.12", "trixie"),
        }
    }
}

/// The emulator, and where its parts are.
pub(super) struct Qemu {
    pub(super) program: PathBuf,
    /// Directories of libraries and of firmware; none if it is installed.
    pub(super) libraries: Vec<PathBuf>,
    pub(super) firmware: Vec<PathBuf>,
}

/// A kernel with its modules.
pub(super) struct Kernel {
    directory: PathBuf,
    release: String,
}

/// Finds or fetches the emulator.
pub(super) fn qemu() -> Result<Qemu> {
    const NAME: &str = "qemu-system-x86_64";
    let directory = cache()?.join("qemu");
    let find = || {
        if let Some(program) = find_program(NAME) {
            return Some(Qemu {
                program,
                libraries: Vec::new(),
                firmware: Vec::new(),
            });
        }
        let below = |paths: [&str; 2]| paths.map(|path| directory.join(path)).to_vec();
        Some(Qemu {
            program: Some(directory.join("usr/bin").join(NAME)).filter(|file| file.is_file())?,
            libraries: below(["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]),
            firmware: below(["usr/share/qemu", "usr/share/seabios"]),
        })
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    let wanted = || to_install("qemu-system-x86");
    let packages = known_to_apt("the package qemu-system-x86", wanted)?;
    let remedy = unpack(&directory, &packages, "");
    setup::obtain(Mode::Install, NAME, find, &[remedy])
}

/// Finds or fetches the file of a program that is linked statically.
pub(super) fn busybox() -> Result<PathBuf> {
    let directory = cache()?.join("busybox");
    let file = directory.join("bin/busybox");
    let find = || file.is_file().then(|| file.clone());
    let remedy = unpack(&directory, &["busybox-static".to_owned()], "./bin");
    setup::obtain(Mode::Install, "busybox-static", find, &[remedy])
}

/// Finds a kernel or fetches the newest one of its release.
pub(super) fn kernel(stock: Stock, busybox: &Path) -> Result<Kernel> {
    let (version, release) = stock.name();
    let directory = cache()?.join(format!("linux-{version}"));
    let find = || Kernel::in_directory(&directory);
    if let Some(found) = find() {
        return Ok(found);
    }
    known_to_apt("the archives of Debian's packages", archives)?;
    let what = format!("Linux {version} of Debian's {release}");
    let remedy = fetch_kernel(&directory, &what, release, busybox);
    setup::obtain(Mode::Install, &what, find, &[remedy])
}

impl Kernel {
    fn in_directory(directory: &Path) -> Option<Self> {
        let release = fs::read_dir(directory.join("lib/modules"))
            .ok()?
            .flatten()
            .next()?
            .file_name()
            .into_string()
            .ok()?;
        let kernel = Self {
            directory: directory.to_owned(),
            release,
        };
        let is_whole = kernel.image().is_file() && kernel.modules().join("modules.dep").is_file();
        is_whole.then_some(kernel)
    }

    /// What it calls itself.
    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// The file to boot.
    pub(super) fn image(&self) -> PathBuf {
        let name = format!("vmlinuz-{}", self.release);
        self.directory.join("boot").join(name)
    }

    /// The directory of its modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.directory.join("lib/modules").join(&self.release)
    }

    /// Where that directory is in a machine that runs this kernel.
    pub(super) fn modules_inside(&self) -> PathBuf {
        Path::new("/lib/modules").join(&self.release)
    }
}

/// Where this machine gets Debian's packages.
fn archives() -> Option<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(SITE)", "Origin: Debian"]);
    output(&mut command).filter(|sites| !sites.is_empty())
}

/// The package and all that it would take to install it here.
fn to_install(package: &str) -> Option<Vec<String>> {
    let mut plan = Command::new("apt-get");
    plan.args(["install", "--simulate", "--no-install-recommends", package]);
    let plan = output(&mut plan)?;
    let names = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let names: Vec<_> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// The kernel that the package without a version stands for, with its modules
/// ready to be loaded.
fn fetch_kernel(directory: &Path, what: &str, release: &'static str, busybox: &Path) -> Remedy {
    let partial = partial(directory);
    let busybox = busybox.display();
    let download = format!(
        "cd {partial} && apt-get {OPTIONS} download $(apt-cache {OPTIONS} depends \
         linux-image-amd64 | sed -n 's/^ *Depends: //p') && rm -r lists cache sources.list"
    );
    // Debian 13 has /usr/lib alone, and compresses what is in there.
    let ready = format!(
        "cd {partial} && if [ -d usr/lib ]; then mv usr/lib lib; fi && \
         find lib -name '*.ko.xz' -exec unxz {{}} + && {busybox} depmod -b . $(ls lib/modules)"
    );
    let shell = |script: &str| CommandLine::new(["sh", "-c", script]);
    let commands = vec![
        apt::lists(&partial, Wanted::Release(release)),
        shell(&download),
        extract(directory, PARTS),
        shell(&ready),
    ];
    into(directory, what, commands)
}
