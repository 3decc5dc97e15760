//! bpf-linker: makes one BPF object of LLVM bitcode.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    command::{CommandLine, find_program, output, outside_cargo},
    setup::{self, Mode, Remedy},
    workspace::cache,
};

/// The pinned version: it reads the bitcode of LLVM 22.
const VERSION: &str = "0.10.0";

/// Finds it or installs it.
pub(crate) fn obtain(mode: Mode) -> Result<PathBuf> {
    let root = root()?;
    setup::obtain(mode, "bpf-linker", || find(&root), &[remedy(&root)])
}

/// Where it goes unless it is there already: the user's own `~/.cargo/bin` is
/// not ours to fill, and may have another version.
fn root() -> Result<PathBuf> {
    Ok(cache()?.join(format!("bpf-linker-{VERSION}")))
}

fn find(root: &Path) -> Option<PathBuf> {
    let wanted = format!("bpf-linker {VERSION}");
    let fits = |file: &PathBuf| {
        file.is_file() && output(outside_cargo(file).arg("--version")).as_ref() == Some(&wanted)
    };
    Some(root.join("bin/bpf-linker"))
        .filter(fits)
        .or_else(|| find_program("bpf-linker").filter(fits))
}

fn remedy(root: &Path) -> Remedy {
    Remedy {
        what: format!("bpf-linker {VERSION}, into {}", root.display()),
        program: "cargo",
        as_root: false,
        commands: vec![CommandLine::new([
            "cargo",
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--root",
            &root.to_string_lossy(),
        ])],
    }
}
