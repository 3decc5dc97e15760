//! Which pieces are gained and lost, and how many addresses each concerns.

use std::path::Path;

use policy::{
    change::Change,
    config::{self, Memory},
    intent::Intent,
};

use crate::{between, intent, now};

const BOX: &str = r#"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24", "2001:db8:100::/40"]
[[pool]]
name = "business"
kind = "static"
prefixes = ["203.0.113.0/24"]
[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25, 443]
"#;

/// Asserts what is printed about a change, up to the totals.
#[track_caller]
fn assert_pieces(old: &str, new: &str, pieces: &[&str]) {
    let rendered = between(old, new).render();
    let found = rendered.split("\n\n").next().unwrap();
    assert_eq!(found.trim_end().lines().collect::<Vec<_>>(), pieces);
    // Backwards, what was gained is lost.
    let back = between(new, old).render();
    let back = back.split("\n\n").next().unwrap();
    let mut back: Vec<_> = back
        .lines()
        .map(|line| match line.split_at(1) {
            ("+", rest) => format!("-{rest}"),
            ("-", rest) => format!("+{rest}"),
            _ => line.to_owned(),
        })
        .collect();
    let mut pieces = pieces.to_vec();
    pieces.sort_unstable();
    back.sort_unstable();
    assert_eq!(back, pieces, "backwards");
}

#[track_caller]
fn assert_replaced(text: &str, by: &str, pieces: &[&str]) {
    let new = BOX.replace(text, by);
    assert_ne!(new, BOX);
    assert_pieces(BOX, &new, pieces);
}

#[test]
fn nothing() {
    let change = between(BOX, BOX);
    assert!(change.is_none());
    assert_eq!(change.render(), "nothing would change\n");
    assert_eq!(
        change.customers.to_string(),
        "512 addresses and 16777216 /64s"
    );
}

#[test]
fn what_is_written_differently_and_means_the_same() {
    let new = BOX
        .replace("[25, 443]", "[443, 25]\nticket = \"NOC-1\"")
        .replace(
            "[mail]",
            "[ports]\nforbidden = [8080, 8000, 1080, 443, 194, 139, 110, 109, 80, 25]\n[mail]",
        );
    assert!(between(BOX, &new).is_none());
}

#[test]
fn a_pool_gains_a_prefix_around_what_it_has() {
    assert_replaced(
        "198.51.100.0/24",
        "198.51.100.0/24\", \"198.51.100.0/23",
        &["+ pool dialup (dynamic) 198.51.100.0/23: 256 addresses"],
    );
}

#[test]
fn a_prefix_moves_to_another_pool() {
    assert_replaced(
        "name = \"dialup\"",
        "name = \"modems\"",
        &[
            "- pool dialup (dynamic) 198.51.100.0/24: 256 addresses",
            "- pool dialup (dynamic) 2001:db8:100::/40: 16777216 /64s",
            "+ pool modems (dynamic) 198.51.100.0/24: 256 addresses",
            "+ pool modems (dynamic) 2001:db8:100::/40: 16777216 /64s",
        ],
    );
}

#[test]
fn a_pool_takes_addresses_from_the_one_around_it() {
    let new = format!(
        "{BOX}[[pool]]\nname = \"part\"\nkind = \"dynamic\"\nprefixes = [\"203.0.113.0/28\"]\n"
    );
    assert_pieces(
        BOX,
        &new.replace("203.0.113.8/29", "203.0.113.0/26"),
        &[
            "+ pool part (dynamic) 203.0.113.0/28: 16 addresses",
            "+ exemption acme 203.0.113.0/26 25, 443: 48 addresses",
            "- exemption acme 203.0.113.8/29 25, 443: 8 addresses",
        ],
    );
}

/// The controller has no room for a million of them. What is opened and closed is
/// counted all the same.
#[test]
fn exemptions_are_listed_in_part() {
    // In the middle of the first one, so that it is come to twice.
    let old = format!(
        "{BOX}[[customer]]\nname = \"globex\"\nprefixes = [\"203.0.113.10\"]\nallow_inbound = [25]\n"
    );
    let new = old.replace("203.0.113.8/29", "203.0.113.64/29");
    let (old, new) = (intent(&old), intent(&new));
    let pieces = [
        "- exemption acme 203.0.113.8/29 25, 443: 7 addresses\n",
        "+ exemption acme 203.0.113.64/29 25, 443: 8 addresses\n",
    ];
    let more = "  and more exemptions: `poolguard diff OLD NEW` lists all of them\n";
    let totals = "\nopened: 8 IPv4 addresses, 1.5625% of the customers' 512\n\
                  closed: 7 IPv4 addresses, 1.3672% of the customers' 512\n\
                  1 customer with exemptions gains something\n1 customer with exemptions loses something\n";
    for (most, lines) in [
        (2, pieces.concat()),
        (1, [pieces[0], more].concat()),
        (0, more.to_owned()),
    ] {
        let change = Change::in_part(&old, &new, now(), most);
        assert_eq!(change.render(), lines + totals);
        assert!(!change.is_none());
    }
}

#[test]
fn an_exemption_narrows() {
    assert_replaced(
        "[25, 443]",
        "[\"443/tcp\"]\nallow_smtp_out = true",
        &[
            "- exemption acme 203.0.113.8/29 25, 443/udp, 443/sctp, 443/dccp, 443/udplite: 8 addresses",
            "+ exemption acme 203.0.113.8/29 smtp_out: 8 addresses",
        ],
    );
}

#[test]
fn an_exemption_is_dated() {
    assert_replaced(
        "[25, 443]",
        "[25, 443]\nexpires = 2026-12-31",
        &[
            "- exemption acme 203.0.113.8/29 25, 443: 8 addresses",
            "+ exemption acme 203.0.113.8/29 25, 443 until 2027-01-01T00:00:00Z: 8 addresses",
        ],
    );
}

#[test]
fn an_exemption_that_has_expired_is_none() {
    assert_replaced(
        "[25, 443]",
        "[25, 443]\nexpires = 2026-06-14",
        &["- exemption acme 203.0.113.8/29 25, 443: 8 addresses"],
    );
}

#[test]
fn a_customer_within_a_customer_takes_its_addresses() {
    let new = format!(
        "{BOX}[[customer]]\nname = \"globex\"\nprefixes = [\"203.0.113.10\"]\nallow_inbound = [25]\n"
    );
    assert_pieces(
        BOX,
        &new,
        &[
            "- exemption acme 203.0.113.8/29 25, 443: 1 address",
            "+ exemption globex 203.0.113.10/32 25: 1 address",
        ],
    );
}

#[test]
fn ports_are_forbidden_for_the_pools_that_go_by_the_list() {
    let own = BOX.replace(
        "prefixes = [\"198.51.100.0/24\", \"2001:db8:100::/40\"]",
        "prefixes = [\"198.51.100.0/24\", \"2001:db8:100::/40\"]\nforbidden = [25]",
    );
    let new = own.replace("[mail]", "[ports]\nforbidden = [25, 443, 8081]\n[mail]");
    assert_pieces(
        &own,
        &new,
        &[
            "- pool business forbids 80, 109, 110, 139, 194, 1080, 8000, 8080: 256 addresses",
            "+ pool business forbids 8081: 256 addresses",
        ],
    );
}

#[test]
fn a_pool_has_another_kind_and_is_monitored() {
    assert_replaced(
        "kind = \"dynamic\"",
        "kind = \"virtual-pop\"\nenforcement = \"monitor\"",
        &[
            "- pool dialup kind = \"dynamic\": 256 addresses and 16777216 /64s",
            "+ pool dialup kind = \"virtual-pop\": 256 addresses and 16777216 /64s",
            "- pool dialup enforcement = \"enforce\": 256 addresses and 16777216 /64s",
            "+ pool dialup enforcement = \"monitor\": 256 addresses and 16777216 /64s",
        ],
    );
}

#[test]
fn what_holds_for_the_whole_box() {
    let new = BOX
        .replace("[[interface]]\nname = \"eth0\"\nrole = \"network\"", "")
        .replace("\"customer\"", "\"customer\"\nattach = \"generic\"")
        .replace(
            "servers = [\"192.0.2.25\"]",
            "servers = [\"2001:db8:25::/63\"]\nports = [25, 587]\ndirect_smtp = \"pass\"\n\
             [ports]\nreturn_traffic = \"syn\"\n[metrics]\nlisten = \"[::1]:9188\"",
        );
    let new = format!("enforcement = \"monitor\"\nmax_change = \"0.5%\"\n{new}");
    assert_pieces(
        BOX,
        &new,
        &[
            "- enforcement = \"enforce\": 512 addresses and 16777216 /64s",
            "+ enforcement = \"monitor\": 512 addresses and 16777216 /64s",
            "- ports.return_traffic = \"track\": 512 addresses and 16777216 /64s",
            "+ ports.return_traffic = \"syn\": 512 addresses and 16777216 /64s",
            "- mail.ports = [25]: 512 addresses and 16777216 /64s",
            "+ mail.ports = [25, 587]: 512 addresses and 16777216 /64s",
            "- mail.direct_smtp = \"drop\": 512 addresses and 16777216 /64s",
            "+ mail.direct_smtp = \"pass\": 512 addresses and 16777216 /64s",
            "- max_change = \"10%\"",
            "+ max_change = \"0.5%\"",
            "- metrics.listen = \"127.0.0.1:9188\"",
            "+ metrics.listen = \"[::1]:9188\"",
            "- interface eth1 (role customer, native)",
            "+ interface eth1 (role customer, generic)",
            "- interface eth0 (role network, native)",
            "- mail server 192.0.2.25/32: 1 address",
            "+ mail server 2001:db8:25::/63: 2 /64s",
        ],
    );
}

#[test]
fn what_leaves_an_interface_is_judged_no_more() {
    assert_replaced(
        "\"customer\"",
        "\"customer\"\negress = \"off\"",
        &[
            "- interface eth1 (role customer, native)",
            "+ interface eth1 (role customer, native, egress off)",
        ],
    );
    // That is how it is with the network anyway.
    let network = BOX.replace("\"network\"", "\"network\"\negress = \"off\"");
    assert_pieces(BOX, &network, &["nothing would change"]);
}

#[test]
fn the_totals_are_shares_of_the_customers() {
    let new = BOX.replace("[25, 443]", "[25]");
    let new = new.replace("198.51.100.0/24", "198.51.100.0/25");
    let text = between(BOX, &new).render();
    let totals = text.split("\n\n").nth(1).unwrap();
    assert_eq!(
        totals,
        "opened: 128 IPv4 addresses, 25% of the customers' 512\n\
         closed: 8 IPv4 addresses, 1.5625% of the customers' 512\n\
         1 customer with exemptions loses something\n"
    );
    let first_ipv6 = BOX.replace(", \"2001:db8:100::/40\"", "");
    let text = between(&first_ipv6, BOX).render();
    assert!(
        text.ends_with(
            "opened: nothing\nclosed: 16777216 IPv6 /64s, where there is no customer yet\n"
        ),
        "{text}"
    );
}

#[test]
fn a_pattern_that_matches_nothing_any_more_is_a_piece() {
    let intent = |files: Memory| -> Intent {
        let main = BOX.replacen(
            "[[interface]]",
            "include = [\"d/*.toml\", \"e/*.toml\"]\ncustomer_lists = [\"*.csv\"]\n[[interface]]",
            1,
        );
        let path = Path::new("poolguard.toml");
        config::load_from(&files.with(path, main), path, now())
            .unwrap()
            .config
            .into()
    };
    let header = "prefix,customer\n";
    let pool = "[[pool]]\nname = \"x\"\nkind = \"dynamic\"\nprefixes = [\"10.0.0.0/24\"]\n";
    let old = Memory::default()
        .with("d/x.toml", pool)
        .with("e/y.toml", "# nothing\n")
        .with("a.csv", format!("{header}203.0.113.20,a\n203.0.113.21,b\n"));
    let new = Memory::default()
        .with("e/x.toml", pool)
        .with("e/y.toml", "# nothing\n")
        .with("a.csv", header);
    let change = Change::between(&intent(old), &intent(new), now());
    assert_eq!(
        change.render(),
        "- include \"d/*.toml\": 1 file\n\
         + include \"d/*.toml\": no file\n\
         - customer_lists \"*.csv\": 2 rows\n\
         + customer_lists \"*.csv\": no row\n\
         \n\
         opened: nothing\n\
         closed: nothing\n"
    );
}

#[test]
fn machines_read_back_what_was_written() {
    let new = BOX
        .replace("[25, 443]", "[\"443/tcp\"]\nexpires = 2026-12-31")
        .replace("eth0", "eth2")
        .replace("\"198.51.100.0/24\", ", "")
        .replace("[mail]", "[ports]\nforbidden = [25, 443]\n[mail]");
    let change = between(BOX, &new);
    let json = serde_json::to_string(&change).unwrap();
    let entries = serde_json::to_value(&change).unwrap();
    assert_eq!(
        entries["entries"].as_array().unwrap().last().unwrap(),
        &serde_json::json!({
            "sign": "+",
            "what": "exemption",
            "customer": "acme",
            "prefix": "203.0.113.8/29",
            "ports": ["443/tcp"],
            "smtp_out": false,
            "expires": "2027-01-01T00:00:00Z",
            "affects": { "ipv4": 8, "ipv6_64s": 0 },
        })
    );
    assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
}

#[test]
fn wires_join_interfaces() {
    let interface = |name: &str| format!("[[interface]]\nname = \"{name}\"\nrole = \"network\"\n");
    let (eth2, eth3) = (interface("eth2"), interface("eth3"));
    let four = BOX.replace("[mail]", &format!("{eth2}{eth3}[mail]"));
    let wire = |one: &str, other: &str| format!("[[wire]]\nends = [\"{one}\", \"{other}\"]\n");
    let with = |wires: [String; 2]| format!("forwarding = \"wire\"\n{four}{}", wires.concat());
    let parallel = with([wire("eth1", "eth0"), wire("eth3", "eth2")]);
    assert_pieces(
        &four,
        &parallel,
        &[
            "- forwarding = \"kernel\"",
            "+ forwarding = \"wire\"",
            "+ wire eth0 - eth1",
            "+ wire eth2 - eth3",
        ],
    );
    // Which end comes first makes no difference, nor which wire.
    let again = with([wire("eth2", "eth3"), wire("eth0", "eth1")]);
    assert!(between(&parallel, &again).is_none());
    let crossed = with([wire("eth1", "eth2"), wire("eth3", "eth0")]);
    assert_pieces(
        &parallel,
        &crossed,
        &[
            "- wire eth0 - eth1",
            "- wire eth2 - eth3",
            "+ wire eth0 - eth3",
            "+ wire eth1 - eth2",
        ],
    );
    let change = serde_json::to_value(between(&four, &parallel)).unwrap();
    assert_eq!(
        change["entries"][2],
        serde_json::json!({
            "sign": "+", "what": "wire", "ends": ["eth0", "eth1"], "affects": null,
        })
    );
}
