//! What can keep the filter out of the kernel, and what to do about it.

use std::{io, path::PathBuf};

use policy::config::Attach;

use super::{Misplaced, Namespace, NotNative, cause::remedy_for_cause, wire::WireError};
use crate::remedy::{remedy, remedy_at};
use aya::{EbpfError, maps::MapError, programs::ProgramError};
use rustix::io::Errno;
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
    #[error("{path}: {source}: {}", remedy_at(path, source))]
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
    /// The instance filters in another network namespace.
    #[error(
        "instance {instance} filters in another network namespace, {}: on {}. Nothing is done here. \
         {}, or use another --instance here",
        elsewhere(*namespace), interfaces.join(", "), way_there(*namespace)
    )]
    OtherNamespace {
        /// The name of the instance.
        instance: String,
        /// Where it filters.
        interfaces: Vec<String>,
        /// In which one, if it is known.
        namespace: Option<Namespace>,
    },
    /// Nobody knows where this process is.
    #[error("cannot ask which network namespace this is: {}: {}", .0, remedy(.0))]
    Namespace(io::Error),
    /// The kernel cannot be asked about interfaces.
    #[error("cannot ask which interfaces there are: {}: {}", .0, remedy(.0))]
    Interfaces(io::Error),
    /// There is no such interface.
    #[error("interface {interface}: there is none of this name (`ip link` lists them)")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// It is a device that XDP cannot filter, or not beside another one.
    #[error("interface {interface}: {why}")]
    Misplaced {
        /// Its name.
        interface: String,
        /// Why, and where to filter instead.
        why: Misplaced,
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
    /// Another poolguard filters there.
    #[error(
        "interface {interface}: poolguard's instance {instance} filters there already. \
         `poolguard --instance {instance} detach` takes it off and ends it; or take this interface \
         out of one of the two configurations"
    )]
    OtherInstance {
        /// Its name.
        interface: String,
        /// The other one's name.
        instance: String,
    },
    /// Something filters a part of its frames, and has to be attached after it.
    #[error(
        "interface {interface}: the kernel attaches nothing below {upper}, which has an XDP program. \
         Take that off first (take {upper} out of the configuration and reload), and attach it again \
         afterwards"
    )]
    Below {
        /// Its name.
        interface: String,
        /// What gets its frames from it.
        upper: String,
    },
    /// The driver has no XDP.
    #[error("interface {interface}: {why}, or accept the slow path: attach = \"generic\"")]
    NoNativeXdp {
        /// Its name.
        interface: String,
        /// Why, and where it is to be had.
        why: NotNative,
    },
    /// It has the program in a mode that is not configured any more.
    #[error(
        "interface {interface}: still filtered in mode {}, as by an earlier configuration, since \
         {} was refused. A reload tries that again",
        mode.name(),
        wanted.name()
    )]
    OtherMode {
        /// Its name.
        interface: String,
        /// How it is attached.
        mode: Attach,
        /// How it is configured.
        wanted: Attach,
    },
    /// The program could not be attached or replaced for another reason.
    #[error(
        "interface {interface}: cannot attach the XDP program: {source}: {}",
        remedy(source)
    )]
    Attach {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing could be attached where frames leave.
    #[error(
        "interface {interface}: cannot attach the program at the way out: {source}: {}. Go on \
         without it: `egress = \"off\"` there; what was not judged on arrival then passes",
        way_out_remedy(source)
    )]
    Egress {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Two interfaces cannot be joined by a wire.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The kernel refused a map.
    #[error("table {table}: {}: {}", chain(source.as_ref()), remedy_for_cause(source.as_ref()))]
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
    /// Programs that were replaced may still be running.
    #[error("cannot wait for the programs that were replaced: {}: {}", .0, remedy(.0))]
    Wait(io::Error),
    /// The marks of exemptions cannot be read.
    #[error("cannot read which exemptions were used: {}: {}", .0, remedy(.0))]
    LastUse(io::Error),
    /// The kernel refused the object.
    #[error("cannot load the XDP program: {}: {}", chain(.0.as_ref()), remedy_for_cause(.0.as_ref()))]
    Object(Box<EbpfError>),
    /// The kernel refused the program, maybe its verifier.
    #[error("the kernel does not take the XDP program: {}", refusal(.0))]
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

/// What the kernel means by an error number here.
fn way_out_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::INVAL) => {
            "this kernel has neither tcx (Linux 6.6) nor clsact with BPF filters (modules sch_ingress \
             and cls_bpf), or another qdisc or filter is in their place (`tc qdisc show`)"
        }
        Some(Errno::EXIST | Errno::BUSY) => {
            "something is in its place already (`tc filter show dev` ... `egress`, `bpftool net`)"
        }
        Some(Errno::RANGE) => "too many programs are there already (`bpftool net`)",
        _ => remedy(error),
    }
}

fn elsewhere(namespace: Option<Namespace>) -> String {
    namespace.map_or_else(
        || "nobody noted which".to_owned(),
        |known| known.to_string(),
    )
}

fn way_there(namespace: Option<Namespace>) -> String {
    match namespace.and_then(Namespace::entrance) {
        Some(place) => format!("Run this there (`nsenter --net={}`)", place.display()),
        None => "Run this there".to_owned(),
    }
}

/// Why the kernel does not take the program, in a line.
fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => load_refusal(io_error, &verifier_log.to_string()),
        error => format!("{}: {}", chain(error), remedy_for_cause(error)),
    }
}

/// The verifier has reasons of its own, and its error numbers mean something else
/// elsewhere.
fn load_refusal(error: &io::Error, verifier_log: &str) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    if !matches!(errno, Some(Errno::ACCESS | Errno::INVAL | Errno::TOOBIG)) {
        return format!("{error}: {}", remedy(error));
    }
    // After its reason come figures.
    let is_figure = |line: &&str| {
        let figures = ["processed ", "verification time ", "stack depth "];
        line.is_empty() || figures.iter().any(|figure| line.starts_with(figure))
    };
    let reason = verifier_log.lines().rev().find(|line| !is_figure(line));
    format!(
        "{error}: its verifier says {:?}: report that with `uname -r`, and go on with the \
         version before this one",
        reason.unwrap_or_default()
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux says of a program that it does not take.
    const LOG: &str = "0: R1=ctx(off=0,imm=0)\nR3 invalid mem access 'scalar'\n\
                       verification time 12 usec\nprocessed 7 insns (limit 1000000)\n";

    #[test]
    fn what_the_verifier_says_is_told_apart_from_what_is_short() {
        let text = load_refusal(&Errno::ACCESS.into(), LOG);
        assert!(text.contains("R3 invalid mem access 'scalar'"), "{text}");
        assert!(text.contains("report that"), "{text}");
        let text = load_refusal(&Errno::MFILE.into(), LOG);
        assert!(text.contains("LimitNOFILE="), "{text}");
        assert!(!text.contains("R3"), "{text}");
    }
}
