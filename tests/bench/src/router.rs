//! Routers, and what is asked of them and of their cables.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use filter_common::Family;
use lab::Namespace;
use poolguard_tests::configs::{CUSTOMERS, NETWORK};

use crate::customers::pool;

/// Has a router send everything for the pools out of its second interface.
pub(crate) fn route(router: &Namespace) {
    let set = |key: &str, value| router.sysctl(key, value).unwrap();
    for interface in [NETWORK, CUSTOMERS] {
        set(&format!("ipv6/conf/{interface}/accept_dad"), "0");
        set(&format!("ipv6/conf/{interface}/disable_ipv6"), "0");
    }
    set("ipv4/ip_forward", "1");
    set("ipv6/conf/all/forwarding", "1");
    // All frames are for this address.
    for interface in [NETWORK, CUSTOMERS] {
        router.ip(&format!("link set {interface} address 02:00:00:00:00:02"));
    }
    router.ip(&format!("address add 192.0.2.1/24 dev {NETWORK}"));
    for (own, customers, family) in [
        ("198.51.100.1/24", "198.51.100.2", Family::V4),
        ("2001:dbb::1/64", "2001:dbb::2", Family::V6),
    ] {
        router.ip(&format!("address add {own} dev {CUSTOMERS}"));
        router.ip(&format!(
            "neighbour add {customers} lladdr 02:00:00:00:00:03 nud permanent dev {CUSTOMERS}"
        ));
        router.ip(&format!("route add {} via {customers}", pool(family)));
    }
}

pub(crate) fn index_of(namespace: &Namespace, interface: &str) -> u32 {
    let json = link(namespace, interface);
    json["ifindex"].as_u64().unwrap() as u32
}

/// How many frames have come out at the far end.
pub(crate) fn received(customers: &Namespace) -> u64 {
    link(customers, "cable")["stats64"]["rx"]["packets"]
        .as_u64()
        .unwrap()
}

fn link(namespace: &Namespace, interface: &str) -> serde_json::Value {
    let json = namespace.ip(&format!("-json -statistics link show {interface}"));
    let mut links: serde_json::Value = serde_json::from_str(&json).unwrap();
    links[0].take()
}

/// Runs a program inside and gives it something to read.
pub(crate) fn feed(namespace: &Namespace, program: &str, words: &str, text: &str) {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).stdin(Stdio::piped());
    let status = namespace.run(|| {
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait().unwrap()
    });
    assert!(status.success(), "{program} {words}: {status}");
}
