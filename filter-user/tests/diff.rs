//! `poolguard diff OLD NEW`, the binary itself: what it prints, and its exit
//! status.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/poolguard.toml");

fn diff(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_poolguard"))
        .arg("diff")
        .args(arguments)
        .output()
        .unwrap()
}

/// The shipped example with one word replaced by another, in a file.
fn example(name: &str, word: &str, by: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = fs::read_to_string(CONFIG).unwrap();
    let text = text.replace("include = [\"customers.d/*.toml\"]", "include = []");
    assert!(text.contains(word));
    fs::write(&file, text.replace(word, by)).unwrap();
    file
}

#[test]
fn files_that_say_the_same() {
    let output = diff(&[Path::new(CONFIG), Path::new(CONFIG)]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"nothing would change\n");
}

#[test]
fn files_that_do_not() {
    let old = example("old.toml", "[[pool]]", "[[pool]]");
    let new = example("new.toml", "198.51.100.0/24", "198.51.100.0/25");
    let output = diff(&[&old, &new]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "- pool dialup-east (dynamic) 198.51.100.0/24: 256 addresses\n\
         + pool dialup-east (dynamic) 198.51.100.0/25: 128 addresses\n\
         \n\
         opened: 128 IPv4 addresses, 25% of the customers' 512\n\
         closed: nothing\n"
    );
    let output = diff(&[&old, &new, Path::new("--json")]);
    assert_eq!(output.status.code(), Some(3));
    let change: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(change["opened"]["ipv4"], 128);
}

#[test]
fn what_it_does_to_interfaces_is_said_as_a_reload_would() {
    let old = example("sides-old.toml", "[[pool]]", "[[pool]]");
    let ends = "[[wire]]\nends = [\"eth1\", \"eth0\"]\n\n[mail]\n";
    let wires = |name: &str| {
        let file = example(name, "[mail]\n", ends);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("forwarding = \"wire\"\n{text}")).unwrap();
        file
    };
    for (new, refusal) in [
        (
            example("sides-role.toml", "\"network\"  ", "\"mixed\"  "),
            "it would change the role of eth0",
        ),
        (
            example("sides-name.toml", "\"eth0\"\n", "\"etho\"\n"),
            "it would take the filter off eth0",
        ),
        (
            wires("sides-wire.toml"),
            "it would forward elsewhere what eth1, eth0 permits (forwarding, [[wire]])",
        ),
    ] {
        let output = diff(&[&old, &new]);
        let printed = String::from_utf8(output.stdout).unwrap();
        let last = format!(
            "a reload would be refused: {refusal}. If that is meant: `poolguard reload --force`"
        );
        assert_eq!(printed.lines().last(), Some(&*last), "{printed}");
        assert_eq!(output.status.code(), Some(3));
        let output = diff(&[&old, &new, Path::new("--json")]);
        let change: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let why = change["sides"].as_str().unwrap();
        assert!(why.starts_with(refusal), "{why}");
    }
}

#[test]
fn a_wrong_file_is_printed_as_check_prints_it() {
    let wrong = example("wrong.toml", "198.51.100.0/24", "198.51.100.1/24");
    let output = diff(&[Path::new(CONFIG), &wrong]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(
        printed.starts_with("error: 198.51.100.1/24 has host bits set\n"),
        "{printed}"
    );
    let last = format!("poolguard: {}: the configuration is wrong", wrong.display());
    assert_eq!(printed.lines().last(), Some(last.as_str()));
}

#[test]
fn one_file_is_wrong_usage() {
    assert_eq!(diff(&[Path::new(CONFIG)]).status.code(), Some(2));
}
