//! bpf-linker: makes one BPF object of LLVM bitcode.

use std::path::PathBuf;

use anyhow::Result;

use crate::{crate_tool::CrateTool, setup::Mode};

/// The pinned version reads the bitcode of LLVM 22.
const BPF_LINKER: CrateTool = CrateTool {
    name: "bpf-linker",
    version: "0.10.0",
    ask: &["--version"],
};

/// Finds it or installs it.
pub(crate) fn obtain(mode: Mode) -> Result<PathBuf> {
    BPF_LINKER.obtain(mode)
}
