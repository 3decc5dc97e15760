//! Temporary exemptions: they add up, and a change may leave no room for them.

use std::net::IpAddr;

use filter_common::{Protocol, Role};
use ipnet::IpNet;
use policy::{
    change::{Addresses, Change},
    config::{Config, NoRoom, PoolKind, PortSpec, TemporaryExemption},
    directory::Directory,
    intent::Intent,
};
use proptest::prelude::*;

use crate::{
    intent, now,
    packets::{a_config, addresses, packets, ports, prefix, verdicts},
};

fn exemption(id: u64, prefix: IpNet, ports: Vec<PortSpec>, smtp_out: bool) -> TemporaryExemption {
    TemporaryExemption {
        id,
        prefix,
        ports,
        smtp_out,
        expires: "2026-06-15T12:00:01Z".parse().unwrap(),
        reason: "a new server".to_owned(),
        ticket: Some("NOC-1".to_owned()),
        added: now(),
        added_by: 0,
    }
}

fn some() -> impl Strategy<Value = Vec<TemporaryExemption>> {
    let one = (prefix(), ports(), any::<bool>(), prop::bool::weighted(0.2));
    prop::collection::vec(one, 0..5).prop_map(|all| {
        let all = all.into_iter().zip(1..);
        all.map(|((prefix, ports, smtp_out, is_over), id)| {
            let mut exemption = exemption(id, prefix, ports, smtp_out);
            if is_over {
                exemption.expires = now();
            }
            exemption
        })
        .collect()
    })
}

fn kind_around(config: &Config, address: IpAddr) -> Option<PoolKind> {
    let pools = config.pools.iter();
    let prefixes = pools.flat_map(|pool| pool.prefixes.iter().map(|prefix| (pool.kind, prefix)));
    let around = prefixes.filter(|(_, prefix)| prefix.contains(&address));
    let most_specific = around.max_by_key(|(_, prefix)| prefix.prefix_len());
    most_specific.map(|(kind, _)| kind)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// What passes without them passes with them; what does not does where any
    /// one of them says so.
    #[test]
    fn they_add_up(without in a_config(), temporary in some()) {
        let without = Intent::from(without);
        let with = without.with_temporary(temporary.clone());
        let servers = Default::default();
        let (was, is) = (verdicts(&without, &servers), verdicts(&with, &servers));
        let mut opened = Vec::new();
        for address in addresses() {
            let is_static = kind_around(&with.config, address) == Some(PoolKind::Static);
            let hold = |opens: &dyn Fn(&TemporaryExemption) -> bool| {
                let mut here = temporary.iter().filter(|t| t.prefix.contains(&address) && now() < t.expires);
                is_static && here.any(opens)
            };
            let verdicts = was[&address].iter().zip(&is[&address]);
            for ((role, packet), (was, is)) in packets(address, &servers).into_iter().zip(verdicts) {
                let exempted = match role {
                    Role::Network | Role::Mixed => {
                        let protocol = packet.transport.protocol().unwrap();
                        let port = packet.destination_port;
                        let is_reply = protocol == Protocol::Tcp
                            && with.config.mail.ports.contains(&packet.source_port);
                        hold(&|t| {
                            let opens = t.ports.iter().any(|spec| spec.covers(port, protocol));
                            opens || (is_reply && t.smtp_out)
                        })
                    }
                    Role::Customer => hold(&|t| t.smtp_out),
                };
                prop_assert_eq!(*is, *was || exempted, "{}", packet);
            }
            if was[&address] != is[&address] {
                opened.push(address);
            }
        }
        let change = Change::between(&without, &with, now());
        prop_assert_eq!(change.closed, Addresses::default());
        prop_assert_eq!(change.opened, crate::packets::count(opened.iter()));
        let back = Change::between(&with, &without, now());
        prop_assert_eq!((back.closed, back.opened), (change.opened, change.closed));
        prop_assert_eq!(change.entries.len(), back.entries.len());
    }
}

const BOX: &str = r#"
[[interface]]
name = "eth1"
role = "customer"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]
[[pool]]
name = "business"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = [25, "443/tcp"]
[[pool]]
name = "web"
kind = "static"
prefixes = ["203.0.113.16/28"]
forbidden = [80]
"#;

fn with(text: &str, temporary: &[TemporaryExemption]) -> Intent {
    intent(text).with_temporary(temporary.to_vec())
}

#[test]
fn a_reload_keeps_them_and_diff_shows_them() {
    let lent = [exemption(
        7,
        "203.0.113.9/32".parse().unwrap(),
        ports_of("25"),
        false,
    )];
    let running = with(BOX, &lent);
    let change = Change::between(&running, &running, now());
    assert!(change.is_none());
    assert_eq!(
        change.render(),
        "  temporary exemption 7 (203.0.113.9/32 25) until 2026-06-15T12:00:01Z, a new server, \
         NOC-1: kept\nnothing would change\n"
    );
}

#[test]
fn a_change_that_leaves_no_room_for_one_says_so() {
    let prefix = "203.0.113.8/29".parse().unwrap();
    let lent = [exemption(7, prefix, ports_of("25 443/tcp"), true)];
    let smaller = BOX.replace(
        "\"203.0.113.0/24\"",
        "\"203.0.113.0/29\", \"203.0.113.8/31\"",
    );
    let change = Change::between(&with(BOX, &lent), &with(&smaller, &lent), now());
    assert!(
        change.render().contains(
            "- temporary exemption 7 203.0.113.8/29 25, 443/tcp, smtp_out \
             until 2026-06-15T12:00:01Z: 6 addresses\n"
        ),
        "{}",
        change.render()
    );
    let other = BOX.replace("[25, \"443/tcp\"]", "[25]");
    let change = Change::between(&with(BOX, &lent), &with(&other, &lent), now());
    assert!(
        change.render().contains(
            "- temporary exemption 7 203.0.113.8/29 443/tcp until 2026-06-15T12:00:01Z: 8 addresses\n"
        ),
        "{}",
        change.render()
    );
}

fn ports_of(words: &str) -> Vec<PortSpec> {
    words
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

fn room(prefix: &str, ports: &str) -> Result<(), NoRoom> {
    Directory::of(&intent(BOX)).room_for(prefix.parse().unwrap(), &ports_of(ports))
}

#[test]
fn there_is_room_where_a_static_pool_forbids_the_port() {
    for (prefix, ports) in [
        ("203.0.113.9/32", "25"),
        ("203.0.113.9/32", "25/udp 443"),
        ("203.0.113.0/24", "25 443/tcp 80"),
        ("203.0.113.17/32", "80"),
        ("203.0.113.9/32", ""),
    ] {
        assert_eq!(room(prefix, ports), Ok(()), "{prefix} {ports}");
    }
}

#[test]
fn what_there_is_no_room_for_is_told_why() {
    for (prefix, ports, why) in [
        ("192.0.2.1/32", "25", "192.0.2.1/32 lies in no pool"),
        ("203.0.112.0/23", "25", "203.0.112.0/23 lies in no pool"),
        (
            "198.51.100.9/32",
            "25",
            "198.51.100.9/32 lies in pool dialup (198.51.100.0/24), whose kind dynamic takes no \
             exemptions",
        ),
        (
            "203.0.113.9/32",
            "25 80",
            "port 80 is not forbidden toward 203.0.113.9/32: pool business forbids 25 and 443/tcp",
        ),
        (
            "203.0.113.9/32",
            "443/udp",
            "port 443/udp is not forbidden toward 203.0.113.9/32: pool business forbids 25 and 443/tcp",
        ),
        (
            "203.0.113.17/32",
            "25",
            "port 25 is not forbidden toward 203.0.113.17/32: pool web forbids 80",
        ),
    ] {
        assert_eq!(room(prefix, ports).unwrap_err().to_string(), why);
    }
}
