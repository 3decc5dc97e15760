//! The oracle, the decision function and the XDP program agree on every frame
//! of the captures in `tests/captures`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{path::Path, process::Command};

use poolguard_tests::{
    agreement::Witnesses,
    captures::{Collection, replay},
};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/captures");

/// The directory of each source, and how many files come from there.
const SOURCES: [(&str, usize); 2] = [("dnscap", 13), ("tcpdump", 385)];

/// What no one captured.
const NEVER_SEEN: [&str; 4] = [
    "ip_header_length",
    "tcp_fragment",
    "chain_too_long",
    "vlan_depth",
];

fn agree(witnesses: Witnesses) {
    let collection = Collection::read(Path::new(DIRECTORY)).unwrap();
    println!("{collection}");
    let files: usize = SOURCES.iter().map(|(_, files)| files).sum();
    assert_eq!(
        (collection.captures.len(), collection.frames()),
        (files, 5846)
    );
    assert_eq!(collection.left_out(), [].into());

    let census = replay(&collection, witnesses).unwrap_or_else(|words| panic!("{words}"));
    println!("{census}");
    // Every frame, on both sides, under three configurations.
    assert_eq!(census.frames, 6 * 5846);
    assert_eq!(census.missing(), NEVER_SEEN);
}

#[test]
fn the_decision_function_agrees_with_the_oracle() {
    agree(Witnesses::Host);
}

#[cfg(feature = "kernel")]
#[test]
fn the_program_agrees_with_both() {
    agree(Witnesses::HostAndKernel);
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
