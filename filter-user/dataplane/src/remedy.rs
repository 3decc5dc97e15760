//! What to do about an error of the operating system.

use std::{borrow::Cow, io, path::Path};

use rustix::{io::Errno, process::geteuid};

use crate::refused_link::RefusedLink;

/// The rest of a sentence that begins with what went wrong.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "raise the limit of open files: `LimitNOFILE=` of the unit, or `ulimit -n`"
        }
        Some(Errno::NOMEM) => "free memory, or raise `MemoryMax=` of the unit where it is set",
        Some(Errno::NOSPC | Errno::DQUOT) => "make room there: `df` shows what is full",
        Some(Errno::ROFS) => "make it writable: `mount -o remount,rw`, see `findmnt -T`",
        Some(Errno::ACCESS | Errno::PERM) if geteuid().is_root() => {
            "root may not either: another file system may be mounted there (`findmnt -T`), or the \
             unit, a security module or a missing capability (CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN) \
             forbids it"
        }
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
pub fn remedy_at(path: &Path, error: &io::Error) -> Cow<'static, str> {
    match RefusedLink::find(path, error) {
        Some(link) => format!("{link}: {}", link.help()).into(),
        None => remedy(error).into(),
    }
}
