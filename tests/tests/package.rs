//! The Debian package comes, is upgraded while traffic goes on, and goes.
//!
//! `cargo xtask deb --test` builds two of them and runs this, as root. There is no
//! systemd on the box: what `systemctl restart` does is done by hand.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{env, fs, path::Path};

use poolguard_tests::{
    chaos::{Packaged, Row},
    machine::Machine,
};

/// Installs the package that a variable names.
fn install(machine: &Machine, variable: &str) -> String {
    let package = env::var_os(variable);
    let package = package.unwrap_or_else(|| panic!("{variable}: run `cargo xtask deb --test`"));
    let here = machine
        .directory
        .join(Path::new(&package).file_name().unwrap());
    fs::copy(&package, &here).unwrap();
    dpkg(machine, &["--install", here.to_str().unwrap()])
}

fn dpkg(machine: &Machine, words: &[&str]) -> String {
    let output = machine.installed("dpkg", words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What there is of poolguard on the box.
fn files(machine: &Machine) -> Vec<String> {
    let script = "find /etc /usr /var /run /sys/fs/bpf -iname '*poolguard*'; \
                  grep -l poolguard /etc/group /etc/gshadow";
    let found = machine.installed("sh", &["-c", script]);
    let found = String::from_utf8(found.stdout).unwrap();
    found.lines().map(str::to_owned).collect()
}

fn programs(machine: &Machine) -> usize {
    let shown = machine.namespace.ip("-details link show");
    shown.matches("prog/xdp").count()
}

fn assert_right(row: &Row) {
    assert_eq!(row.wrong(), 0, "{row:?}");
    assert!(row.permitted > 0 && row.forbidden > 0, "{row:?}");
    println!("{} permitted, {} forbidden", row.permitted, row.forbidden);
}

#[test]
fn it_is_installed_upgraded_and_purged() {
    let mut site = Packaged::new();
    let told = install(site.machine(), "POOLGUARD_DEB");
    assert!(told.contains("neither enabled nor started"), "{told}");
    let machine = site.machine();
    assert_eq!(
        programs(machine),
        0,
        "nothing is attached by an installation"
    );
    let installed = files(machine);
    for file in [
        "/usr/sbin/poolguard",
        "/etc/poolguard/poolguard.toml",
        "/usr/share/man/man8/poolguard-exempt-add.8.gz",
        "/usr/share/man/man5/poolguard.toml.5.gz",
        "/etc/group",
    ] {
        assert!(installed.iter().any(|found| found == file), "{file}");
    }
    let check = machine.installed("poolguard", &["check"]);
    assert!(check.status.success(), "the example is right: {check:?}");
    let text = String::from_utf8(check.stderr).unwrap();
    assert!(!text.contains("warning"), "and nobody's but root's: {text}");
    let kept = dpkg(machine, &["--status", "poolguard"]);
    assert!(kept.contains("/etc/poolguard/poolguard.toml"), "{kept}");

    machine.start_installed().kill();
    let ((), row) = site.during(|machine| {
        let old = machine.start_installed();
        let upgraded = install(machine, "POOLGUARD_NEXT_DEB");
        assert!(!upgraded.contains("neither enabled"), "only once");
        assert_eq!(programs(machine), 2, "an upgrade takes nothing off");
        // What `deb-systemd-invoke try-restart` does.
        old.stop();
        let mut new = machine.start_installed();
        new.log_until("an earlier run was still enforcing: taken over");
        new.stop();
        // Nobody restarts it for a while.
        assert_eq!(programs(machine), 2);
    });
    assert_right(&row);
    let version = dpkg(site.machine(), &["--status", "poolguard"]);
    assert!(version.contains("Version: 0.1.0-2"), "{version}");

    let machine = site.machine();
    let mut running = machine.start_installed();
    dpkg(machine, &["--remove", "poolguard"]);
    running.log_until("`poolguard detach`: detaching");
    running.ended();
    assert_eq!(
        programs(machine),
        0,
        "nothing filters that nobody can take off"
    );
    let kept = "/etc/poolguard/poolguard.toml".to_owned();
    assert!(files(machine).contains(&kept), "removed, not purged");
    dpkg(machine, &["--purge", "poolguard"]);
    let left = files(machine);
    assert!(left.is_empty(), "no file, no group, no pin: {left:?}");
}
