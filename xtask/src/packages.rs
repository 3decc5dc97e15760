//! Programs from Debian packages.

use anyhow::{Result, bail};

use crate::{
    command::{CommandLine, find_program},
    mta,
    setup::{self, Mode, Remedy},
};

/// A program and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

const IP: Program = program("ip", "iproute2");

/// What the tests run.
pub(crate) const TEST: &[Program] = &[
    IP,
    program("bpftool", "bpftool"),
    program("dhclient", "isc-dhcp-client"),
    program("dnsmasq", "dnsmasq-base"),
    program("ethtool", "ethtool"),
    // For its library, which shows one process another clock.
    program("faketime", "faketime"),
    program("mount", "mount"),
    program("nft", "nftables"),
    program("nsenter", "util-linux"),
    program("prlimit", "util-linux"),
    // Its csv module reads customer lists, too.
    program("python3", "python3"),
    program("setpriv", "util-linux"),
    // Busybox has one that knows no `clsact`.
    program("tc", "iproute2"),
    program("unshare", "util-linux"),
];

/// What a machine of the tests' own has to have besides.
pub(crate) const MACHINE: &[Program] = &[
    program("pppd", "ppp"),
    program("pppoe", "pppoe"),
    program("pppoe-server", "pppoe"),
    program("sh", "dash"),
    program("umount", "mount"),
    program("wg", "wireguard-tools"),
];

/// What makes and looks over the package.
pub(crate) const DEB: &[Program] = &[
    program("dpkg-shlibdeps", "dpkg-dev"),
    program("lintian", "lintian"),
    program("pandoc", "pandoc"),
];

/// What boots a living systemd.
pub(crate) const SYSTEMD: &[Program] = &[
    IP,
    program("mmdebstrap", "mmdebstrap"),
    program("mount", "mount"),
    program("nsenter", "util-linux"),
    program("unshare", "util-linux"),
];

/// What the demo runs.
pub(crate) const DEMO: &[Program] = &[
    IP,
    program("nsenter", "util-linux"),
    program("curl", "curl"),
    program("nmap", "nmap"),
    program("nping", "nmap"),
    program("ping", "iputils-ping"),
    program("postfix", "postfix"),
    program("swaks", "swaks"),
    program("tcpdump", "tcpdump"),
];

/// What the benchmark runs, beside poolguard and as poolguard's rivals.
pub(crate) const BENCH: &[Program] = &[
    IP,
    program("ethtool", "ethtool"),
    program("ipset", "ipset"),
    program("iptables", "iptables"),
    program("mount", "mount"),
    program("nft", "nftables"),
    program("unshare", "util-linux"),
    program("xdp-filter", "xdp-tools"),
];

/// What all commands run.
pub(crate) fn all() -> Vec<Program> {
    let mut all = [TEST, MACHINE, BENCH, DEB, DEMO, SYSTEMD].concat();
    all.sort_unstable_by_key(|program| program.name);
    all.dedup_by_key(|program| program.name);
    all
}

/// Finds these programs or installs their packages, only those that are missing.
pub(crate) fn obtain(mode: Mode, programs: &[Program]) -> Result<()> {
    let missing = || {
        let missing = programs.iter().filter(|p| find_program(p.name).is_none());
        missing.copied().collect::<Vec<_>>()
    };
    let packages: Vec<_> = missing().iter().map(|program| program.package).collect();
    let with_mta = packages.contains(&mta::PACKAGE);
    if with_mta {
        mta::may_install()?;
    }
    let listened = mta::is_listening();
    let thing = names(&missing());
    let find = || missing().is_empty().then_some(());
    setup::obtain(mode, &thing, find, &[apt(&packages)])?;
    if with_mta && !listened && mta::is_listening() {
        bail!("postfix has started on this machine: systemctl disable --now postfix");
    }
    Ok(())
}

/// Their names, to be shown.
pub(crate) fn names(programs: &[Program]) -> String {
    let names: Vec<_> = programs.iter().map(|program| program.name).collect();
    names.join(" ")
}

/// Looks something up in apt's lists, which may have to be fetched first.
pub(crate) fn known_to_apt<T>(what: &str, look: impl Fn() -> Option<T>) -> Result<T> {
    let update = Remedy {
        what: "apt's lists of packages, system-wide".to_owned(),
        program: "apt-get",
        as_root: true,
        commands: vec![CommandLine::new(["apt-get", "update"])],
    };
    setup::obtain(Mode::Install, what, look, &[update])
}

/// Installs Debian packages. Nothing is removed for them: where one conflicts
/// with what is installed, apt refuses.
pub(crate) fn apt(packages: &[&'static str]) -> Remedy {
    let install = |option: &'static str| {
        let options = ["apt-get", "install", option];
        let careful = ["--no-install-recommends", "--no-remove"];
        CommandLine::new([&options[..], &careful, packages].concat())
    };
    // Lists of packages that know these are fresh enough.
    let update = CommandLine::new(["apt-get", "update"]).unless(&install("--simulate"));
    let mut commands = vec![update];
    if packages.contains(&mta::PACKAGE) {
        commands.push(mta::preseed());
    }
    commands.push(install("--yes").env("DEBIAN_FRONTEND", "noninteractive"));
    Remedy {
        what: format!("Debian packages, system-wide: {}", packages.join(" ")),
        program: "apt-get",
        as_root: true,
        commands,
    }
}
