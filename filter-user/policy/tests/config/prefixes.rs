//! Prefixes, each on its own and beside the others.

use crate::{fine, wrong};

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
prefixes = ["::fffe:0:0/96", "::/64", "64:ff9b::/96"]
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
