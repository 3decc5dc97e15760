//! What an earlier run left behind, because it was killed: found by the number
//! of its process, which is in every name, and removed.

use std::{fs, path::Path};

use lab::{DIRECTORY, Namespace};

use crate::workspace::step;

/// What the names of a run's namespaces start with.
pub(crate) const NAMESPACE_PREFIX: &str = "pgd-";
/// What the names of the directories of runs start with.
pub(crate) const DIRECTORY_PREFIX: &str = "poolguard-demo-";
/// What the names of the demo's instances start with.
pub(crate) const INSTANCE_PREFIX: &str = "demo-";
/// What the names of their directories in bpffs start with.
const PIN_PREFIX: &str = "poolguard-demo-";

/// Where bpffs has to be.
pub(crate) const BPFFS: &str = "/sys/fs/bpf";
/// Where the control sockets of instances are.
pub(crate) const SOCKETS: &str = "/run/poolguard";

/// Removes what belongs to runs that are over.
pub(crate) fn remove() {
    for name in left_in(DIRECTORY, NAMESPACE_PREFIX) {
        step(format_args!("removing {name}, left by an earlier run"));
        if let Err(error) = Namespace::left_behind(name) {
            eprintln!("warning: {error}");
        }
    }
    // After the processes in the namespaces, which used them.
    for (parent, prefix) in [
        ("/run", DIRECTORY_PREFIX),
        (BPFFS, PIN_PREFIX),
        (SOCKETS, INSTANCE_PREFIX),
    ] {
        for name in left_in(parent, prefix) {
            let path = Path::new(parent).join(name);
            step(format_args!(
                "removing {}, left by an earlier run",
                path.display()
            ));
            remove_all(&path);
        }
    }
}

/// Removes a file or a directory with all that is in it, if it is there.
pub(crate) fn remove_all(path: &Path) {
    let removed = match path.symlink_metadata() {
        Err(_) => return,
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    if let Err(error) = removed {
        eprintln!("warning: cannot remove {}: {error}", path.display());
    }
}

/// The names in a directory that carry the number of a run that is over.
fn left_in(directory: &str, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| {
            let number = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.split(['-', '.']).next());
            number.and_then(|n| n.parse().ok()).is_some_and(is_over)
        })
        .collect()
}

fn is_over(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim() != "xtask"
}
