//! More than one file.

use policy::config::Memory;

use crate::{complete, load, same, wrong, wrong_files};

const ACME: &str =
    "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n";
const BCME: &str =
    "[[customer]]\nname = \"bcme\"\nprefixes = [\"203.0.113.16/29\"]\nallow_inbound = [25]\n";

#[test]
fn included_files_are_read_in_lexical_order() {
    let files = complete("include = [\"customers.d/*.toml\", \"./customers.d/acme.toml\"]\n")
        .with("customers.d/bcme.toml", BCME)
        .with("customers.d/acme.toml", ACME)
        .with("customers.d/.hidden.toml", "not TOML")
        .with("customers.d/acme.toml~", "not TOML")
        .with("customers.d/old/ccme.toml", "not TOML");
    let report = load(&files).unwrap_err();
    same(
        &report,
        r#"
warning: `customers.d/acme.toml~` is not read: its ending is not the pattern's
 --> poolguard.toml:1:12
  |
1 | include = ["customers.d/*.toml", "./customers.d/acme.toml"]
  |            ^^^^^^^^^^^^^^^^^^^^
  |
  = help: rename it if it is meant, or move it to another directory

error: `./customers.d/acme.toml` is read already
 --> poolguard.toml:1:34
  |
1 | include = ["customers.d/*.toml", "./customers.d/acme.toml"]
  |                                  ^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: name each file once
"#,
    );

    let files = files.with(
        "poolguard.toml",
        files_main("include = [\"customers.d/*.toml\"]"),
    );
    let loaded = load(&files).unwrap();
    let read: Vec<_> = loaded
        .texts
        .paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(
        read,
        [
            "poolguard.toml",
            "customers.d/acme.toml",
            "customers.d/bcme.toml"
        ]
    );
    let customers = &loaded.config.customers;
    assert_eq!(customers[0].source.to_string(), "customers.d/acme.toml:1");
    assert_eq!(customers[1].name, "bcme");
}

fn files_main(include: &str) -> String {
    format!(
        "{include}\n[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n[[interface]]\nname = \"eth0\"\n\
         role = \"network\"\n[mail]\nservers = [\"192.0.2.25\"]\n[[pool]]\nname = \"dsl\"\n\
         kind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    )
}

#[test]
fn a_pattern_may_match_nothing_and_the_file_itself() {
    let text = "include = [\"customers.d/*.toml\", \"*.toml\", \"../shared/[a-z]*\"]\n";
    let loaded = load(&complete(text)).unwrap();
    assert_eq!(
        loaded.warnings.warnings(),
        2,
        "what matches the file itself matches something"
    );
    assert_eq!(loaded.texts.paths().len(), 1);
}

#[test]
fn a_named_file_has_to_exist() {
    wrong(
        r#"
include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
"#,
        r#"
error: acme.toml does not exist
 --> poolguard.toml:1:12
  |
1 | include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
  |            ^^^^^^^^^^^
  |
  = help: includes are relative to the file that names them

error: `customers.d/[a-.toml` is not a valid pattern: invalid range pattern
 --> poolguard.toml:1:25
  |
1 | include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
  |                         ^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: `*` and `?` stand for any text and any character of a file name, [a-z] for one of these

error: an include that names no file
 --> poolguard.toml:1:49
  |
1 | include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
  |                                                 ^^
  |
  = help: write a file, or a pattern such as "customers.d/*.toml"

error: expected a string, found an integer
 --> poolguard.toml:1:53
  |
1 | include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
  |                                                     ^
  |
  = help: write "1"

error: `poolguard.toml` is read already
 --> poolguard.toml:1:56
  |
1 | include = ["acme.toml", "customers.d/[a-.toml", "", 1, "poolguard.toml"]
  |                                                        ^^^^^^^^^^^^^^^^
  |
  = help: name each file once
"#,
    );
}

#[test]
fn what_holds_for_the_box_is_in_the_main_file() {
    let files = complete("include = [\"customers.d/*\"]\n").with(
        "customers.d/acme.toml",
        "enforcement = \"monitor\"\ninclude = [\"more/*\"]\ncolour = 1\n\n[ports]\nforbidden = [80]\n\n\
         [mail]\nservers = []\n\n[metrics]\nlisten = \"[::]:9188\"\n",
    );
    wrong_files(
        &files,
        r#"
error: `enforcement` in an included file
 --> customers.d/acme.toml:1:1
  |
1 | enforcement = "monitor"
  | ^^^^^^^^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]

error: `include` in an included file
 --> customers.d/acme.toml:2:1
  |
2 | include = ["more/*"]
  | ^^^^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]

error: unknown key `colour`
 --> customers.d/acme.toml:3:1
  |
3 | colour = 1
  | ^^^^^^
  |
  = help: the top level takes `interface`, `pool` and `customer`

error: `[ports]` in an included file
 --> customers.d/acme.toml:5:2
  |
5 | [ports]
  |  ^^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]

error: `[mail]` in an included file
 --> customers.d/acme.toml:8:2
  |
8 | [mail]
  |  ^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]

error: `[metrics]` in an included file
  --> customers.d/acme.toml:11:2
   |
11 | [metrics]
   |  ^^^^^^^
   |
   = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]
"#,
    );
}

#[test]
fn all_mistakes_of_all_files_at_once() {
    let files = Memory::default()
        .with(
            "poolguard.toml",
            r#"enforcement = "enforce"
include = ["customers.d/*.toml"]

[[interface]]
name = "eth1"
role = "customer"

[[interface]]
name = "eth1"
role = "netwrok"

[ports]
forbiden = [25]

[mail]
servers = ["192.0.2.25/24"]

[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24", "0.0.0.0/0"]
"#,
        )
        .with(
            "customers.d/acme.toml",
            r#"[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25, 3389]
expires = 2026-01-31
"#,
        )
        .with(
            "customers.d/bcme.toml",
            r#"[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
allow_inbond = [25]
allow_smtp_out = yes
"#,
        );
    wrong_files(
        &files,
        r#"
error: interface `eth1` is given twice
 --> poolguard.toml:9:8
  |
9 | name = "eth1"
  |        ^^^^^^
  |
 ::: poolguard.toml:5:8
  |
5 | name = "eth1"
  |        ------ first given here
  |
  = help: remove one of them

error: unknown value `netwrok`
  --> poolguard.toml:10:8
   |
10 | role = "netwrok"
   |        ^^^^^^^^^
   |
   = help: write "customer", "network" or "mixed"

error: unknown key `forbiden`
  --> poolguard.toml:13:1
   |
13 | forbiden = [25]
   | ^^^^^^^^
   |
   = help: did you mean `forbidden`?

error: 192.0.2.25/24 has host bits set
  --> poolguard.toml:16:12
   |
16 | servers = ["192.0.2.25/24"]
   |            ^^^^^^^^^^^^^^^
   |
   = help: write "192.0.2.0/24", or "192.0.2.25" for the one address

error: 0.0.0.0/0 is a default route: it means every address there is
  --> poolguard.toml:26:31
   |
26 | prefixes = ["203.0.113.0/24", "0.0.0.0/0"]
   |                               ^^^^^^^^^^^
   |
   = help: write the prefixes that are meant

error: port 3389 is not forbidden toward customer `acme`
 --> customers.d/acme.toml:4:22
  |
4 | allow_inbound = [25, 3389]
  |                      ^^^^
  |
  = help: remove it: pool `dsl` forbids 25, 80, 109, 110, 139, 194, 443, 1080, 8000 and 8080

warning: the exemptions of customer `acme` have expired
 --> customers.d/acme.toml:5:11
  |
5 | expires = 2026-01-31
  |           ^^^^^^^^^^
  |
  = help: remove the customer, or write a later date

error: prefix 203.0.113.8/29 is given twice
 --> customers.d/bcme.toml:3:13
  |
3 | prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
  |             ^^^^^^^^^^^^^^^^
  |
 ::: customers.d/acme.toml:3:13
  |
3 | prefixes = ["203.0.113.8/29"]
  |             ---------------- first given here
  |
  = help: remove one of them

error: 198.51.100.8/29 of customer `acme` lies in pool `dialup`, whose kind takes no exemptions
  --> customers.d/bcme.toml:3:31
   |
 3 | prefixes = ["203.0.113.8/29", "198.51.100.8/29"]
   |                               ^^^^^^^^^^^^^^^^^
   |
  ::: poolguard.toml:21:13
   |
21 | prefixes = ["198.51.100.0/24"]
   |             ----------------- pool `dialup`
   |
   = help: only pools of kind "static" take exemptions

error: unknown key `allow_inbond`
 --> customers.d/bcme.toml:4:1
  |
4 | allow_inbond = [25]
  | ^^^^^^^^^^^^
  |
  = help: did you mean `allow_inbound`?

error: string values must be quoted, expected literal string
 --> customers.d/bcme.toml:5:18
  |
5 | allow_smtp_out = yes
  |                  ^^^
  |
  = help: write true
"#,
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let report = load(&Memory::default()).unwrap_err();
    same(
        &report,
        r#"
error: cannot read the configuration: no such file
--> poolguard.toml
 = help: check the path, or name another one with --config
"#,
    );
}

#[test]
fn bytes_that_are_no_text() {
    let files = complete("include = [\"a.toml\"]\n").with("a.toml", b"name = 1\nx = \"caf\xe9\"\n");
    wrong_files(
        &files,
        r#"
error: byte 0xe9 is not UTF-8
 --> a.toml:2:9
  |
2 | x = "caf�"
  |         ^
  |
  = help: save the file as UTF-8: the byte is `é` in ISO 8859-1
"#,
    );
}
