//! The captures in `tests/captures`.

use std::path::Path;

use super::{Collection, replay};
use crate::agreement::Witnesses;

/// Where they are.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/captures");

/// The directory of each source, and how many files come from there.
pub const SOURCES: [(&str, usize); 2] = [("dnscap", 13), ("tcpdump", 385)];

/// So many frames are in them.
const FRAMES: usize = 5846;

/// What no one captured.
const NEVER_SEEN: [&str; 5] = [
    "ip_header_length",
    "tcp_fragment",
    "chain_too_long",
    "vlan_depth",
    "ppp_zeros",
];

/// A test: all of them agree on every frame, on both sides, under three
/// configurations.
///
/// # Panics
///
/// When they disagree, or the captures are not those that they are known to be.
pub fn agree(witnesses: Witnesses) {
    let collection = Collection::read(Path::new(DIRECTORY))
        .unwrap_or_else(|error| panic!("{DIRECTORY}: {error}"));
    println!("{collection}");
    let files: usize = SOURCES.iter().map(|(_, files)| files).sum();
    assert_eq!(
        (collection.captures.len(), collection.frames()),
        (files, FRAMES)
    );
    assert_eq!(collection.left_out(), [].into());

    let census = replay(&collection, witnesses).unwrap_or_else(|words| panic!("{words}"));
    println!("{census}");
    assert_eq!(census.frames, 6 * FRAMES as u64);
    assert_eq!(census.missing(), NEVER_SEEN);
}
