//! The same policy for nftables and for iptables: one lookup of address and port in
//! a set, for forbidden ports. Every customer has one element, in IPv6 that for the
//! one address that frames are for: a hash knows no prefixes. Rule 5, return
//! traffic and the customers' other exemptions are spared them.

use std::fmt::Write as _;

use filter_common::Family;
use lab::Namespace;
use poolguard_tests::configs::NETWORK;

use super::{
    customers::{EXEMPTED, Layout, pool, prefixes},
    router::feed,
    spec::PORTS,
};

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
    family: "inet",
    chain: "type filter hook forward priority 0",
};

/// Has nft filter the frames of one family in a namespace.
pub fn nft(namespace: &Namespace, hook: Hook, family: Family, layout: Layout, count: u32) {
    let (ip, address) = match family {
        Family::V4 => ("ip", "ipv4_addr"),
        Family::V6 => ("ip6", "ipv6_addr"),
    };
    let mut text = format!(
        "table {} bench {{\nset exempt {{ type {address} . inet_service; size {count}\nelements = {{\n",
        hook.family
    );
    for prefix in prefixes(layout, family, count) {
        writeln!(text, "{} . {EXEMPTED},", prefix.addr()).unwrap();
    }
    let chain = hook.chain.replace("NETWORK", NETWORK);
    let (pool, ports) = (pool(family), ports());
    write!(
        text,
        "}} }}\nchain filter {{ {chain}; policy accept;\n{ip} daddr {pool} tcp dport {{ {ports} }} \
         {ip} daddr . tcp dport != @exempt counter drop\n}}\n}}\n"
    )
    .unwrap();
    feed(namespace, "nft", "-f -", &text);
}

/// Has iptables, or ip6tables, filter the frames of one family in a namespace, with
/// an ipset.
pub fn iptables(namespace: &Namespace, family: Family, layout: Layout, count: u32) {
    let (program, inet) = match family {
        Family::V4 => ("iptables", "inet"),
        Family::V6 => ("ip6tables", "inet6"),
    };
    let buckets = count.next_power_of_two().max(64);
    let mut text =
        format!("create exempt hash:ip,port family {inet} hashsize {buckets} maxelem {count}\n");
    for prefix in prefixes(layout, family, count) {
        writeln!(text, "add exempt {},tcp:{EXEMPTED}", prefix.addr()).unwrap();
    }
    feed(namespace, "ipset", "restore", &text);
    let (pool, ports) = (pool(family), ports());
    let rule = format!(
        "-A FORWARD -d {pool} -p tcp -m multiport --dports {ports} \
         -m set ! --match-set exempt dst,dst -j DROP"
    );
    feed(namespace, program, &rule, "");
}

/// The forbidden ports, with commas between them.
fn ports() -> String {
    let ports: Vec<_> = PORTS[..10].iter().map(u16::to_string).collect();
    ports.join(",")
}
