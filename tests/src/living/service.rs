//! The service under its manager.

use std::collections::BTreeSet;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{debian::Debian, site::Site};
use crate::chaos::CONFIGURATIONS;

/// What `systemd-analyze security` may say at most, times ten; docs/operations/service.md
/// quotes it.
const EXPOSURE: u32 = 23;

/// Where drop-ins of the service's unit are.
pub(super) const DROP_IN: &str = "/etc/systemd/system/poolguard.service.d/test.conf";

pub(super) fn units_are_clean(site: &mut Site) -> String {
    let debian = &site.debian;
    let verify =
        debian.run("systemd-analyze verify --man=no /usr/lib/systemd/system/poolguard.service /usr/lib/systemd/system/poolguard-gate@.service");
    assert!(verify.status.success(), "{verify:?}");
    let complaints = [verify.stdout, verify.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&complaints), "");
    let threshold = format!("--threshold={EXPOSURE}");
    let security = debian.says(&format!("systemd-analyze security {threshold} poolguard"));
    let last = security.lines().last().unwrap_or_default();
    let (_, exposure) = last.split_once("service: ").expect("a figure");
    format!("exposure {exposure}")
}

pub(super) fn starts(site: &mut Site) -> String {
    site.configure_rightly();
    site.debian.says("systemctl enable --now poolguard");
    // At once: it is ready when it enforces.
    let frames = site.filters();
    assert_eq!(site.debian.property("poolguard", "ActiveState"), "active");
    assert_eq!(site.get("/readyz").0, 200);
    frames
}

/// Where a process of the box may write: those of its mounts that are not read-only.
fn writable(debian: &Debian, pid: u32) -> Vec<String> {
    let root = debian.own(&format!("/proc/{pid}/root"));
    let mounts = debian.says(&format!("cat /proc/{pid}/mountinfo"));
    let paths: BTreeSet<_> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .collect();
    // Some are below others, which may have made them read-only.
    let writes = |path: &&str| {
        let mount = statvfs(&root.join(&path[1..]));
        mount.is_ok_and(|mount| !mount.flags().contains(FsFlags::ST_RDONLY))
    };
    paths
        .into_iter()
        .filter(writes)
        .map(str::to_owned)
        .collect()
}

pub(super) fn is_confined(site: &mut Site) -> String {
    let debian = &site.debian;
    let pid = site.main_pid();
    // Of /proc it sees processes alone. What is writable in /dev harms nobody, and
    // systemd itself may bind the file by which it tells of the memory running out.
    let harmless = |path: &String| {
        path == "/proc" || path.starts_with("/dev/") || path.ends_with("/memory.pressure")
    };
    let mut writable = writable(debian, pid);
    writable.retain(|path| !harmless(path));
    let expected = [
        "/run/poolguard",
        "/sys/fs/bpf",
        "/tmp",
        "/var/lib/poolguard",
        "/var/tmp",
    ];
    assert_eq!(writable, expected, "and nothing else may be written");
    let no_sysctls = debian.run(&format!("test -e /proc/{pid}/root/proc/sys"));
    assert!(!no_sysctls.status.success(), "it sees no sysctls");
    let status = debian.says(&format!("cat /proc/{pid}/status"));
    // CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF.
    let capabilities = format!("{:016x}", 1_u64 << 12 | 1 << 38 | 1 << 39);
    for line in [
        format!("CapBnd:\t{capabilities}"),
        format!("CapEff:\t{capabilities}"),
        "NoNewPrivs:\t1".to_owned(),
        "Seccomp:\t2".to_owned(),
    ] {
        assert!(status.contains(&line), "{line} in {status}");
    }
    let modes =
        debian.says("stat --format=%a,%U:%G /run/poolguard/default.sock /var/lib/poolguard");
    assert_eq!(modes, "660,root:poolguard\n700,root:root");
    // What it pins there, everybody finds.
    assert!(
        debian
            .says("ls /sys/fs/bpf/poolguard-default")
            .contains("links")
    );
    expected.join(" ")
}

pub(super) fn reloads(site: &mut Site) -> String {
    let before = site.generation();
    site.configure(CONFIGURATIONS[1]);
    let frames = site.during(|debian| {
        debian.says("systemctl reload poolguard");
    });
    assert_eq!(
        site.generation(),
        before + 1,
        "put into force when it returns"
    );
    frames
}

pub(super) fn refuses_a_reload(site: &mut Site) -> String {
    let before = (site.generation(), site.main_pid());
    site.configure("[[pool]]\nname = 1\n");
    let frames = site.during(|debian| {
        let complaint = debian.complains("systemctl reload poolguard");
        assert!(complaint.contains("failed"), "{complaint}");
    });
    site.configure_rightly();
    assert_eq!((site.generation(), site.main_pid()), before, "as it was");
    assert_eq!(site.debian.property("poolguard", "ActiveState"), "active");
    site.debian.says("systemctl reload poolguard");
    format!("it fails, the service goes on; {frames}")
}

pub(super) fn stops_and_starts(site: &mut Site) -> String {
    let frames = site.during(|debian| {
        let mut journal = debian.journal();
        debian.says("systemctl stop poolguard");
        journal.until("stopped, and STILL ENFORCING");
        assert_eq!(debian.property("poolguard", "ActiveState"), "inactive");
        assert_eq!(debian.property("poolguard", "Result"), "success");
    });
    assert_eq!(
        site.filters().split(' ').next(),
        Some("of"),
        "without a controller"
    );
    let again = site.during(|debian| {
        let mut journal = debian.journal();
        debian.says("systemctl start poolguard");
        journal.until("an earlier run was still attached: taken over");
    });
    format!("stopped: {frames}; started: {again}")
}

pub(super) fn is_killed(site: &mut Site) -> String {
    let pid = site.main_pid();
    let frames = site.during(|debian| {
        let mut journal = debian.journal();
        debian.says("systemctl kill --kill-whom=main --signal=KILL poolguard");
        journal.until("Main process exited, code=killed, status=9/KILL");
        journal.until("Started");
    });
    assert_ne!(site.main_pid(), pid);
    assert_eq!(site.debian.property("poolguard", "NRestarts"), "1");
    format!("restarted by systemd; {frames}")
}

pub(super) fn hangs(site: &mut Site) -> String {
    // As shipped it is minutes.
    site.debian.write(DROP_IN, "[Service]\nWatchdogSec=5s\n");
    site.debian.says("systemctl daemon-reload");
    site.debian.says("systemctl restart poolguard");
    let pid = site.main_pid();
    let frames = site.during(|debian| {
        let mut journal = debian.journal();
        debian.says("systemctl kill --kill-whom=main --signal=STOP poolguard");
        journal.until("Watchdog timeout");
        journal.until("Main process exited");
        journal.until("Started");
    });
    assert_ne!(site.main_pid(), pid);
    site.debian.remove(DROP_IN);
    site.debian.says("systemctl daemon-reload");
    format!("killed and restarted by the watchdog; {frames}")
}
