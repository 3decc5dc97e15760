//! The oracle and the decision function agree on every frame of the captures in
//! `tests/captures`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{path::Path, process::Command};

use poolguard_tests::{
    agreement::Witnesses,
    captures::repository::{DIRECTORY, SOURCES, agree},
};

#[test]
fn the_decision_function_agrees_with_the_oracle() {
    agree(Witnesses::Host);
}

/// Nobody has changed what others captured.
#[test]
fn captures_are_as_they_were_published() {
    for (source, files) in SOURCES {
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--strict", "SHA256SUMS"]);
        let directory = Path::new(DIRECTORY).join(source);
        let output = check.current_dir(directory).output().unwrap();
        let words = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{source}:\n{words}");
        assert_eq!(words.lines().count(), files, "{source}");
    }
}
