//! A host that is a bridge.

use std::path::Path;

use crate::namespace::Namespace;

/// Makes a bridge of a host, and these interfaces ports of it. It forwards when this
/// returns.
pub fn build(host: &Namespace, ports: &[&str]) {
    pass_unseen(host);
    // No spanning tree and no multicast: a bridge that never speaks.
    host.ip("link add br0 up mtu 9000 type bridge stp_state 0 mcast_snooping 0");
    for port in ports {
        host.ip(&format!("link set {port} master br0"));
    }
    for port in ports {
        until_forwarding(host, port);
    }
}

/// Where the kernel lets netfilter see what a bridge forwards, netfilter drops
/// broken IP headers and cuts padding off. Here only the filter does anything.
fn pass_unseen(host: &Namespace) {
    for table in ["iptables", "ip6tables", "arptables"] {
        let key = format!("bridge/bridge-nf-call-{table}");
        // No such file: no such filter.
        if host.run(|| Path::new("/proc/sys/net").join(&key).exists()) {
            host.sysctl(&key, "0").unwrap();
        }
    }
}

/// Waits until a port forwards: it does once the kernel has told the bridge that the
/// cable is plugged in, a moment after it was.
pub fn until_forwarding(host: &Namespace, port: &str) {
    let show = format!("-d link show {port}");
    let forwards = |_: &u32| host.ip(&show).contains("state forwarding");
    let attempt = (0..1000).find(forwards);
    attempt.unwrap_or_else(|| panic!("{port} does not forward"));
}
