//! Boots.

use std::{fs::OpenOptions, process::Command};

use lab::metric;
use serde_json::Value;

use super::{service::DROP_IN, site::Site};

/// Cuts the power and boots. Says what systemd says of the state then.
fn power_cycle(site: &mut Site) -> String {
    site.debian.cut_power();
    site.debian.boot()
}

pub(super) fn first_boot(site: &mut Site) -> String {
    let debian = &mut site.debian;
    let state = debian.boot();
    assert_eq!(state, "running", "{}", debian.says("systemctl --failed"));
    assert_eq!(
        debian.says("systemctl show --property=LoadState --value systemd-sysctl"),
        "masked"
    );
    // Opened alone: should it be possible, nothing is changed.
    let sysctl = OpenOptions::new()
        .write(true)
        .open(debian.own("/proc/sys/kernel/pid_max"));
    let refused = sysctl.expect_err("sysctls are the whole machine's");
    let version = debian.says("systemctl --version");
    let version = version.lines().next().unwrap_or_default();
    format!("{version}; a sysctl: {refused}")
}

pub(super) fn before_its_interfaces(site: &mut Site) -> String {
    site.debian.power_off();
    // What was in bpffs is gone, as with any machine that reboots.
    site.passes_all();
    site.unplug();

    let state = site.debian.boot();
    let debian = &site.debian;
    assert_eq!(state, "running", "{}", debian.says("systemctl --failed"));
    let log = debian.says("journalctl --boot --quiet --output=cat");
    assert!(!log.contains("ordering cycle"), "{log}");
    let before = debian.says("journalctl --boot=-1 --quiet --output=cat --unit=poolguard");
    assert!(before.contains("stopped, and STILL ENFORCING"), "{before}");
    assert!(before.contains("Deactivated successfully"), "{before}");
    assert_eq!(debian.property("poolguard", "ActiveState"), "active");
    let entered = |unit| -> u64 {
        let moment = debian.property(unit, "ActiveEnterTimestampMonotonic");
        moment.parse().unwrap()
    };
    let [ready, networks] = ["poolguard.service", "network-pre.target"].map(entered);
    assert!(
        0 < ready && ready < networks,
        "ready at {ready}, networks from {networks} on"
    );
    let (readiness, why) = site.get("/readyz");
    assert_eq!(readiness, 503, "{why}");
    assert_eq!(site.programs(), 0);

    let told = site.debian.property("poolguard", "StatusText");
    assert!(told.contains("NOT ENFORCING on eth1, eth0"), "{told}");
    site.plug_in();
    site.debian
        .until("it enforces on both", || site.get("/readyz").0 == 200);
    let told = site.debian.property("poolguard", "StatusText");
    assert!(!told.contains("NOT ENFORCING"), "{told}");
    format!(
        "ready {} ms before networks may come; {why:?}; attached when they came: {}",
        (networks - ready) / 1000,
        site.filters()
    )
}

pub(super) fn with_another_var(site: &mut Site) -> String {
    let debian = &mut site.debian;
    debian.power_off();
    let copied = Command::new("cp")
        .arg("--archive")
        .args(["/var", "/srv/var"].map(|path| debian.path(path)))
        .status();
    assert!(copied.unwrap().success());
    debian.remove("/var/lib/poolguard");
    debian.remove("/srv/var/lib/poolguard");
    debian.write(
        "/etc/systemd/system/late.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=sleep 1\n",
    );
    let fstab =
        |options| format!("/srv/var /var none {options},x-systemd.requires=late.service 0 0\n");
    debian.write("/etc/fstab", &fstab("bind"));
    let state = debian.boot();
    assert_eq!(state, "running", "{}", debian.says("systemctl --failed"));
    let late = site.filters();
    let debian = &mut site.debian;
    assert!(
        debian.path("/srv/var/lib/poolguard").is_dir(),
        "in what came later"
    );
    assert!(
        !debian.path("/var/lib/poolguard").exists(),
        "and not below it"
    );

    debian.write("/etc/fstab", &fstab("bind,ro"));
    let state = power_cycle(site);
    assert_eq!(site.debian.property("poolguard", "ActiveState"), "active");
    let read_only = site.filters();
    for file in ["/etc/fstab", "/etc/systemd/system/late.service"] {
        site.debian.remove(file);
    }
    // The next night finds what is in force kept, in the /var of before.
    assert_eq!(power_cycle(site), "running");
    site.filters();
    format!("late: {late}; read-only: {read_only} (the system is {state})")
}

/// What the metrics say of the last good configuration.
fn last_good(site: &Site) -> u64 {
    metric(&site.get("/metrics").1, "poolguard_config_last_good ")
}

pub(super) fn with_a_spoilt_file(site: &mut Site) -> String {
    assert_eq!(site.status()["last_good"], Value::Null);
    site.configure("[[");
    let state = power_cycle(site);
    assert_eq!(
        state,
        "running",
        "{}",
        site.debian.says("systemctl --failed")
    );
    let frames = site.filters();
    let log = site
        .debian
        .says("journalctl --boot --unit=poolguard --quiet --output=cat");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "one line: {log}");
    assert!(
        errors[0].contains("the last good configuration"),
        "{errors:?}"
    );
    let told = site.debian.property("poolguard", "StatusText");
    assert!(told.starts_with("LAST GOOD CONFIGURATION"), "{told}");
    let shown = site.debian.says("poolguard status");
    assert!(shown.contains("LAST GOOD CONFIGURATION"), "{shown}");
    let (_, readiness) = site.get("/readyz");
    assert!(
        readiness.contains("the last good configuration"),
        "{readiness}"
    );
    assert_eq!(last_good(site), 1);

    site.debian.complains("systemctl reload poolguard");
    site.configure_rightly();
    site.debian.says("systemctl reload poolguard");
    assert_eq!(last_good(site), 0);
    let told = site.debian.property("poolguard", "StatusText");
    assert!(!told.contains("LAST GOOD"), "{told}");
    format!("the last good configuration: {frames}; mended and reloaded")
}

pub(super) fn strictly_with_a_spoilt_file(site: &mut Site) -> String {
    let strict = "[Service]\nExecStart=\nExecStart=/usr/sbin/poolguard run --strict\n";
    site.debian.write(DROP_IN, strict);
    site.configure("[[");
    let state = power_cycle(site);
    let mut journal = site.debian.journal();
    journal.until("Failed to start");
    assert_eq!(site.debian.property("poolguard", "ExecMainStatus"), "1");
    drop(journal);
    site.passes_all();
    let mut journal = site.debian.journal();
    site.configure_rightly();
    journal.until("Started");
    drop(journal);
    site.debian.remove(DROP_IN);
    format!(
        "refused (the system is {state}); started once it is mended: {}",
        site.filters()
    )
}
