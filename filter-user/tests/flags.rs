//! Options that a command does not heed, with the binary itself: somebody who gives one
//! believes that it does.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::Command;

/// The exit status, and what is said.
fn poolguard(words: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poolguard"));
    let output = command.args(words.split(' ')).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn an_option_that_is_not_heeded_is_wrong_usage() {
    for (words, why) in [
        ("diff -c candidate.toml", "`diff --with FILE` compares"),
        (
            "-c candidate.toml reload",
            "asks the running controller, which reads its own file",
        ),
        ("status --config x.toml", "asks the running controller"),
        ("confirm --config x.toml", "asks the running controller"),
        ("detach --config x.toml", "asks the running controller"),
        ("exempt list --config x.toml", "asks the running controller"),
        (
            "explain -c x.toml --in eth0 tcp 192.0.2.9:1 203.0.113.9:25",
            "`explain --file FILE` asks a file",
        ),
        (
            "explain --state-dir /x --in eth0 tcp 192.0.2.9:1 203.0.113.9:25",
            "--state-dir is not for this command",
        ),
        (
            "reload --state-dir /x",
            "--state-dir is not for this command",
        ),
        (
            "check --state-dir /x",
            "--state-dir is not for this command",
        ),
        ("check --instance x", "--instance is not for this command"),
        (
            "diff a.toml b.toml --instance x",
            "--instance is not for this command",
        ),
    ] {
        let (status, said) = poolguard(words);
        assert_eq!(status, Some(2), "{words}: {said}");
        assert!(said.contains(why), "{words}: {said}");
    }
    // One that is in the way of another is.
    assert_eq!(poolguard("diff a.toml b.toml --with c.toml").0, Some(2));
}

#[test]
fn without_a_controller_explain_says_how_to_ask_a_file() {
    let words = "explain --instance nobody-here --in eth0 tcp 192.0.2.9:1 203.0.113.9:25";
    let (status, said) = poolguard(words);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("instance nobody-here is not running"),
        "{said}"
    );
    assert!(said.contains("`poolguard explain --file FILE` asks a configuration file"));
}
