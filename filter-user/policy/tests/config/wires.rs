//! `forwarding`, and what wires join.

use policy::config::{Forwarding, Wire};

use crate::{complete, fine, wrong, wrong_files};

#[test]
fn two_interfaces_are_joined() {
    let config = fine(
        r#"
forwarding = "wire"
[[wire]]
ends = ["eth0", "eth1"]
"#,
    );
    let ends = ["eth0", "eth1"].map(str::to_owned);
    assert_eq!(config.forwarding, Forwarding::Wire(vec![Wire { ends }]));
    assert_eq!(config.other_end("eth0"), Some("eth1"));
    assert_eq!(config.other_end("eth1"), Some("eth0"));
    assert_eq!(config.other_end("eth2"), None);
}

#[test]
fn the_kernel_forwards_unless_it_is_said_otherwise() {
    for text in ["", "forwarding = \"kernel\"\n"] {
        let config = fine(text);
        assert_eq!(config.forwarding, Forwarding::Kernel);
        assert_eq!(config.other_end("eth0"), None);
    }
}

#[test]
fn a_word_that_is_neither() {
    // Nothing is said about the wire: either may have been meant.
    wrong(
        r#"
forwarding = "bridge"
[[wire]]
ends = ["eth0", "eth1"]
"#,
        r#"
error: unknown value `bridge`
 --> poolguard.toml:1:14
  |
1 | forwarding = "bridge"
  |              ^^^^^^^^
  |
  = help: write "kernel" or "wire"
"#,
    );
}

#[test]
fn a_wire_that_nothing_is_done_with() {
    let mistake = |given: &str, line: usize| {
        format!(
            "
error: a wire under `forwarding = \"kernel\"`: nothing would be done with it
 --> poolguard.toml:{line}:1
  |
{line} | [[wire]]
  | ^^^^^^^^
  |
  = help: write `forwarding = \"wire\"` at the top of the main file, or remove it{given}
"
        )
    };
    let wire = "[[wire]]\nends = [\"eth0\", \"eth1\"]\n";
    wrong(wire, &mistake("", 1));
    wrong(&format!("forwarding = \"kernel\"\n{wire}"), &mistake("", 2));
}

#[test]
fn no_wire_at_all() {
    wrong(
        r#"
forwarding = "wire"
"#,
        r#"
error: no wire joins any interfaces
 --> poolguard.toml:1:14
  |
1 | forwarding = "wire"
  |              ^^^^^^
  |
  = help: add a [[wire]] with `ends = ["eth1", "eth0"]` for each pair
"#,
    );
}

#[test]
fn ends_that_are_not_two() {
    wrong(
        r#"
forwarding = "wire"
[[wire]]
ends = ["eth0"]
[[wire]]
ends = ["eth1", "eth2", "eth3"]
[[wire]]
ends = []
[[wire]]
ends = "eth4"
[[wire]]
end = ["eth5", "eth6"]
[[wire]]
ends = ["eth7", 8]
"#,
        r#"
error: a wire with 1 end
 --> poolguard.toml:3:8
  |
3 | ends = ["eth0"]
  |        ^^^^^^^^
  |
  = help: write the two interfaces that it joins: ["eth1", "eth0"]

error: a wire with 3 ends
 --> poolguard.toml:5:8
  |
5 | ends = ["eth1", "eth2", "eth3"]
  |        ^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write the two interfaces that it joins: ["eth1", "eth0"]

error: `eth2` is no [[interface]]
 --> poolguard.toml:5:17
  |
5 | ends = ["eth1", "eth2", "eth3"]
  |                 ^^^^^^
  |
  = help: name another one, or add an [[interface]] of this name: what arrives there is filtered as well

error: `eth3` is no [[interface]]
 --> poolguard.toml:5:25
  |
5 | ends = ["eth1", "eth2", "eth3"]
  |                         ^^^^^^
  |
  = help: name another one, or add an [[interface]] of this name: what arrives there is filtered as well

error: a wire with 0 ends
 --> poolguard.toml:7:8
  |
7 | ends = []
  |        ^^
  |
  = help: write the two interfaces that it joins: ["eth1", "eth0"]

error: expected an array, found a string
 --> poolguard.toml:9:8
  |
9 | ends = "eth4"
  |        ^^^^^^
  |
  = help: write ["eth4"]

error: [[wire]] has no `ends`
  --> poolguard.toml:10:1
   |
10 | [[wire]]
   | ^^^^^^^^
   |
   = help: add `ends = ["eth1", "eth0"]`

error: unknown key `end`
  --> poolguard.toml:11:1
   |
11 | end = ["eth5", "eth6"]
   | ^^^
   |
   = help: did you mean `ends`?

error: `eth7` is no [[interface]]
  --> poolguard.toml:13:9
   |
13 | ends = ["eth7", 8]
   |         ^^^^^^
   |
   = help: name another one, or add an [[interface]] of this name: what arrives there is filtered as well

error: expected a string, found an integer
  --> poolguard.toml:13:17
   |
13 | ends = ["eth7", 8]
   |                 ^
   |
   = help: write "8"
"#,
    );
}

#[test]
fn ends_that_are_no_interfaces_or_joined_already() {
    wrong(
        r#"
forwarding = "wire"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[[wire]]
ends = ["eth1", "eth10"]
[[wire]]
ends = ["wan", "wan"]
[[wire]]
ends = ["eth0", "eth1"]
"#,
        r#"
error: `eth10` is no [[interface]]
 --> poolguard.toml:9:17
  |
9 | ends = ["eth1", "eth10"]
  |                 ^^^^^^^
  |
  = help: name another one, or add an [[interface]] of this name: what arrives there is filtered as well

error: `wan` is no [[interface]]
  --> poolguard.toml:11:9
   |
11 | ends = ["wan", "wan"]
   |         ^^^^^
   |
   = help: name another one, or add an [[interface]] of this name: what arrives there is filtered as well

error: wire end `wan` is given twice
  --> poolguard.toml:11:16
   |
11 | ends = ["wan", "wan"]
   |         -----  ^^^^^
   |         |
   |         first given here
   |
   = help: remove one of them

error: wire end `eth1` is given twice
  --> poolguard.toml:13:17
   |
13 | ends = ["eth0", "eth1"]
   |                 ^^^^^^
   |
  ::: poolguard.toml:9:9
   |
 9 | ends = ["eth1", "eth10"]
   |         ------ first given here
   |
   = help: remove one of them
"#,
    );
}

#[test]
fn an_interface_that_is_left_over() {
    wrong(
        r#"
forwarding = "wire"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[[interface]]
name = "eth2"
role = "network"
[[wire]]
ends = ["eth1", "eth0"]
"#,
        r#"
error: interface `eth2` is in no wire
 --> poolguard.toml:9:8
  |
9 | name = "eth2"
  |        ^^^^^^
  |
  = help: add a [[wire]] that joins it to another one, or `forwarding = "kernel"` to its [[interface]] if the kernel routes what it permits
"#,
    );
}

#[test]
fn an_interface_beside_the_wires() {
    let config = fine(
        r#"
forwarding = "wire"
[[interface]]
name = "eth1"
role = "customer"
forwarding = "wire"
[[interface]]
name = "eth0"
role = "network"
[[interface]]
name = "eth2"
role = "mixed"
attach = "generic"
forwarding = "kernel"
[[wire]]
ends = ["eth0", "eth1"]
"#,
    );
    assert_eq!(config.other_end("eth0"), Some("eth1"));
    assert_eq!(config.other_end("eth2"), None);
}

#[test]
fn an_end_of_a_wire_that_the_kernel_is_to_forward() {
    wrong(
        r#"
forwarding = "wire"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
forwarding = "kernel"
[[interface]]
name = "eth2"
role = "network"
forwarding = "wire"
[[wire]]
ends = ["eth1", "eth0"]
"#,
        r#"
error: `forwarding = "kernel"` for `eth0`, which is the end of a wire
 --> poolguard.toml:8:14
  |
8 | forwarding = "kernel"
  |              ^^^^^^^^
  |
  = help: remove it, or the [[wire]]

error: interface `eth2` is in no wire
  --> poolguard.toml:10:8
   |
10 | name = "eth2"
   |        ^^^^^^
   |
   = help: add a [[wire]] that joins it to another one, or `forwarding = "kernel"` to its [[interface]] if the kernel routes what it permits
"#,
    );
}

#[test]
fn an_interface_by_wire_where_there_is_none() {
    wrong(
        r#"
[[interface]]
name = "eth1"
role = "customer"
forwarding = "kernel"
[[interface]]
name = "eth0"
role = "network"
forwarding = "wire"
"#,
        r#"
error: `forwarding = "wire"` at an interface of a box that has no wires
 --> poolguard.toml:8:14
  |
8 | forwarding = "wire"
  |              ^^^^^^
  |
  = help: write it at the top of the main file, with a [[wire]], or remove it
"#,
    );
}

#[test]
fn a_generic_end() {
    wrong(
        r#"
forwarding = "wire"
[[interface]]
name = "eth1"
role = "customer"
attach = "native"
[[interface]]
name = "eth0"
role = "network"
attach = "generic"
[[wire]]
ends = ["eth1", "eth0"]
"#,
        r#"
error: `attach = "generic"` at the end of a wire
 --> poolguard.toml:9:10
  |
9 | attach = "generic"
  |          ^^^^^^^^^
  |
  = help: remove it: wires take native XDP. A driver without it can do `forwarding = "kernel"`, which is no slower then
"#,
    );
}

#[test]
fn wires_belong_into_the_main_file() {
    let main =
        "forwarding = \"wire\"\ninclude = [\"more.toml\"]\n[[wire]]\nends = [\"eth1\", \"eth0\"]\n";
    let files = complete(main).with(
        "more.toml",
        "forwarding = \"wire\"\n[[wire]]\nends = [\"eth1\", \"eth0\"]\n",
    );
    wrong_files(
        &files,
        r#"
error: `forwarding` in an included file
 --> more.toml:1:1
  |
1 | forwarding = "wire"
  | ^^^^^^^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]

error: `[[wire]]` in an included file
 --> more.toml:2:3
  |
2 | [[wire]]
  |   ^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]
"#,
    );
}

#[test]
fn forwarding_below_a_table() {
    wrong(
        r#"
[metrics]
forwarding = "wire"
"#,
        r#"
error: unknown key `forwarding`
 --> poolguard.toml:2:1
  |
2 | forwarding = "wire"
  | ^^^^^^^^^^
  |
  = help: `forwarding` belongs at the top of the file, before the first table
"#,
    );
}
