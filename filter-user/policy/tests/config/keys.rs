//! Keys that nobody knows, and values of the wrong type.

use policy::config::Share;

use crate::{fine, wrong};

#[test]
fn unknown_keys_with_a_near_miss() {
    wrong(
        r#"
enforcment = "monitor"

[ports]
returntraffic = "drop"

[[pool]]
name = "dsl"
kind = "static"
prefix = ["203.0.113.0/24"]

[metric]
listen = "127.0.0.1:9188"
"#,
        r#"
error: unknown key `enforcment`
 --> poolguard.toml:1:1
  |
1 | enforcment = "monitor"
  | ^^^^^^^^^^
  |
  = help: did you mean `enforcement`?

error: unknown key `returntraffic`
 --> poolguard.toml:4:1
  |
4 | returntraffic = "drop"
  | ^^^^^^^^^^^^^
  |
  = help: did you mean `return_traffic`?

error: [[pool]] has no `prefixes`
 --> poolguard.toml:6:1
  |
6 | [[pool]]
  | ^^^^^^^^
  |
  = help: add `prefixes = ["198.51.100.0/24"]`

error: unknown key `prefix`
 --> poolguard.toml:9:1
  |
9 | prefix = ["203.0.113.0/24"]
  | ^^^^^^
  |
  = help: did you mean `prefixes`?

error: unknown key `metric`
  --> poolguard.toml:11:2
   |
11 | [metric]
   |  ^^^^^^
   |
   = help: did you mean `metrics`?
"#,
    );
}

#[test]
fn unknown_keys_like_nothing_known() {
    wrong(
        r#"
colour = "blue"

[mail]
servers = ["192.0.2.25"]
greylisting = true
"#,
        r#"
error: unknown key `colour`
 --> poolguard.toml:1:1
  |
1 | colour = "blue"
  | ^^^^^^
  |
  = help: the top level takes `enforcement`, `forwarding`, `max_change`, `include`, `customer_lists`, `ports`, `mail`, `metrics`, `wire`, `interface`, `pool` and `customer`

error: unknown key `greylisting`
 --> poolguard.toml:5:1
  |
5 | greylisting = true
  | ^^^^^^^^^^^
  |
  = help: [mail] takes `servers`, `ports`, `direct_smtp` and `smtp_replies`
"#,
    );
}

#[test]
fn a_key_of_the_top_level_below_a_table() {
    wrong(
        r#"
[metrics]
enforcement = "monitor"
include = []
"#,
        r#"
error: unknown key `enforcement`
 --> poolguard.toml:2:1
  |
2 | enforcement = "monitor"
  | ^^^^^^^^^^^
  |
  = help: `enforcement` belongs at the top of the file, before the first table

error: unknown key `include`
 --> poolguard.toml:3:1
  |
3 | include = []
  | ^^^^^^^
  |
  = help: `include` belongs at the top of the file, before the first table
"#,
    );
}

#[test]
fn a_scalar_for_another() {
    wrong(
        r#"
enforcement = true

[[interface]]
name = 1
role = "customer"

[[interface]]
name = ["eth0"]
role = "network"

[[customer]]
name = 2027-01-31
prefixes = ["203.0.113.8/29"]
allow_smtp_out = "true"
ticket = 4711
"#,
        r#"
error: expected a string, found a boolean
 --> poolguard.toml:1:15
  |
1 | enforcement = true
  |               ^^^^
  |
  = help: write "enforce" or "monitor"

error: expected a string, found an integer
 --> poolguard.toml:4:8
  |
4 | name = 1
  |        ^
  |
  = help: write "1"

error: expected a string, found an array
 --> poolguard.toml:8:8
  |
8 | name = ["eth0"]
  |        ^^^^^^^^
  |
  = help: write one text in double quotes

error: expected a string, found a date or time
  --> poolguard.toml:12:8
   |
12 | name = 2027-01-31
   |        ^^^^^^^^^^
   |
   = help: write "2027-01-31"

error: expected a boolean, found a string
  --> poolguard.toml:14:18
   |
14 | allow_smtp_out = "true"
   |                  ^^^^^^
   |
   = help: write true or false, without quotes

error: expected a string, found an integer
  --> poolguard.toml:15:10
   |
15 | ticket = 4711
   |          ^^^^
   |
   = help: write "4711"
"#,
    );
}

#[test]
fn an_unknown_word() {
    wrong(
        r#"
enforcement = "observe"

[ports]
return_traffic = "tracked"

[mail]
servers = ["192.0.2.25"]
direct_smtp = "accept"
smtp_replies = "track"

[[interface]]
name = "eth1"
role = "modems"
attach = "skb"
sources = "strict"
egress = "on"

[[pool]]
name = "dsl"
kind = "Static"
prefixes = ["203.0.113.0/24"]
enforcement = "off"
"#,
        r#"
error: unknown value `observe`
 --> poolguard.toml:1:15
  |
1 | enforcement = "observe"
  |               ^^^^^^^^^
  |
  = help: write "enforce" or "monitor"

error: unknown value `tracked`
 --> poolguard.toml:4:18
  |
4 | return_traffic = "tracked"
  |                  ^^^^^^^^^
  |
  = help: write "track", "syn" or "drop"

error: unknown value `accept`
 --> poolguard.toml:8:15
  |
8 | direct_smtp = "accept"
  |               ^^^^^^^^
  |
  = help: write "drop" or "pass"

error: unknown value `track`
 --> poolguard.toml:9:16
  |
9 | smtp_replies = "track"
  |                ^^^^^^^
  |
  = help: write "drop" or "pass"

error: unknown value `modems`
  --> poolguard.toml:13:8
   |
13 | role = "modems"
   |        ^^^^^^^^
   |
   = help: write "customer", "network" or "mixed"

error: unknown value `skb`
  --> poolguard.toml:14:10
   |
14 | attach = "skb"
   |          ^^^^^
   |
   = help: write "native" or "generic"

error: unknown value `strict`
  --> poolguard.toml:15:11
   |
15 | sources = "strict"
   |           ^^^^^^^^
   |
   = help: write "any", "monitor" or "pools"

error: unknown value `on`
  --> poolguard.toml:16:10
   |
16 | egress = "on"
   |          ^^^^
   |
   = help: write "filter" or "off"

error: unknown value `Static`
  --> poolguard.toml:20:8
   |
20 | kind = "Static"
   |        ^^^^^^^^
   |
   = help: write "dynamic", "virtual-pop" or "static"

error: unknown value `off`
  --> poolguard.toml:22:15
   |
22 | enforcement = "off"
   |               ^^^^^
   |
   = help: write "enforce" or "monitor"
"#,
    );
}

#[test]
fn a_list_without_brackets() {
    wrong(
        r#"
include = "customers.d/*.toml"

[ports]
forbidden = 25

[mail]
servers = { first = "192.0.2.25" }
"#,
        r#"
error: expected an array, found a string
 --> poolguard.toml:1:11
  |
1 | include = "customers.d/*.toml"
  |           ^^^^^^^^^^^^^^^^^^^^
  |
  = help: write ["customers.d/*.toml"]

warning: `customers.d/*.toml` matches nothing: there is no such directory
 --> poolguard.toml:1:11
  |
1 | include = "customers.d/*.toml"
  |           ^^^^^^^^^^^^^^^^^^^^
  |
  = help: make the directory, or correct the pattern: it is relative to this file

error: expected an array, found an integer
 --> poolguard.toml:4:13
  |
4 | forbidden = 25
  |             ^^
  |
  = help: write [25]

error: expected an array, found a table
 --> poolguard.toml:7:11
  |
7 | servers = { first = "192.0.2.25" }
  |           ^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write the elements in brackets, separated by commas
"#,
    );
}

#[test]
fn tables_with_the_wrong_brackets() {
    wrong(
        r#"
[customer]
name = "acme"
prefixes = ["203.0.113.9/29"]
allow_inbound = [25]

[[mail]]
servers = ["192.0.2.25"]
server = "192.0.2.26"

[[pool2]]
"#,
        r#"
error: expected `[[customer]]`, found `[customer]`
 --> poolguard.toml:1:1
  |
1 | [customer]
  | ^^^^^^^^^^
  |
  = help: write [[customer]]: there can be several

error: 203.0.113.9/29 has host bits set
 --> poolguard.toml:3:13
  |
3 | prefixes = ["203.0.113.9/29"]
  |             ^^^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.8/29", or "203.0.113.9" for the one address

error: expected `[mail]`, found `[[mail]]`
 --> poolguard.toml:6:1
  |
6 | [[mail]]
  | ^^^^^^^^
  |
  = help: write [mail]: it can be given only once

error: unknown key `server`
 --> poolguard.toml:8:1
  |
8 | server = "192.0.2.26"
  | ^^^^^^
  |
  = help: did you mean `servers`?

error: unknown key `pool2`
  --> poolguard.toml:10:3
   |
10 | [[pool2]]
   |   ^^^^^
   |
   = help: did you mean `pool`?
"#,
    );
}

#[test]
fn values_where_tables_belong() {
    wrong(
        r#"
metrics = "127.0.0.1:9188"
customer = ["acme", { name = "b" }]
"#,
        r#"
error: expected `[metrics]`, found a string
 --> poolguard.toml:1:11
  |
1 | metrics = "127.0.0.1:9188"
  |           ^^^^^^^^^^^^^^^^
  |
  = help: write [metrics]: a table starts with its name in brackets

error: expected `[[customer]]`, found a string
 --> poolguard.toml:2:13
  |
2 | customer = ["acme", { name = "b" }]
  |             ^^^^^^
  |
  = help: write [[customer]]: a table starts with its name in double brackets

error: [[customer]] has no `prefixes`
 --> poolguard.toml:2:21
  |
2 | customer = ["acme", { name = "b" }]
  |                     ^^^^^^^^^^^^^^
  |
  = help: add `prefixes = ["198.51.100.0/24"]`
"#,
    );
}

#[test]
fn keys_that_have_to_be_given() {
    wrong(
        r#"
[[interface]]

[mail]

[[pool]]

[[customer]]
"#,
        r#"
error: [[interface]] has no `name`
 --> poolguard.toml:1:1
  |
1 | [[interface]]
  | ^^^^^^^^^^^^^
  |
  = help: add `name = "eth0"`

error: [[interface]] has no `role`
 --> poolguard.toml:1:1
  |
1 | [[interface]]
  | ^^^^^^^^^^^^^
  |
  = help: add `role = "customer"`, `"network"` or `"mixed"`

error: [mail] has no `servers`
 --> poolguard.toml:3:1
  |
3 | [mail]
  | ^^^^^^
  |
  = help: add `servers = ["192.0.2.25"]`

error: [[pool]] has no `name`
 --> poolguard.toml:5:1
  |
5 | [[pool]]
  | ^^^^^^^^
  |
  = help: add `name = "dialup-east"`

error: [[pool]] has no `kind`
 --> poolguard.toml:5:1
  |
5 | [[pool]]
  | ^^^^^^^^
  |
  = help: add `kind = "dynamic"`, `"virtual-pop"` or `"static"`

error: [[pool]] has no `prefixes`
 --> poolguard.toml:5:1
  |
5 | [[pool]]
  | ^^^^^^^^
  |
  = help: add `prefixes = ["198.51.100.0/24"]`

error: [[customer]] has no `name`
 --> poolguard.toml:7:1
  |
7 | [[customer]]
  | ^^^^^^^^^^^^
  |
  = help: add `name = "acme"`

error: [[customer]] has no `prefixes`
 --> poolguard.toml:7:1
  |
7 | [[customer]]
  | ^^^^^^^^^^^^
  |
  = help: add `prefixes = ["198.51.100.0/24"]`
"#,
    );
}

#[test]
fn an_address_to_listen_on() {
    wrong(
        r#"
[metrics]
listen = "127.0.0.1:0"
"#,
        r#"
error: `127.0.0.1:0` names no port: nobody knows where to ask
 --> poolguard.toml:2:10
  |
2 | listen = "127.0.0.1:0"
  |          ^^^^^^^^^^^^^
  |
  = help: name a port, such as 9188
"#,
    );
    wrong(
        r#"
[metrics]
listen = ":9188"
"#,
        r#"
error: `:9188` is not an address and a port
 --> poolguard.toml:2:10
  |
2 | listen = ":9188"
  |          ^^^^^^^
  |
  = help: write "127.0.0.1:9188" for this machine alone, "[::]:9188" for every address
"#,
    );
    wrong(
        r#"
[metrics]
listen = "localhost:9188"
"#,
        r#"
error: `localhost:9188` is not an address and a port
 --> poolguard.toml:2:10
  |
2 | listen = "localhost:9188"
  |          ^^^^^^^^^^^^^^^^
  |
  = help: write an address and a port: "127.0.0.1:9188" or "[::1]:9188"
"#,
    );
    wrong(
        r#"
[metrics]
listen = 9188
"#,
        r#"
error: expected an address and a port in quotes, found an integer
 --> poolguard.toml:2:10
  |
2 | listen = 9188
  |          ^^^^
  |
  = help: write an address and a port: "127.0.0.1:9188" or "[::1]:9188"
"#,
    );
}

#[test]
fn a_limit_on_changes() {
    assert_eq!(fine("").max_change, Share::percent(10));
    let limit = |written: &str| fine(&format!("max_change = \"{written}\"\n")).max_change;
    assert_eq!(limit("25%"), Share::percent(25));
    assert_eq!(limit("0.5%").to_string(), "0.5%");
    assert_eq!(limit("100%"), Share::WHOLE);
    wrong(
        "max_change = 10\n",
        r#"
error: expected a percentage in quotes, found an integer
 --> poolguard.toml:1:14
  |
1 | max_change = 10
  |              ^^
  |
  = help: write "10%"
"#,
    );
    wrong(
        "max_change = \"10\"\n",
        r#"
error: `10` is not a percentage
 --> poolguard.toml:1:14
  |
1 | max_change = "10"
  |              ^^^^
  |
  = help: write a percentage such as "10%" or "0.5%"; "100%" is no limit
"#,
    );
    wrong(
        "max_change = \"250%\"\n",
        r#"
error: `250%` is more than everything
 --> poolguard.toml:1:14
  |
1 | max_change = "250%"
  |              ^^^^^^
  |
  = help: write a percentage such as "10%" or "0.5%"; "100%" is no limit
"#,
    );
    wrong(
        "[metrics]\nmax_change = \"10%\"\n",
        r#"
error: unknown key `max_change`
 --> poolguard.toml:2:1
  |
2 | max_change = "10%"
  | ^^^^^^^^^^
  |
  = help: `max_change` belongs at the top of the file, before the first table
"#,
    );
}
