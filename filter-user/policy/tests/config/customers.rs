//! Customers in pools, and exemptions that mean something.

use crate::{complete, dubious, fine, load, wrong};

#[test]
fn outside_every_pool() {
    wrong(
        r#"
[[customer]]
name = "acme"
prefixes = ["203.0.114.8/29", "2001:db8:200:8::/64"]
allow_inbound = [25]
"#,
        r#"
error: 203.0.114.8/29 of customer `acme` lies in no pool
 --> poolguard.toml:3:13
  |
3 | prefixes = ["203.0.114.8/29", "2001:db8:200:8::/64"]
  |             ^^^^^^^^^^^^^^^^
  |
  = help: correct it, or add it to a pool of kind "static"

error: 2001:db8:200:8::/64 of customer `acme` lies in no pool
 --> poolguard.toml:3:31
  |
3 | prefixes = ["203.0.114.8/29", "2001:db8:200:8::/64"]
  |                               ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: correct it, or add it to a pool of kind "static"
"#,
    );
}

#[test]
fn larger_than_the_pool() {
    wrong(
        r#"
[[customer]]
name = "acme"
prefixes = ["203.0.112.0/23"]
allow_inbound = [25]
"#,
        r#"
error: 203.0.112.0/23 of customer `acme` lies in no pool
  --> poolguard.toml:3:13
   |
 3 | prefixes = ["203.0.112.0/23"]
   |             ^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:16:13
   |
16 | prefixes = ["203.0.113.0/24"]
   |             ---------------- pool `dsl`
   |
   = help: write prefixes that lie in one pool each
"#,
    );
}

#[test]
fn as_large_as_the_pool() {
    fine(
        r#"
[[customer]]
name = "acme"
prefixes = ["203.0.113.0/24"]
allow_inbound = [25]
"#,
    );
}

#[test]
fn in_a_pool_that_takes_no_exemptions() {
    wrong(
        r#"
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "rented"
kind = "virtual-pop"
prefixes = ["198.51.100.0/24"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
allow_inbound = [25]
"#,
        r#"
error: 203.0.113.8/29 of customer `acme` lies in pool `dialup`, whose kind takes no exemptions
  --> poolguard.toml:13:13
   |
13 | prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
   |             ^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:4:13
   |
 4 | prefixes = ["203.0.113.0/24"]
   |             ---------------- pool `dialup`
   |
   = help: only pools of kind "static" take exemptions

error: 198.51.100.8/29 of customer `acme` lies in pool `rented`, whose kind takes no exemptions
  --> poolguard.toml:13:31
   |
13 | prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
   |                               ^^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:9:13
   |
 9 | prefixes = ["198.51.100.0/24"]
   |             ----------------- pool `rented`
   |
   = help: only pools of kind "static" take exemptions
"#,
    );
}

#[test]
fn the_most_specific_pool_counts() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["203.0.113.0/25"]

[[customer]]
name = "below"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]

[[customer]]
name = "above"
prefixes = ["203.0.113.128/29"]
allow_inbound = [25]
"#,
        r#"
error: 203.0.113.8/29 of customer `below` lies in pool `dialup`, whose kind takes no exemptions
  --> poolguard.toml:13:13
   |
13 | prefixes = ["203.0.113.8/29"]
   |             ^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:9:13
   |
 9 | prefixes = ["203.0.113.0/25"]
   |             ---------------- pool `dialup`
   |
   = help: only pools of kind "static" take exemptions
"#,
    );
}

#[test]
fn a_port_that_is_not_forbidden() {
    wrong(
        r#"
[ports]
forbidden = [25, "443/tcp"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [3389, "443/udp"]
"#,
        r#"
error: port 3389 is not forbidden toward customer `acme`
 --> poolguard.toml:7:18
  |
7 | allow_inbound = [3389, "443/udp"]
  |                  ^^^^
  |
  = help: remove it: pool `dsl` forbids 25 and 443/tcp

error: port 443/udp is not forbidden toward customer `acme`
 --> poolguard.toml:7:24
  |
7 | allow_inbound = [3389, "443/udp"]
  |                        ^^^^^^^^^
  |
  = help: remove it: pool `dsl` forbids 25 and 443/tcp
"#,
    );
}

#[test]
fn a_port_that_is_forbidden_in_part() {
    fine(
        r#"
[ports]
forbidden = [25, "443/tcp"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = ["25/tcp", 443]
"#,
    );
}

#[test]
fn the_list_of_the_pool_counts() {
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = [3389]

[[pool]]
name = "open"
kind = "static"
prefixes = ["198.51.100.0/24"]
forbidden = []

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [3389, 25]

[[customer]]
name = "bcme"
prefixes = ["198.51.100.8/29"]
allow_inbound = [25]

[[customer]]
name = "both"
prefixes = ["203.0.113.16/29", "198.51.100.16/29"]
allow_inbound = [3389, 80]
"#,
        r#"
error: port 25 is not forbidden toward customer `acme`
  --> poolguard.toml:16:24
   |
16 | allow_inbound = [3389, 25]
   |                        ^^
   |
   = help: remove it: pool `dsl` forbids 3389

error: port 25 is not forbidden toward customer `bcme`
  --> poolguard.toml:21:18
   |
21 | allow_inbound = [25]
   |                  ^^
   |
   = help: remove it: pool `open` forbids nothing

error: port 80 is not forbidden toward customer `both`
  --> poolguard.toml:26:24
   |
26 | allow_inbound = [3389, 80]
   |                        ^^
   |
   = help: remove it: pool `dsl` forbids 3389 and pool `open` forbids nothing
"#,
    );
}

#[test]
fn a_more_specific_pool_forbids_it_in_its_part() {
    fine(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = [25]

[[pool]]
name = "strict"
kind = "static"
prefixes = ["203.0.113.8/29"]
forbidden = [80]

[[customer]]
name = "acme"
prefixes = ["203.0.113.0/28"]
allow_inbound = [25, 80]
"#,
    );
}

#[test]
fn a_customer_without_exemptions_is_a_name() {
    let config = fine(
        r#"
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
ticket = "NOC-1"

[[customer]]
name = "bcme"
prefixes = ["203.0.113.16/29"]
allow_inbound = []
allow_smtp_out = false
expires = 2020-01-01

[[customer]]
name = "modem 4711"
prefixes = ["198.51.100.7"]
"#,
    );
    assert_eq!(config.customers.len(), 3);
    // In a pool it is all the same: that may be a slip.
    wrong(
        "[[customer]]\nname = \"acme\"\nprefixes = [\"192.0.2.1\"]\n",
        r#"
error: 192.0.2.1/32 of customer `acme` lies in no pool
 --> poolguard.toml:3:13
  |
3 | prefixes = ["192.0.2.1"]
  |             ^^^^^^^^^^^
  |
  = help: correct it, or add it to a pool of kind "static"
"#,
    );
}

/// A customer's prefixes can have exemptions of their own, in tables as in lists.
#[test]
fn a_customer_may_be_given_many_times() {
    let text = "customer_lists = [\"list.csv\"]\n\
        [[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n\
        [[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.9\"]\nallow_inbound = [80]\n";
    let files = complete(text).with(
        "list.csv",
        "prefix,customer,allow_inbound\n203.0.113.10,acme,443\n",
    );
    let loaded = load(&files).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.customers.len(), 2);
    assert_eq!(loaded.config.listed.len(), 1);
}

#[test]
fn mail_from_where_everyone_may_send() {
    dubious(
        r#"
[mail]
servers = ["192.0.2.25"]
direct_smtp = "pass"

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
allow_smtp_out = true
"#,
        r#"
warning: `allow_smtp_out` can never match: `direct_smtp = "pass"` lets everyone send mail
 --> poolguard.toml:9:18
  |
9 | allow_smtp_out = true
  |                  ^^^^
  |
  = help: remove it
"#,
    );
}

#[test]
fn a_customer_who_is_a_mail_server() {
    dubious(
        r#"
[ports]
forbidden = ["25/tcp", "80/tcp"]

[mail]
servers = ["203.0.113.0/28", "203.0.113.64"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "203.0.113.64/32"]
allow_inbound = [25, 80]
allow_smtp_out = true
"#,
        r#"
warning: port 25 can never match: mail servers are reachable for mail anyway
  --> poolguard.toml:10:18
   |
10 | allow_inbound = [25, 80]
   |                  ^^
   |
   = help: remove it

warning: `allow_smtp_out` can never match: mail servers may send mail anyway
  --> poolguard.toml:11:18
   |
11 | allow_smtp_out = true
   |                  ^^^^
   |
   = help: remove it
"#,
    );
}

#[test]
fn a_customer_who_is_a_mail_server_in_part() {
    fine(
        r#"
[ports]
forbidden = ["25/tcp", 80]

[mail]
servers = ["203.0.113.9", "203.0.113.16/28"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "203.0.113.16/29"]
allow_inbound = [25, 80]
allow_smtp_out = true
"#,
    );
}

#[test]
fn udp_toward_a_mail_server_is_no_mail() {
    fine(
        r#"
[mail]
servers = ["203.0.113.8/29"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
    );
}

#[test]
fn more_specific_customers_leave_nothing_over() {
    dubious(
        r#"
[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "203.0.113.16/29"]
allow_inbound = [25]

[[customer]]
name = "left"
prefixes = ["203.0.113.8/30"]
allow_inbound = [80]

[[customer]]
name = "right"
prefixes = ["203.0.113.12/30", "203.0.113.16/30"]
allow_inbound = [80]
"#,
        r#"
warning: the exemptions of customer `acme` can never match in 203.0.113.8/29: more specific prefixes cover all of it
 --> poolguard.toml:3:13
  |
3 | prefixes = ["203.0.113.8/29", "203.0.113.16/29"]
  |             ^^^^^^^^^^^^^^^^
  |
  = help: remove the prefix here, or the customers and pools in it
"#,
    );
}

#[test]
fn a_more_specific_pool_leaves_nothing_over() {
    dubious(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["203.0.113.8/30"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]

[[customer]]
name = "right"
prefixes = ["203.0.113.12/30"]
allow_inbound = [80]
"#,
        r#"
warning: the exemptions of customer `acme` can never match in 203.0.113.8/29: more specific prefixes cover all of it
  --> poolguard.toml:13:13
   |
13 | prefixes = ["203.0.113.8/29"]
   |             ^^^^^^^^^^^^^^^^
   |
   = help: remove the prefix here, or the customers and pools in it
"#,
    );
}

#[test]
fn more_specific_pools_that_take_exemptions_leave_everything() {
    fine(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]

[[pool]]
name = "leased"
kind = "static"
prefixes = ["203.0.113.8/30", "203.0.113.12/30"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
    );
}

#[test]
fn one_mistake_is_reported_once() {
    // Where the pool is can't be told, so nobody says that the customer is outside.
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0-255"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
        r#"
error: `203.0.113.0-255` is not a prefix
 --> poolguard.toml:4:13
  |
4 | prefixes = ["203.0.113.0-255"]
  |             ^^^^^^^^^^^^^^^^^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"
"#,
    );
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "statics"
prefixes = ["203.0.113.0/24"]
forbidden = ["25/smtp"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
        r#"
error: unknown value `statics`
 --> poolguard.toml:3:8
  |
3 | kind = "statics"
  |        ^^^^^^^^^
  |
  = help: write "dynamic", "virtual-pop" or "static"

error: unknown protocol `smtp`
 --> poolguard.toml:5:14
  |
5 | forbidden = ["25/smtp"]
  |              ^^^^^^^^^
  |
  = help: write "25/tcp", "25/udp", "25/sctp", "25/dccp" or "25/udplite"
"#,
    );
    wrong(
        r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = ["25/smtp"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
        r#"
error: unknown protocol `smtp`
 --> poolguard.toml:5:14
  |
5 | forbidden = ["25/smtp"]
  |              ^^^^^^^^^
  |
  = help: write "25/tcp", "25/udp", "25/sctp", "25/dccp" or "25/udplite"
"#,
    );
}
