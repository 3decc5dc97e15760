//! What can keep the filter out of the kernel, and what to do about it.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error;

/// Why the filter is not, or not wholly, in the kernel.
#[derive(Debug, Error)]
pub enum DataplaneError {
    /// This binary has no XDP program in it.
    #[error(
        "this poolguard was built without its XDP program and cannot filter: \
         build it with `cargo xtask build`"
    )]
    NoProgram,
    /// The process may not do this.
    #[error("missing privileges: {missing}. Run as root, or give the process these capabilities")]
    Privileges {
        /// The capabilities that are not in the effective set.
        missing: String,
    },
    /// The kernel has not got what the program needs.
    #[error(
        "kernel {found} is too old: poolguard needs {needed} or later (XDP on frames in several \
         buffers)"
    )]
    KernelTooOld {
        /// As `uname -r` prints it.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// There is no BPF filesystem where there must be one.
    #[error("no bpffs at {path}: mount it with `mount -t bpf bpf {path}`")]
    NoBpffs {
        /// The mount point.
        path: PathBuf,
    },
    /// The directory of this instance cannot be made, read or removed.
    #[error("{path}: {source}")]
    Pins {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is something in the directory of this instance that poolguard did
    /// not put there.
    #[error(
        "{path}: not a link of poolguard's. `bpftool link show pinned {path}` says what it is; \
         remove it"
    )]
    ForeignPin {
        /// The pin.
        path: PathBuf,
    },
    /// The kernel cannot be asked about interfaces.
    #[error("cannot ask which interfaces there are: {0}")]
    Interfaces(io::Error),
    /// There is no such interface.
    #[error("interface {interface}: there is none of this name (`ip link` lists them)")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// Something else filters there.
    #[error(
        "interface {interface}: another XDP program is attached already. `bpftool net` shows it; \
         `ip link set dev {interface} xdp off` removes one that is not held by a bpf_link"
    )]
    Occupied {
        /// Its name.
        interface: String,
    },
    /// The driver has no XDP.
    #[error(
        "interface {interface}: its driver has no native XDP. Use a driver that has it, or \
         accept the slow path: attach = \"generic\""
    )]
    NoNativeXdp {
        /// Its name.
        interface: String,
    },
    /// The program could not be attached or replaced for another reason.
    #[error("interface {interface}: cannot attach the XDP program: {source}")]
    Attach {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a map.
    #[error("table {table}: {source}")]
    Map {
        /// Its name.
        table: &'static str,
        /// What aya or the kernel said.
        source: Box<MapError>,
    },
    /// A table in use cannot take what is to be added to it.
    #[error("table {table}: no room for a change while it is in use")]
    NoRoom {
        /// Its name.
        table: &'static str,
    },
    /// A table in use cannot be changed.
    #[error("table {table} cannot be changed while it is in use: {source}")]
    Amend {
        /// Its name.
        table: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused the object.
    #[error("cannot load the XDP program: {}", chain(.0))]
    Object(Box<EbpfError>),
    /// The verifier refused the program.
    #[error("the kernel's verifier refuses the XDP program: {}", chain(.0))]
    Program(Box<ProgramError>),
}

impl DataplaneError {
    pub(super) fn map(table: &'static str, source: MapError) -> Self {
        Self::Map {
            table,
            source: Box::new(source),
        }
    }

    pub(super) fn amend(table: &'static str, source: io::Error) -> Self {
        Self::Amend { table, source }
    }

    pub(super) fn pins(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Pins {
            path: path.into(),
            source,
        }
    }
}

/// An error with all its causes: the outer one alone seldom says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
