//! Prefixes, each on its own and beside the others.

use policy::config;

use crate::{complete, fine, load, wrong};

#[test]
fn an_address_is_a_prefix_of_full_length() {
    let config = fine(
        r#"
[mail]
servers = ["192.0.2.25", "2001:db8::25"]
"#,
    );
    let servers: Vec<_> = config
        .mail
        .servers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(servers, ["192.0.2.25/32", "2001:db8::25/128"]);
}

#[test]
fn host_bits() {
    wrong(
        r#"
[mail]
servers = ["192.0.2.25/24", "2001:db8::25/64"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.1/24"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.9/29"]
allow_inbound = [25]
"#,
        r#"
error: 192.0.2.25/24 has host bits set
 --> poolguard.toml:2:12
  |
2 | servers = ["192.0.2.25/24", "2001:db8::25/64"]
  |            ^^^^^^^^^^^^^^^
  |
  = help: write "192.0.2.0/24", or "192.0.2.25" for the one address

error: 2001:db8::25/64 has host bits set
 --> poolguard.toml:2:29
  |
2 | servers = ["192.0.2.25/24", "2001:db8::25/64"]
  |                             ^^^^^^^^^^^^^^^^^
  |
  = help: write "2001:db8::/64", or "2001:db8::25" for the one address

error: 203.0.113.1/24 has host bits set
 --> poolguard.toml:7:13
  |
7 | prefixes = ["203.0.113.1/24"]
  |             ^^^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.0/24", or "203.0.113.1" for the one address

error: 203.0.113.9/29 has host bits set
  --> poolguard.toml:11:13
   |
11 | prefixes = ["203.0.113.9/29"]
   |             ^^^^^^^^^^^^^^^^
   |
   = help: write "203.0.113.8/29", or "203.0.113.9" for the one address
"#,
    );
}

#[test]
fn a_guess_at_what_was_meant_is_not_given_twice() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24", "203.0.113.7/24"]
forbidden = [25, "25", "25/TCP"]
"#,
        r#"
error: 203.0.113.7/24 has host bits set
 --> poolguard.toml:4:31
  |
4 | prefixes = ["203.0.113.0/24", "203.0.113.7/24"]
  |                               ^^^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.0/24", or "203.0.113.7" for the one address

error: a port in quotes without a protocol
 --> poolguard.toml:5:18
  |
5 | forbidden = [25, "25", "25/TCP"]
  |                  ^^^^
  |
  = help: write 25, or "25/tcp" for one protocol

error: unknown protocol `TCP`
 --> poolguard.toml:5:24
  |
5 | forbidden = [25, "25", "25/TCP"]
  |                        ^^^^^^^^
  |
  = help: write "25/tcp"
"#,
    );
}

#[test]
fn a_default_route() {
    wrong(
        r#"
[[pool]]
name = "everyone"
kind = "dynamic"
prefixes = ["0.0.0.0/0", "::/0", "203.0.113.0/0"]
"#,
        r#"
error: 0.0.0.0/0 is a default route: it means every address there is
 --> poolguard.toml:4:13
  |
4 | prefixes = ["0.0.0.0/0", "::/0", "203.0.113.0/0"]
  |             ^^^^^^^^^^^
  |
  = help: write the prefixes that are meant

error: ::/0 is a default route: it means every address there is
 --> poolguard.toml:4:26
  |
4 | prefixes = ["0.0.0.0/0", "::/0", "203.0.113.0/0"]
  |                          ^^^^^^
  |
  = help: write the prefixes that are meant

error: 0.0.0.0/0 is a default route: it means every address there is
 --> poolguard.toml:4:34
  |
4 | prefixes = ["0.0.0.0/0", "::/0", "203.0.113.0/0"]
  |                                  ^^^^^^^^^^^^^^^
  |
  = help: write the prefixes that are meant
"#,
    );
}

#[test]
fn what_is_no_prefix() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
"#,
        r#"
error: `dsl.example.net` is not a prefix
 --> poolguard.toml:4:13
  |
4 | prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
  |             ^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `203.0.113/24` is not a prefix
 --> poolguard.toml:4:32
  |
4 | prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
  |                                ^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `203.0.113.0-203.0.113.255` is not a prefix
 --> poolguard.toml:4:48
  |
4 | prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
  |                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: ` 203.0.113.0/24` is not a prefix
 --> poolguard.toml:4:77
  |
4 | prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
  |                                                                             ^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `` is not a prefix
 --> poolguard.toml:4:96
  |
4 | prefixes = ["dsl.example.net", "203.0.113/24", "203.0.113.0-203.0.113.255", " 203.0.113.0/24", ""]
  |                                                                                                ^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"
"#,
    );
}

#[test]
fn a_length_that_is_none() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
"#,
        r#"
error: a prefix length of 33
 --> poolguard.toml:4:13
  |
4 | prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
  |             ^^^^^^^^^^^^^^^^
  |
  = help: a length here is 1 to 32

error: a prefix length of 129
 --> poolguard.toml:4:31
  |
4 | prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
  |                               ^^^^^^^^^^^^^^^^
  |
  = help: a length here is 1 to 128

error: `` is not a prefix length
 --> poolguard.toml:4:49
  |
4 | prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
  |                                                 ^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `-1` is not a prefix length
 --> poolguard.toml:4:65
  |
4 | prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
  |                                                                 ^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `24/24` is not a prefix length
 --> poolguard.toml:4:83
  |
4 | prefixes = ["203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113.0/-1", "203.0.113.0/24/24"]
  |                                                                                   ^^^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"
"#,
    );
}

#[test]
fn a_netmask() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/255.255.255.0", "198.51.100.0/255.0.255.0"]
"#,
        r#"
error: `255.255.255.0` is not a prefix length
 --> poolguard.toml:4:13
  |
4 | prefixes = ["203.0.113.0/255.255.255.0", "198.51.100.0/255.0.255.0"]
  |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.0/24"

error: `255.0.255.0` is not a prefix length
 --> poolguard.toml:4:42
  |
4 | prefixes = ["203.0.113.0/255.255.255.0", "198.51.100.0/255.0.255.0"]
  |                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"
"#,
    );
}

#[test]
fn prefixes_that_no_packet_has() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["::ffff:0:0/96", "::ffff:203.0.113.0/120"]
"#,
        r#"
error: ::ffff:0.0.0.0/96 can never match: no packet has an IPv4-mapped address
 --> poolguard.toml:4:13
  |
4 | prefixes = ["::ffff:0:0/96", "::ffff:203.0.113.0/120"]
  |             ^^^^^^^^^^^^^^^
  |
  = help: write the IPv4 prefixes that are meant

error: ::ffff:203.0.113.0/120 can never match: no packet has an IPv4-mapped address
 --> poolguard.toml:4:30
  |
4 | prefixes = ["::ffff:0:0/96", "::ffff:203.0.113.0/120"]
  |                              ^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.0/24"
"#,
    );
}

#[test]
fn the_neighbours_of_ipv4_mapped_prefixes_are_fine() {
    fine(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["::fffe:0:0/96", "::fffd:0:0/96", "64:ff9b::/96"]
"#,
    );
}

#[test]
fn no_prefix() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = []
"#,
        r#"
error: no prefix is listed
 --> poolguard.toml:4:12
  |
4 | prefixes = []
  |            ^^
  |
  = help: write one or more: ["198.51.100.0/24"]
"#,
    );
}

#[test]
fn a_prefix_given_twice() {
    wrong(
        r#"
[mail]
servers = ["192.0.2.25", "192.0.2.25/32"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["203.0.113.0/24", "2001:db8::/32", "2001:0db8::/32"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]

[[customer]]
name = "bcme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
        r#"
error: prefix 192.0.2.25/32 is given twice
 --> poolguard.toml:2:26
  |
2 | servers = ["192.0.2.25", "192.0.2.25/32"]
  |            ------------  ^^^^^^^^^^^^^^^
  |            |
  |            first given here
  |
  = help: remove one of them

error: prefix 203.0.113.0/24 is given twice
  --> poolguard.toml:12:13
   |
12 | prefixes = ["203.0.113.0/24", "2001:db8::/32", "2001:0db8::/32"]
   |             ^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:7:13
   |
 7 | prefixes = ["203.0.113.0/24"]
   |             ---------------- first given here
   |
   = help: remove one of them

error: prefix 2001:db8::/32 is given twice
  --> poolguard.toml:12:48
   |
12 | prefixes = ["203.0.113.0/24", "2001:db8::/32", "2001:0db8::/32"]
   |                               ---------------  ^^^^^^^^^^^^^^^^
   |                               |
   |                               first given here
   |
   = help: remove one of them

error: prefix 203.0.113.8/29 is given twice
  --> poolguard.toml:21:13
   |
21 | prefixes = ["203.0.113.8/29"]
   |             ^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:16:13
   |
16 | prefixes = ["203.0.113.8/29"]
   |             ---------------- first given here
   |
   = help: remove one of them
"#,
    );
}

#[test]
fn prefixes_within_each_other_are_fine() {
    fine(
        r#"
[mail]
servers = ["203.0.113.0/28", "203.0.113.1"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24", "203.0.113.0/25"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.0/24", "203.0.113.0/28"]
allow_inbound = [25]
"#,
    );
}

/// A default route in two halves, and in more pieces, with what no customer has left out.
#[test]
fn sets_that_cover_nearly_everything() {
    let pools = |prefixes: &str| {
        format!("[[pool]]\nname = \"all\"\nkind = \"dynamic\"\nprefixes = [{prefixes}]\n")
    };
    let servers = |prefixes: &str| format!("[mail]\nservers = [{prefixes}]\n");
    let report = |text: &str| {
        load(&complete(text))
            .map(|_| ())
            .map_err(|report| report.summary())
    };
    for write in [&pools as &dyn Fn(&str) -> String, &servers] {
        for halves in [
            "\"0.0.0.0/1\", \"128.0.0.0/1\"",
            "\"::/1\", \"8000::/1\"",
            "\"64.0.0.0/2\"",
        ] {
            let refused = report(&write(halves)).unwrap_err();
            assert!(refused.contains(" in it"), "{halves}: {refused}");
        }
        let quarter = "\"16.0.0.0/4\", \"32.0.0.0/3\", \"64.0.0.0/4\"";
        assert_eq!(report(&write(quarter)), Ok(()));
        let more = format!("{quarter}, \"80.0.0.0/32\"");
        let refused = report(&write(&more)).unwrap_err();
        assert!(
            refused.contains("more than a /2 of IPv4 in all"),
            "{refused}"
        );
        // What is given twice counts once.
        assert_eq!(
            report(&write(&format!("{quarter}, \"16.1.0.0/16\""))),
            Ok(())
        );
        assert_eq!(report(&write("\"2a00::/8\"")), Ok(()));
        let refused = report(&write("\"2a00::/8\", \"2b00::/64\"")).unwrap_err();
        assert!(
            refused.contains("more than a /8 of IPv6 in all"),
            "{refused}"
        );
    }
    // Of two pools.
    let both = format!(
        "{}{}",
        pools("\"32.0.0.0/3\", \"16.0.0.0/4\""),
        pools("\"64.0.0.0/4\", \"80.0.0.0/24\"").replace("all", "rest")
    );
    assert!(
        report(&both)
            .unwrap_err()
            .contains("the pools have more than a /2")
    );
}

#[test]
fn what_is_never_a_customers() {
    for (prefix, what) in [
        ("0.0.0.0", "unspecified"),
        ("0.1.0.0/16", "unspecified"),
        ("127.0.0.1", "loopback"),
        ("126.0.0.0/7", "loopback in it, 127.0.0.0/8"),
        ("169.254.1.0/24", "link-local"),
        ("169.0.0.0/8", "link-local in it, 169.254.0.0/16"),
        ("224.0.0.5", "multicast"),
        ("239.255.0.0/16", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("255.255.255.255", "reserved"),
        ("192.0.0.0/2", "multicast in it, 224.0.0.0/4"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::/64", "unspecified in it, ::/128"),
        ("fe80::/64", "link-local"),
        ("fe00::/8", "link-local in it, fe80::/10"),
        ("ff02::1", "multicast"),
    ] {
        for text in [
            format!("[[pool]]\nname = \"x\"\nkind = \"static\"\nprefixes = [\"{prefix}\"]\n"),
            format!("[mail]\nservers = [\"{prefix}\"]\n"),
        ] {
            let refused = load(&complete(&text)).unwrap_err().summary();
            assert!(refused.contains(what), "{prefix}: {refused}");
        }
        assert!(config::parse_prefix(prefix).is_err());
    }
    // Their neighbours are somebody's.
    for prefix in [
        "1.0.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.0.0/16",
        "169.255.0.0/16",
    ] {
        assert!(config::parse_prefix(prefix).is_ok(), "{prefix}");
    }
    for prefix in [
        "223.255.255.255",
        "::2",
        "fe00::/9",
        "fec0::/10",
        "fdff::/16",
        "100.64.0.0/10",
    ] {
        assert!(config::parse_prefix(prefix).is_ok(), "{prefix}");
    }
}
