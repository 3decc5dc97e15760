//! Boots that fail closed, as docs/operations/fail-closed.md tells it: interfaces that
//! are down until poolguard filters there.

use super::site::Site;

/// What each of the two managers of networks reads.
const NETWORKD: [(&str, &str); 4] = [
    (
        "/etc/systemd/network/br0.netdev",
        "[NetDev]\nName=br0\nKind=bridge\n[Bridge]\nSTP=no\nMulticastSnooping=no\n",
    ),
    (
        "/etc/systemd/network/br0.network",
        "[Match]\nName=br0\n[Network]\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n",
    ),
    (
        "/etc/systemd/network/ports.network",
        "[Match]\nName=eth0 eth1\n[Link]\nActivationPolicy=manual\n[Network]\nBridge=br0\n",
    ),
    // The box has no udev, for which networkd waits where it could be.
    (
        "/etc/systemd/system/systemd-networkd.service.d/test.conf",
        "[Service]\nBindReadOnlyPaths=/sys\n",
    ),
];
const IFUPDOWN: [(&str, &str); 2] = [
    (
        "/etc/network/interfaces",
        "auto lo\niface lo inet loopback\n\
         auto br0\niface br0 inet manual\n    bridge_ports none\n\
         iface eth0 inet manual\n    up ip link set dev eth0 master br0 up\n\
         iface eth1 inet manual\n    up ip link set dev eth1 master br0 up\n",
    ),
    (
        "/etc/systemd/system/poolguard-gate@.service.d/ifupdown.conf",
        "[Service]\nEnvironment=UP=ifup\n",
    ),
];

const GATES: [&str; 2] = ["poolguard-gate@eth0", "poolguard-gate@eth1"];

pub(super) fn by_networkd(site: &mut Site) -> String {
    let debian = &site.debian;
    debian.says(&format!("systemctl enable {}", GATES.join(" ")));
    debian.says("systemctl enable systemd-networkd");
    for (file, content) in NETWORKD {
        debian.write(file, content);
    }
    let showed = fails_closed(site);
    let debian = &site.debian;
    assert_eq!(debian.property("systemd-networkd", "ActiveState"), "active");
    debian.says("systemctl disable systemd-networkd");
    for (file, _) in NETWORKD {
        debian.remove(file);
    }
    showed
}

pub(super) fn by_ifupdown(site: &mut Site) -> String {
    for (file, content) in IFUPDOWN {
        site.debian.write(file, content);
    }
    let showed = fails_closed(site);
    let debian = &site.debian;
    assert_eq!(debian.property("networking", "ActiveState"), "active");
    for (file, _) in IFUPDOWN {
        debian.remove(file);
    }
    debian.remove("/etc/systemd/system/poolguard-gate@.service.d");
    showed
}

/// A boot with a file that is wrong, which somebody then mends.
fn fails_closed(site: &mut Site) -> String {
    site.debian.cut_power();
    site.unplug();
    site.plug_in_only();
    for interface in ["eth0", "eth1"] {
        // As they are after the kernel has found them.
        site.debian.inside.ip(&format!("link set {interface} down"));
    }
    // Nothing is there that could be enforced.
    site.debian.remove("/var/lib/poolguard");
    site.configure("nothing");
    let closed = site.closed(|debian| {
        debian.boot();
        let mut journal = debian.journal();
        for _ in 0..2 {
            journal.until("Failed to start");
        }
    });
    assert_eq!(site.programs(), 0);
    let opened = site.closed(|debian| {
        let mut journal = debian.journal();
        debian.write(super::site::CONFIG, crate::chaos::CONFIGURATIONS[0]);
        journal.until("Started");
        for gate in GATES {
            debian.until(gate, || debian.property(gate, "SubState") == "exited");
        }
    });
    // Whoever was asked to bring a port up may still be at it.
    let inside = &site.debian.inside;
    site.debian.until("both are ports of the bridge", || {
        let ports = inside.ip("link show master br0");
        ["eth0", "eth1"].iter().all(|port| ports.contains(port))
    });
    site.until_forwarding();
    format!(
        "it cannot start: {closed}; mended, it starts: {opened}; {}",
        site.filters()
    )
}
