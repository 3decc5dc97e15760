//! `poolguard check`, the binary itself: what it says that it read.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const MAIN: &str = r#"
include = ["acme.toml"]
customer_lists = ["*.csv"]
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
"#;

/// Checks a configuration with these lists, in a directory of this name.
fn check(directory: &str, lists: &[(&str, &str)], arguments: &[&str]) -> Output {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
    fs::create_dir_all(&directory).unwrap();
    let acme = "[[customer]]\nname = \"acme\"\nallow_inbound = [25]\n\
                prefixes = [\"203.0.113.8/29\", \"203.0.113.16/29\"]\n";
    let main = [("poolguard.toml", MAIN), ("acme.toml", acme)];
    for (name, text) in main.iter().chain(lists) {
        fs::write(directory.join(name), text).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_poolguard"))
        .args(["check", "-c", "poolguard.toml"])
        .args(arguments)
        .current_dir(&directory)
        .output()
        .unwrap()
}

/// Two customers in two lists: one in both, with the other between its rows. One
/// row opens nothing, and one no longer does.
const LISTS: [(&str, &str); 2] = [
    (
        "a.csv",
        "prefix,customer,allow_smtp_out,expires\n203.0.113.1,bcme,true,\n203.0.113.2,ccme,,\n\
         203.0.113.3,bcme,true,2020-01-01\n",
    ),
    (
        "b.csv",
        "prefix,customer,allow_inbound\n203.0.113.4,bcme,25 80\n",
    ),
];

#[test]
fn how_much_was_read() {
    let output = check("check-read", &LISTS, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "poolguard.toml: valid. Files: 4; interfaces: 2; pools: 1, of 1 prefixes; rows of customer \
         lists: 4; customers: 3; exemptions: 5; mail servers: 1\n"
    );
    let output = check("check-read-json", &LISTS, &["--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = serde_json::json!({"files": 4, "rows": 4, "customers": 3, "exemptions": 5});
    assert_eq!(said["read"], read);
}

/// It was the end of every command.
#[test]
fn a_list_of_nothing_ends_nothing() {
    let nothing = [("a.csv", ""), ("b.csv", "\r\n")];
    let output = check("check-nothing", &nothing, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("an empty customer list").count(), 2, "{said}");
    let only_cr = [("a.csv", "prefix,customer\r203.0.113.1,bcme\r")];
    let output = check("check-only-cr", &only_cr, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["read"], serde_json::Value::Null);
}

/// What a command prints in JSON, and its exit status.
fn json(arguments: &[&str]) -> (serde_json::Value, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_poolguard"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(&text);
    let value = value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"));
    (value, output.status.code())
}

#[test]
fn what_fails_is_told_in_json_in_one_shape() {
    let none = "/nonexistent/poolguard.toml";
    let cases: [(&[&str], &str, i32); 12] = [
        (&["check", "--json", "-c", none], "failed", 1),
        (&["diff", none, none, "--json"], "failed", 1),
        (
            &["status", "--json", "--instance", "none-such"],
            "failed",
            1,
        ),
        (
            &["reload", "--json", "--instance", "none-such"],
            "failed",
            1,
        ),
        (
            &["confirm", "--json", "--instance", "none-such"],
            "failed",
            1,
        ),
        (
            &["exempt", "list", "--json", "--instance", "none-such"],
            "failed",
            1,
        ),
        (
            &["explain", "--json", "--in", "eth0", "tcp", "x", "y"],
            "usage",
            2,
        ),
        // What the parser of the arguments refuses.
        (&["check", "--json", "--nonsense"], "usage", 2),
        (&["nonsense", "--json"], "usage", 2),
        (&["exempt", "add", "203.0.113.300", "--json"], "usage", 2),
        (&["status", "--json", "--timeout", "never"], "usage", 2),
        (&["status", "--json", "--instance", "a/b"], "usage", 2),
    ];
    for (arguments, kind, status) in cases {
        let (value, code) = json(arguments);
        assert_eq!(code, Some(status), "{arguments:?}: {value}");
        assert_eq!(value["error"]["kind"], kind, "{arguments:?}: {value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{arguments:?}");
    }
    // After `--` it is no option.
    let output = Command::new(env!("CARGO_BIN_EXE_poolguard"))
        .args(["nonsense", "--", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_valid_has_no_error() {
    let output = check("json", &LISTS, &["--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["error"], serde_json::Value::Null);
    assert_eq!(value["valid"], true);
}
