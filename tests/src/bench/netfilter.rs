//! The same policy for nftables and for iptables: one lookup of address and port in
//! a set, for forbidden ports. Every customer has one element; rule 5, return
//! traffic and the customers' other exemptions are spared them.

use std::fmt::Write as _;

use filter_common::Family;

use super::{
    customers::{EXEMPTED, Layout, pool, prefixes},
    live::feed,
    spec::PORTS,
};
use crate::{configs::NETWORK, wire::Namespace};

/// Where nft filters.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    family: &'static str,
    chain: &'static str,
}

/// As soon as there is a packet.
pub const INGRESS: Hook = Hook {
    family: "netdev",
    chain: "type filter hook ingress device NETWORK priority 0",
};

/// After routing.
pub const FORWARD: Hook = Hook {
    family: "ip",
    chain: "type filter hook forward priority 0",
};

/// Has nft filter in a namespace.
pub fn nft(namespace: &Namespace, hook: Hook, layout: Layout, count: u32) {
    let mut text = format!(
        "table {} bench {{\nset exempt {{ type ipv4_addr . inet_service; size {count}\nelements = {{\n",
        hook.family
    );
    for prefix in prefixes(layout, Family::V4, count) {
        writeln!(text, "{} . {EXEMPTED},", prefix.addr()).unwrap();
    }
    let chain = hook.chain.replace("NETWORK", NETWORK);
    let (pool, ports) = (pool(Family::V4), ports());
    write!(
        text,
        "}} }}\nchain filter {{ {chain}; policy accept;\nip daddr {pool} tcp dport {{ {ports} }} \
         ip daddr . tcp dport != @exempt counter drop\n}}\n}}\n"
    )
    .unwrap();
    feed(namespace, "nft", "-f -", &text);
}

/// Has iptables filter in a namespace, with an ipset.
pub fn iptables(namespace: &Namespace, layout: Layout, count: u32) {
    let buckets = count.next_power_of_two().max(64);
    let mut text =
        format!("create exempt hash:ip,port family inet hashsize {buckets} maxelem {count}\n");
    for prefix in prefixes(layout, Family::V4, count) {
        writeln!(text, "add exempt {},tcp:{EXEMPTED}", prefix.addr()).unwrap();
    }
    feed(namespace, "ipset", "restore", &text);
    let (pool, ports) = (pool(Family::V4), ports());
    let rule = format!(
        "-A FORWARD -d {pool} -p tcp -m multiport --dports {ports} \
         -m set ! --match-set exempt dst,dst -j DROP"
    );
    feed(namespace, "iptables", &rule, "");
}

/// The forbidden ports, with commas between them.
fn ports() -> String {
    let ports: Vec<_> = PORTS[..10].iter().map(u16::to_string).collect();
    ports.join(",")
}
