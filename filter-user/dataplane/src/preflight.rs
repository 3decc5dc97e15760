//! What a filter needs, checked before anything is done, so that what is
//! missing is named rather than met as an error number later.

use rustix::{
    fs::statfs,
    system::uname,
    thread::{CapabilitySet, capabilities},
};

use policy::instance::Instance;

use super::DataplaneError;

/// `XDP_HAS_FRAGS`, `bpf_xdp_get_buff_len` and `bpf_xdp_load_bytes` came with
/// Linux 5.18. The oldest kernel that the tests run on is 6.1; what the verifiers
/// between them make of the program they will say themselves.
const OLDEST_KERNEL: (u32, u32) = (5, 18);
const OLDEST_KERNEL_TEXT: &str = "5.18";

/// Checks that this process can filter on this machine.
///
/// # Errors
///
/// What is missing: a recent kernel, privileges, or bpffs.
pub fn check(instance: &Instance) -> Result<(), DataplaneError> {
    kernel()?;
    privileges()?;
    bpffs(instance)
}

fn kernel() -> Result<(), DataplaneError> {
    let found = uname().release().to_string_lossy().into_owned();
    if version(&found).is_some_and(|version| version < OLDEST_KERNEL) {
        return Err(DataplaneError::KernelTooOld {
            found,
            needed: OLDEST_KERNEL_TEXT,
        });
    }
    Ok(())
}

/// Major and minor number of a release; `None` for one that has no numbers.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn privileges() -> Result<(), DataplaneError> {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let bpf = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let mut missing = Vec::new();
    if !held.contains(CapabilitySet::SYS_ADMIN) && !held.contains(bpf) {
        missing.push("CAP_BPF and CAP_PERFMON");
    }
    if !held.contains(CapabilitySet::NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(DataplaneError::Privileges {
        missing: missing.join(", "),
    })
}

fn bpffs(instance: &Instance) -> Result<(), DataplaneError> {
    let path = instance.bpffs();
    match statfs(path) {
        Ok(stat) if stat.f_type == libc::BPF_FS_MAGIC => Ok(()),
        _ => Err(DataplaneError::NoBpffs { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kernel_releases() {
        assert_eq!(version("6.1.0-32-amd64"), Some((6, 1)));
        assert_eq!(version("5.17.15"), Some((5, 17)));
        assert_eq!(version("5.18"), Some((5, 18)));
        assert_eq!(version("7.0-rc1"), Some((7, 0)));
        assert_eq!(version("custom"), None);
        assert!(version("5.4.0").is_some_and(|v| v < OLDEST_KERNEL));
        assert!(version("10.0.0").is_some_and(|v| v > OLDEST_KERNEL));
    }

    #[test]
    fn the_kernel_version_is_written_the_same_twice() {
        assert_eq!(version(OLDEST_KERNEL_TEXT), Some(OLDEST_KERNEL));
    }
}
