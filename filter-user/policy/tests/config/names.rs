//! Names of interfaces, pools and customers, and how many there can be.

use std::fmt::Write;

use crate::{complete, fine, load, wrong};

#[test]
fn an_interface_name_that_the_kernel_refuses() {
    wrong(
        r#"
[[interface]]
name = ""
role = "customer"

[[interface]]
name = "enp0s31f6.12345x"
role = "network"

[[interface]]
name = "eth0/1"
role = "network"

[[interface]]
name = "eth 0"
role = "network"

[[interface]]
name = "eth0:1"
role = "network"

[[interface]]
name = ".."
role = "network"

[[interface]]
name = "all"
role = "network"

[[interface]]
name = "eth%d"
role = "network"

[[interface]]
name = "ppp*"
role = "network"
"#,
        r#"
error: an empty interface name
 --> poolguard.toml:2:8
  |
2 | name = ""
  |        ^^
  |
  = help: write it as `ip link` shows it: "eth0"

error: an interface name of 16 bytes: the kernel has room for 15
 --> poolguard.toml:6:8
  |
6 | name = "enp0s31f6.12345x"
  |        ^^^^^^^^^^^^^^^^^^
  |
  = help: write it as `ip link` shows it at the beginning of the line: "eth0". An altname can be longer, and is another name of the same interface

error: no interface can be called `eth0/1`
  --> poolguard.toml:10:8
   |
10 | name = "eth0/1"
   |        ^^^^^^^^
   |
   = help: write it as `ip link` shows it: "eth0"

error: no interface can be called `eth 0`
  --> poolguard.toml:14:8
   |
14 | name = "eth 0"
   |        ^^^^^^^
   |
   = help: write it as `ip link` shows it: "eth0"

error: no interface can be called `eth0:1`
  --> poolguard.toml:18:8
   |
18 | name = "eth0:1"
   |        ^^^^^^^^
   |
   = help: write "eth0"

error: no interface can be called `..`
  --> poolguard.toml:22:8
   |
22 | name = ".."
   |        ^^^^
   |
   = help: write it as `ip link` shows it: "eth0"

error: no interface can be called `all`
  --> poolguard.toml:26:8
   |
26 | name = "all"
   |        ^^^^^
   |
   = help: write it as `ip link` shows it: "eth0"

error: no interface can be called `eth%d`
  --> poolguard.toml:30:8
   |
30 | name = "eth%d"
   |        ^^^^^^^
   |
   = help: write it as `ip link` shows it: "eth0"

error: `ppp*` is a pattern, and no interface
  --> poolguard.toml:34:8
   |
34 | name = "ppp*"
   |        ^^^^^^
   |
   = help: write an [[interface]] for each, by its name. PPPoE sessions need none: they are filtered at the Ethernet interface that they come in at
"#,
    );
}

#[test]
fn an_interface_name_with_what_other_programs_print_around_it() {
    for written in [
        "eth0@if2",
        "eth0@eth1",
        "2: eth0@if3: <UP>",
        "17: eth0: <BROADCAST,MULTICAST>",
        "eth0:",
        " eth0",
        "eth0\\t",
    ] {
        let text = format!("[[interface]]\nname = \"{written}\"\nrole = \"customer\"\n");
        let report = crate::load(&crate::complete(&text))
            .unwrap_err()
            .render(false);
        assert!(report.contains("no interface can be called"), "{report}");
        assert!(report.contains("help: write \"eth0\""), "{report}");
    }
}

#[test]
fn an_interface_name_that_means_several() {
    for written in ["ppp*", "ppp+", "eth?", "eth[01]"] {
        let text = format!("[[interface]]\nname = \"{written}\"\nrole = \"customer\"\n");
        let report = crate::load(&crate::complete(&text))
            .unwrap_err()
            .render(false);
        assert!(
            report.contains("is a pattern, and no interface"),
            "{report}"
        );
    }
}

#[test]
fn an_interface_name_that_the_kernel_takes() {
    fine(
        r#"
[[interface]]
name = "enp0s31f6.12345"
role = "customer"

[[interface]]
name = "größe-0+x"
role = "network"
"#,
    );
}

#[test]
fn a_pool_or_customer_name() {
    wrong(
        r#"
[[pool]]
name = ""
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "none"
kind = "static"
prefixes = ["198.51.100.0/24"]

[[customer]]
name = "a\tb"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]

[[customer]]
name = "0123456789012345678901234567890123456789012345678901234567890123456"
prefixes = ["203.0.113.16/29"]
allow_inbound = [25]
"#,
        r#"
error: an empty name
 --> poolguard.toml:2:8
  |
2 | name = ""
  |        ^^
  |
  = help: write a name that says who it is

error: a pool cannot be called `none`
 --> poolguard.toml:7:8
  |
7 | name = "none"
  |        ^^^^^^
  |
  = help: choose another name: the metrics count under this one what concerns no pool

error: a name with control characters
  --> poolguard.toml:12:8
   |
12 | name = "a\tb"
   |        ^^^^^^
   |
   = help: write a name of letters, digits, blanks and signs

error: a name of 67 bytes
  --> poolguard.toml:17:8
   |
17 | name = "0123456789012345678901234567890123456789012345678901234567890123456"
   |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: write at most 64
"#,
    );
}

/// Names and tickets are printed: what turns a line round, or ends it, or hides, is
/// refused in whatever way it is written.
#[test]
fn characters_that_nobody_sees() {
    for escape in [
        "\\u0000", "\\n", "\\u001b", "\\u0085", "\\u2028", "\\u202e", "\\u2067", "\\ufeff",
    ] {
        let said = |key: &str, printed: &[&str]| {
            let (name, ticket) = match key {
                "name" => (escape, ""),
                _ => ("", escape),
            };
            let text = format!(
                "[[customer]]\nname = \"acme{name}\"\nprefixes = [\"203.0.113.8/29\"]\n\
                 allow_inbound = [25]\nticket = \"NOC-1{ticket}\"\n"
            );
            let report = load(&complete(&text)).unwrap_err();
            let said = report
                .diagnostics()
                .iter()
                .map(|said| said.message.as_str());
            assert_eq!(said.collect::<Vec<_>>(), printed, "{escape}");
        };
        said("name", &["a name with control characters"]);
        said("ticket", &["a ticket with control characters"]);
    }
}

#[test]
fn a_name_of_64_bytes() {
    let name = "x".repeat(64);
    let config = fine(&format!(
        "[[customer]]\nname = \"{name}\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n"
    ));
    assert_eq!(config.customers[0].name, name);
}

#[test]
fn a_name_given_twice() {
    wrong(
        r#"
[[interface]]
name = "eth1"
role = "customer"

[[interface]]
name = "eth1"
role = "network"

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "dsl"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]

[[customer]]
name = "acme"
prefixes = ["203.0.113.16/29"]
allow_inbound = [25]
"#,
        r#"
error: interface `eth1` is given twice
 --> poolguard.toml:6:8
  |
6 | name = "eth1"
  |        ^^^^^^
  |
 ::: poolguard.toml:2:8
  |
2 | name = "eth1"
  |        ------ first given here
  |
  = help: remove one of them

error: pool `dsl` is given twice
  --> poolguard.toml:15:8
   |
15 | name = "dsl"
   |        ^^^^^
   |
  ::: poolguard.toml:10:8
   |
10 | name = "dsl"
   |        ----- first given here
   |
   = help: remove one of them
"#,
    );
}

#[test]
fn a_pool_and_a_customer_may_share_a_name() {
    fine(
        r#"
[[customer]]
name = "dsl"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
    );
}

#[test]
fn as_many_pools_as_there_are_counters() {
    let mut text = String::new();
    for pool in 0..1023 {
        pool_at(&mut text, pool);
    }
    fine(&text);
    pool_at(&mut text, 1023);
    wrong(
        &text,
        r#"
error: more than 1023 pools
    --> poolguard.toml:4093:1
     |
4093 | [[pool]]
     | ^^^^^^^^
     |
     = help: merge pools of the same kind: a pool can have many prefixes
"#,
    );
}

fn pool_at(text: &mut String, pool: u16) {
    let [high, low] = pool.to_be_bytes();
    writeln!(
        text,
        "[[pool]]\nname = \"pool {pool}\"\nkind = \"static\"\nprefixes = [\"10.{high}.{low}.0/24\"]"
    )
    .unwrap();
}

#[test]
fn as_many_interfaces_as_there_are_counters() {
    let mut text = String::new();
    for interface in 0..256 {
        interface_at(&mut text, interface);
    }
    fine(&text);
    interface_at(&mut text, 256);
    wrong(
        &text,
        r#"
error: more than 256 interfaces
   --> poolguard.toml:769:1
    |
769 | [[interface]]
    | ^^^^^^^^^^^^^
    |
    = help: list the interfaces that traffic to or from customers arrives at, and no others
"#,
    );
}

fn interface_at(text: &mut String, interface: u16) {
    let role = ["customer", "network"][usize::from(interface % 2)];
    writeln!(
        text,
        "[[interface]]\nname = \"eth{interface}\"\nrole = \"{role}\""
    )
    .unwrap();
}
