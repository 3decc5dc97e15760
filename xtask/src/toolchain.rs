//! The toolchain that compiles the XDP program.
//!
//! BPF has no prebuilt `core`, so it takes `-Z build-std` and the sources of the
//! standard library: a nightly with `rust-src`, or Debian's `rustc-web` with
//! `RUSTC_BOOTSTRAP=1`. Both are of LLVM 22, the newest whose bitcode the pinned
//! bpf-linker reads.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    command::{CommandLine, output, outside_cargo},
    packages,
    setup::{self, Mode, Remedy},
    workspace::{BPF_TARGET, BPF_TARGET_DIR, cache},
};

/// The pinned nightly. A later one may be of a later LLVM.
const NIGHTLY: &str = "nightly-2026-05-20";
/// Debian's packages for the same purpose.
const DEBIAN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// The major version of LLVM that bpf-linker borrows from the toolchain.
const LLVM: &str = "22";

/// Flags for the program: whole words are read from packets, wherever they lie,
/// rather than bytes that are then put together. That is fewer instructions, and
/// old verifiers keep the bounds of a word but lose those of what was put
/// together. Machines that can't read so (x86 and ARM can) refuse the program.
const PROGRAM_FLAGS: &str = "-Clink-arg=--cpu-features=+allows-misaligned-mem-access";

/// A toolchain that can compile the program.
pub(crate) struct Toolchain {
    sysroot: PathBuf,
    /// A directory with its libLLVM, and with no other one.
    llvm: PathBuf,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Rustup,
    Debian,
}

impl Origin {
    /// Those that the user's environment allows.
    fn allowed() -> Vec<Self> {
        match env::var("POOLGUARD_TOOLCHAIN").as_deref() {
            Ok("rustup") => vec![Self::Rustup],
            Ok("debian") => vec![Self::Debian],
            _ => vec![Self::Rustup, Self::Debian],
        }
    }

    fn find(self) -> Option<Toolchain> {
        match self {
            Self::Rustup => find_nightly(),
            Self::Debian => find_debian(),
        }
    }

    fn remedy(self) -> Remedy {
        match self {
            Self::Rustup => Remedy {
                what: format!("the toolchain {NIGHTLY} with rust-src, into rustup's directory"),
                program: "rustup",
                as_root: false,
                commands: vec![CommandLine::new([
                    "rustup",
                    "toolchain",
                    "install",
                    NIGHTLY,
                    "--profile",
                    "minimal",
                    "--component",
                    "rust-src",
                ])],
            },
            Self::Debian => packages::apt(&DEBIAN),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Rustup => write!(f, "{NIGHTLY}"),
            Origin::Debian => write!(f, "Debian's rustc-web"),
        }?;
        write!(f, " in {}", self.sysroot.display())
    }
}

/// Finds it or installs it.
pub(crate) fn obtain(mode: Mode) -> Result<Toolchain> {
    let remedies: Vec<_> = Origin::allowed().into_iter().map(Origin::remedy).collect();
    setup::obtain(mode, "a toolchain for the XDP program", find, &remedies)
}

fn find() -> Option<Toolchain> {
    Origin::allowed().into_iter().find_map(Origin::find)
}

fn find_nightly() -> Option<Toolchain> {
    let mut which = outside_cargo("rustup");
    which.args(["which", "--toolchain", NIGHTLY, "rustc"]);
    // A question must not start a download.
    let rustc = output(which.env("RUSTUP_AUTO_INSTALL", "0"))?;
    let sysroot = Path::new(&rustc).parent()?.parent()?.to_owned();
    has_source(&sysroot).then(|| Toolchain {
        llvm: sysroot.join("lib"),
        sysroot,
        origin: Origin::Rustup,
    })
}

fn find_debian() -> Option<Toolchain> {
    let sysroot = PathBuf::from("/usr");
    let version = output(outside_cargo(sysroot.join("bin/rustc")).arg("-vV"))?;
    let llvm = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    let fits = llvm.split('.').next() == Some(LLVM)
        && sysroot.join("bin/cargo").is_file()
        && has_source(&sysroot);
    if !fits {
        return None;
    }
    Some(Toolchain {
        llvm: llvm_alone()?,
        sysroot,
        origin: Origin::Debian,
    })
}

fn has_source(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib/src/rust/library/core/Cargo.toml")
        .is_file()
}

/// A directory with Debian's libLLVM of the right version and no other one:
/// bpf-linker takes the first that it finds, and Debian keeps them together.
fn llvm_alone() -> Option<PathBuf> {
    let name = format!("libLLVM.so.{LLVM}");
    let library = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .filter_map(|directory| fs::read_dir(directory.path()).ok())
        .flat_map(|files| files.flatten())
        .find(|file| file.file_name().to_string_lossy().starts_with(&name))?;
    let directory = cache().ok()?.join(format!("llvm-{LLVM}"));
    let link = directory.join(library.file_name());
    if fs::read_link(&link).is_ok_and(|target| target == library.path()) {
        return Some(directory);
    }
    fs::create_dir_all(&directory).ok()?;
    std::os::unix::fs::symlink(library.path(), link).ok()?;
    Some(directory)
}

impl Toolchain {
    /// `cargo <subcommand>` for the XDP program.
    pub(crate) fn cargo(&self, linker: &Path, subcommand: &str) -> Command {
        let mut cargo = self.command("cargo", linker);
        cargo.arg(subcommand);
        Self::program_arguments(&mut cargo);
        cargo
    }

    /// A program that runs this toolchain's cargo and rustc, for this machine.
    pub(crate) fn for_host(&self, program: &Path) -> Command {
        let mut command = outside_cargo(program);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.sysroot.join("bin")).chain(env::split_paths(&path));
        // None of these directories has a colon in its name: they were in PATH.
        command.env("PATH", env::join_paths(path).unwrap_or_default());
        if self.origin == Origin::Debian {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// `cargo clippy` for the XDP program.
    pub(crate) fn clippy(&self, linker: &Path) -> Command {
        // Not through cargo, which might come upon rustup's proxy first.
        let mut clippy = self.command("cargo-clippy", linker);
        clippy.arg("clippy");
        Self::program_arguments(&mut clippy);
        clippy
    }

    /// Makes sure of this toolchain's clippy.
    pub(crate) fn provide_clippy(&self) -> Result<()> {
        let driver = self.sysroot.join("bin/clippy-driver");
        let remedy = match self.origin {
            Origin::Rustup => Remedy {
                what: format!("clippy of {NIGHTLY}, into rustup's directory"),
                program: "rustup",
                as_root: false,
                commands: vec![CommandLine::new([
                    "rustup",
                    "component",
                    "add",
                    "clippy",
                    "--toolchain",
                    NIGHTLY,
                ])],
            },
            Origin::Debian => packages::apt(&["rust-web-clippy"]),
        };
        let find = || driver.is_file().then_some(());
        setup::obtain(Mode::Install, "clippy for the XDP program", find, &[remedy])
    }

    fn command(&self, program: &str, linker: &Path) -> Command {
        let bin = self.sysroot.join("bin");
        let mut command = outside_cargo(bin.join(program));
        command
            .env("CARGO", bin.join("cargo"))
            .env("RUSTC", bin.join("rustc"))
            .env("LD_LIBRARY_PATH", &self.llvm)
            // Instead of flags meant for the host, which do not fit this target.
            .env("CARGO_ENCODED_RUSTFLAGS", PROGRAM_FLAGS)
            .env(linker_variable(), linker);
        if self.origin == Origin::Debian {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    fn program_arguments(command: &mut Command) {
        command.args(["--release", "-Z", "build-std=core"]);
        command.args(["--package", "filter-ebpf", "--target", BPF_TARGET]);
        command.args(["--target-dir", BPF_TARGET_DIR]);
    }
}

/// The variable that names the linker of the target to cargo.
fn linker_variable() -> String {
    let target = BPF_TARGET.to_uppercase().replace('-', "_");
    format!("CARGO_TARGET_{target}_LINKER")
}
