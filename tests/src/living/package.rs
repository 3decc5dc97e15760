//! The package comes, is replaced, and goes.

use std::{fs, path::Path};

use super::{debian::Debian, site::Site};

/// Installs a package, and gives back what dpkg said.
fn install(debian: &Debian, package: &Path) -> String {
    let there = "/root/poolguard.deb";
    fs::copy(package, debian.path(there)).unwrap();
    let told = debian.says(&format!("dpkg --install {there}"));
    debian.remove(there);
    told
}

/// What there is of poolguard on the box.
fn files(debian: &Debian) -> Vec<String> {
    let find = "find /etc /usr /var /run /sys/fs/bpf -iname *poolguard*";
    let mut found: Vec<_> = debian.says(find).lines().map(str::to_owned).collect();
    for file in ["/etc/group", "/etc/gshadow"] {
        let content = fs::read_to_string(debian.path(file)).unwrap();
        found.extend(content.contains("poolguard").then(|| file.to_owned()));
    }
    found
}

pub(super) fn is_installed(site: &mut Site) -> String {
    let debian = &site.debian;
    assert_eq!(files(debian), [""; 0], "before it is installed");
    let told = install(debian, &site.packages.first);
    assert!(told.contains("neither enabled nor started"), "{told}");
    assert!(
        debian
            .run("systemctl is-enabled poolguard")
            .stdout
            .starts_with(b"disabled")
    );
    assert_eq!(debian.property("poolguard", "ActiveState"), "inactive");
    let installed = files(debian);
    for file in [
        "/usr/sbin/poolguard",
        "/etc/poolguard/poolguard.toml",
        "/usr/share/man/man8/poolguard-exempt-add.8.gz",
        "/usr/share/man/man5/poolguard.toml.5.gz",
        "/etc/group",
    ] {
        assert!(installed.iter().any(|found| found == file), "{file}");
    }
    let check = debian.run("poolguard check");
    assert!(check.status.success(), "the example is right: {check:?}");
    let text = String::from_utf8(check.stderr).unwrap();
    assert!(!text.contains("warning"), "and nobody's but root's: {text}");
    let kept = debian.says("dpkg --status poolguard");
    assert!(kept.contains("/etc/poolguard/poolguard.toml"), "{kept}");
    site.plug_in();
    site.passes_all();
    "neither enabled nor started, the example is valid, nothing filters".to_owned()
}

pub(super) fn is_upgraded(site: &mut Site) -> String {
    let before = site.main_pid();
    let next = site.packages.next.clone();
    let frames = site.during(|debian| {
        let mut journal = debian.journal();
        let told = install(debian, &next);
        assert!(!told.contains("neither enabled"), "only once: {told}");
        journal.until("an earlier run was still attached: taken over");
        journal.until("Started");
    });
    assert_ne!(site.main_pid(), before, "the new program runs");
    let debian = &site.debian;
    let version = debian.says("dpkg --status poolguard");
    assert!(version.contains("Version: 0.1.0-2"), "{version}");
    assert_eq!(debian.says("systemctl is-enabled poolguard"), "enabled");
    site.filters();
    format!("restarted by the package; {frames}")
}

pub(super) fn is_removed(site: &mut Site) -> String {
    site.filters();
    let debian = &site.debian;
    let mut journal = debian.journal();
    debian.says("dpkg --remove poolguard");
    journal.until("STILL ENFORCING");
    assert_eq!(debian.property("poolguard", "ActiveState"), "inactive");
    site.passes_all();
    let left = files(&site.debian);
    let kept = "/etc/poolguard/poolguard.toml".to_owned();
    assert!(left.contains(&kept), "removed, not purged: {left:?}");
    assert!(
        !left.iter().any(|file| file.starts_with("/sys")),
        "{left:?}"
    );
    "stopped, the filter taken off, the configuration kept".to_owned()
}

pub(super) fn is_purged(site: &mut Site) -> String {
    let debian = &mut site.debian;
    debian.says("dpkg --purge poolguard");
    assert_eq!(files(debian), [""; 0], "no file, no group, no pin");
    assert_eq!(debian.says("systemctl --failed --quiet"), "");
    debian.power_off();
    "no file, no group, no pin, no unit that failed".to_owned()
}
