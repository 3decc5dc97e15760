//! What to do about an error of the operating system.

use std::{borrow::Cow, error::Error, io, path::Path};

use aya::maps::MapError;
use rustix::io::Errno;

use crate::refused_link::RefusedLink;

/// The rest of a sentence that begins with what went wrong.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "raise the limit of open files: `LimitNOFILE=` of the unit, or `ulimit -n`"
        }
        Some(Errno::NOMEM) => "free memory, or raise `MemoryMax=` of the unit where it is set",
        Some(Errno::NOSPC | Errno::DQUOT) => "make room there: `df` shows what is full",
        Some(Errno::ROFS) => "make it writable: `mount -o remount,rw`, see `findmnt -T`",
        Some(Errno::ACCESS | Errno::PERM) => {
            "run as root, with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and let the unit write there"
        }
        Some(Errno::LOOP) => "remove the link that leads back to itself: `namei` shows it",
        Some(Errno::ISDIR) => "name a file in it",
        Some(Errno::NOENT) => "make it, or name another one",
        Some(Errno::ADDRINUSE) => "`ss -lntp` shows who listens there: end that, or name another",
        Some(Errno::ADDRNOTAVAIL) => "no interface has this address: `ip address` lists them",
        _ => "the kernel's log, `dmesg`, may say more",
    }
}

/// The same where the error is about a file.
pub(crate) fn remedy_at(path: &Path, error: &io::Error) -> Cow<'static, str> {
    match RefusedLink::find(path, error) {
        Some(link) => format!("{link}: {}", link.help()).into(),
        None => remedy(error).into(),
    }
}

/// The same for an error of aya's that has one of the operating system among its
/// causes.
pub(crate) fn remedy_for_cause(error: &(dyn Error + 'static)) -> &'static str {
    cause(error).map_or(UNKNOWN, remedy)
}

/// The error of the operating system at the bottom of one of aya's.
pub(crate) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    let mut last = None;
    while let Some(error) = next {
        last = match error.downcast_ref() {
            // It hides the error that it is.
            Some(MapError::IoError(error)) => Some(error),
            _ => error.downcast_ref::<io::Error>().or(last),
        };
        next = error.source();
    }
    last
}

const UNKNOWN: &str = "`uname -r` and this line belong into a report of a defect";

#[cfg(test)]
mod tests {
    use aya::{EbpfError, sys::SyscallError};

    use super::*;

    #[test]
    fn the_cause_decides_however_deep_it_is() {
        let full = || io::Error::from(Errno::MFILE);
        let hidden = EbpfError::MapError(MapError::IoError(full()));
        let call = SyscallError {
            call: "bpf",
            io_error: full(),
        };
        let deep = EbpfError::MapError(MapError::SyscallError(call));
        for error in [hidden, deep] {
            let remedy = remedy_for_cause(&error);
            assert!(remedy.contains("LimitNOFILE"), "{error}: {remedy}");
        }
        assert_eq!(remedy_for_cause(&std::fmt::Error), UNKNOWN);
    }
}
