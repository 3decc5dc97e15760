//! Where things are, and how the chores speak.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The target that the XDP program is compiled for: BPF in the byte order of
/// the machine that will run it.
pub(crate) const BPF_TARGET: &str = if cfg!(target_endian = "little") {
    "bpfel-unknown-none"
} else {
    "bpfeb-unknown-none"
};

/// The target directory of the XDP program, apart from the host's: they are
/// built by different toolchains and would throw away each other's work.
pub(crate) const BPF_TARGET_DIR: &str = "target/xdp";

/// The XDP program, relative to the root. `dataplane` embeds it from here.
pub(crate) fn object() -> PathBuf {
    Path::new(BPF_TARGET_DIR)
        .join(BPF_TARGET)
        .join("release/poolguard-xdp")
}

/// The programs of the benchmark, likewise.
pub(crate) fn bench_object() -> PathBuf {
    object().with_file_name("poolguard-bench-xdp")
}

/// Where what is installed for poolguard alone goes.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(base) if Path::new(&base).is_absolute() => base.into(),
        _ => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("poolguard"))
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Announces a step, in one line.
pub(crate) fn step(what: impl std::fmt::Display) {
    eprintln!("==> {what}");
}
