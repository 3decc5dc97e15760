//! What is not TOML.

use crate::{complete, fine, wrong, wrong_files};

#[test]
fn several_at_once_beside_other_mistakes() {
    wrong(
        r#"
enforcement = monitor

[mail]
servers = ["192.0.2.25, "192.0.2.26"]
ports = [25, 025]

[[pool]]
name = "dsl
kind = "statics"
prefixes = [203.0.113.0/24]
prefixes = ["203.0.113.0/24"]
"#,
        r#"
error: string values must be quoted, expected literal string
 --> poolguard.toml:1:15
  |
1 | enforcement = monitor
  |               ^^^^^^^
  |
  = help: write "monitor"

error: a quote is missing here or before
 --> poolguard.toml:4:26
  |
4 | servers = ["192.0.2.25, "192.0.2.26"]
  |                          ^^^^^^^^^^
  |
  = help: write "192.0.2.26"

error: unexpected leading zero
 --> poolguard.toml:5:14
  |
5 | ports = [25, 025]
  |              ^
  |
  = help: write the number without it

error: invalid basic string, expected `"`
 --> poolguard.toml:8:12
  |
8 | name = "dsl
  |            ^
  |
  = help: end the text with a double quote

error: unknown value `statics`
 --> poolguard.toml:9:8
  |
9 | kind = "statics"
  |        ^^^^^^^^^
  |
  = help: write "dynamic", "virtual-pop" or "static"

error: an address without quotes
  --> poolguard.toml:10:13
   |
10 | prefixes = [203.0.113.0/24]
   |             ^^^^^^^^^^^^^^
   |
   = help: write "203.0.113.0/24"

error: duplicate key
  --> poolguard.toml:11:1
   |
11 | prefixes = ["203.0.113.0/24"]
   | ^^^^^^^^
   |
   = help: give `prefixes` once
"#,
    );
}

#[test]
fn an_address_without_quotes() {
    wrong(
        r#"
[mail]
servers = [192.0.2.25, 2001:db8::25]
"#,
        r#"
error: an address without quotes
 --> poolguard.toml:2:12
  |
2 | servers = [192.0.2.25, 2001:db8::25]
  |            ^^^^^^^^^^
  |
  = help: write "192.0.2.25"

error: an address without quotes
 --> poolguard.toml:2:24
  |
2 | servers = [192.0.2.25, 2001:db8::25]
  |                        ^^^^^^^^^^^^
  |
  = help: write "2001:db8::25"
"#,
    );
}

#[test]
fn a_table_given_twice() {
    wrong(
        r#"
[ports]
forbidden = [25]
[mail]
servers = ["192.0.2.25"]
[ports]
return_traffic = "drop"
"#,
        r#"
error: duplicate key
 --> poolguard.toml:5:2
  |
5 | [ports]
  |  ^^^^^
  |
  = help: give `ports` once
"#,
    );
}

#[test]
fn a_list_without_an_end() {
    wrong(
        r#"
enforcement = "observe"

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
"#,
        r#"
error: unknown value `observe`
 --> poolguard.toml:1:15
  |
1 | enforcement = "observe"
  |               ^^^^^^^^^
  |
  = help: write "enforce" or "monitor"

error: a list before this line has no end
 --> poolguard.toml:8:1
  |
8 | [[customer]]
  | ^^^^^^^^^^^^
  |
  = help: close it with `]`; what follows cannot be checked until then
"#,
    );
    wrong(
        r#"
[[pool]]
name = "dsl"
prefixes = [
    "203.0.113.0/24",
kind = "static"
forbidden = [25]
"#,
        r#"
error: a list before this line has no end
 --> poolguard.toml:5:1
  |
5 | kind = "static"
  | ^^^^^^^^^^^^^^^
  |
  = help: close it with `]`; what follows cannot be checked until then
"#,
    );
}

#[test]
fn a_header_without_an_end() {
    wrong(
        r#"
[metrics
listen = "127.0.0.1:9188"
"#,
        r#"
error: unclosed table, expected `]`
 --> poolguard.toml:1:9
  |
1 | [metrics
  |         ^
  |
  = help: write `]` after the name
"#,
    );
}

#[test]
fn a_key_without_a_value() {
    wrong(
        r#"
enforcement
"#,
        r#"
error: key with no value, expected `=`
 --> poolguard.toml:1:12
  |
1 | enforcement
  |            ^
  |
  = help: write `key = value`
"#,
    );
    wrong(
        r#"
enforcement =
"#,
        r#"
error: string values must be quoted, expected literal string
 --> poolguard.toml:1:14
  |
1 | enforcement =
  |              ^
  |
  = help: write a value after the `=`
"#,
    );
}

#[test]
fn a_damaged_file_does_not_hide_the_mistakes_of_others() {
    let files = complete("include = [\"*.toml\"]\n")
        .with("a.toml", "[[customer]]\nname \"acme\"\n")
        .with(
            "b.toml",
            "[[customer]]\nname = \"bcme\"\nprefixes = [\"10.0.0.0/8\"]\nallow_inbound = [1]\n",
        );
    wrong_files(
        &files,
        r#"
error: key with no value, expected `=`
 --> a.toml:2:6
  |
2 | name "acme"
  |      ^
  |
  = help: write `key = value`

error: 10.0.0.0/8 of customer `bcme` lies in no pool
 --> b.toml:3:13
  |
3 | prefixes = ["10.0.0.0/8"]
  |             ^^^^^^^^^^^^
  |
  = help: correct it, or add it to a pool of kind "static"
"#,
    );
}

#[test]
fn windows_line_ends_and_a_byte_order_mark() {
    fine("\u{feff}[metrics]\r\nlisten = \"127.0.0.1:9188\"\r\n");
    wrong(
        "\u{feff}color = 1\r\ncolour = 2\r\n",
        r#"
error: unknown key `color`
 --> poolguard.toml:1:1
  |
1 | color = 1
  | ^^^^^
  |
  = help: the top level takes `enforcement`, `forwarding`, `max_change`, `include`, `customer_lists`, `ports`, `mail`, `metrics`, `wire`, `interface`, `pool` and `customer`

error: unknown key `colour`
 --> poolguard.toml:2:1
  |
2 | colour = 2
  | ^^^^^^
  |
  = help: the top level takes `enforcement`, `forwarding`, `max_change`, `include`, `customer_lists`, `ports`, `mail`, `metrics`, `wire`, `interface`, `pool` and `customer`
"#,
    );
}

#[test]
fn tabs_and_wide_characters() {
    wrong(
        "enforcement\t=\t\"观察\" # 观察\n# \u{1b}[31m\u{202e}\u{9b}\n\"\\u0007ö\" = 1\n",
        r#"
error: unknown value `观察`
 --> poolguard.toml:1:15
  |
1 | enforcement    =    "观察" # 观察
  |                     ^^^^^^
  |
  = help: write "enforce" or "monitor"

error: invalid comment character, expected printable characters
 --> poolguard.toml:2:3
  |
2 | # ␛[31m��
  |   ^
  |
  = help: remove the control character
"#,
    );
}

#[test]
fn control_characters_of_the_terminal_are_not_printed() {
    wrong(
        "\"\u{9b}31m\u{202e}\" = 1\n",
        r#"
error: unknown key `\u{9b}31m\u{202e}`
 --> poolguard.toml:1:1
  |
1 | "�31m�" = 1
  | ^^^^^^^
  |
  = help: the top level takes `enforcement`, `forwarding`, `max_change`, `include`, `customer_lists`, `ports`, `mail`, `metrics`, `wire`, `interface`, `pool` and `customer`
"#,
    );
}

#[test]
fn other_mistakes_with_an_answer() {
    wrong(
        r#"
[[customer]]
name = "a" prefixes = ["203.0.113.8/29"]

[[customer]]
name = "b"
prefixes = ["203.0.113.16/29" "203.0.113.24/29", , ]
allow_inbound = [25,, 80]
allow_smtp_out = True
expires = 2027-01-31T25:00:00Z
"#,
        r#"
error: unexpected key or value, expected newline, `#`
 --> poolguard.toml:2:12
  |
2 | name = "a" prefixes = ["203.0.113.8/29"]
  |            ^
  |
  = help: begin a new line here

error: missing comma between array elements, expected `,`
 --> poolguard.toml:6:31
  |
6 | prefixes = ["203.0.113.16/29" "203.0.113.24/29", , ]
  |                               ^
  |
  = help: write a comma between the elements

error: extra comma in array, expected value
 --> poolguard.toml:6:50
  |
6 | prefixes = ["203.0.113.16/29" "203.0.113.24/29", , ]
  |                                                  ^
  |
  = help: remove the comma

error: extra comma in array, expected value
 --> poolguard.toml:7:21
  |
7 | allow_inbound = [25,, 80]
  |                     ^
  |
  = help: remove the comma

error: invalid boolean, expected `true`
 --> poolguard.toml:8:18
  |
8 | allow_smtp_out = True
  |                  ^^^^
  |
  = help: write true or false, in lower case

error: invalid time, expected hour between 00 and 23
 --> poolguard.toml:9:11
  |
9 | expires = 2027-01-31T25:00:00Z
  |           ^^^^^^^^^^^^^^^^^^^^
  |
  = help: write a time that exists, such as 2027-01-31T18:00:00Z
"#,
    );
    wrong(
        "[ports]\nforbidden = [25]\rreturn_traffic = \"drop\"\n",
        r#"
error: carriage return must be followed by newline, expected newline
 --> poolguard.toml:2:18
  |
2 | forbidden = [25]␍return_traffic = "drop"
  |                  ^
  |
  = help: end each line with a newline
"#,
    );
    wrong(
        "[[pool\nname = \"dsl\"\n",
        r#"
error: unclosed array table, expected `]]`
 --> poolguard.toml:1:7
  |
1 | [[pool
  |       ^
  |
  = help: write `]]` after the name
"#,
    );
    wrong(
        "[metrics]\nlisten = { }  }\n",
        r#"
error: unexpected key or value, expected newline, `#`
 --> poolguard.toml:2:15
  |
2 | listen = { }  }
  |               ^
  |
  = help: begin a new line here
"#,
    );
}
