//! What fuzzing came upon, once more.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use poolguard_tests::fuzz::{TARGETS, Target};

/// The files of a target, in order. None at all is a mistake in this repository.
fn files(kind: &str, target: &Target) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(kind)
        .join(target.name);
    let entries = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    files
}

fn replay(kind: &str) {
    for target in TARGETS {
        for file in files(kind, &target) {
            let data = fs::read(&file).unwrap();
            let outcome = catch_unwind(|| (target.run)(&data));
            assert!(outcome.is_ok(), "{} went wrong again", file.display());
        }
    }
}

#[test]
fn what_once_went_wrong() {
    replay("regressions");
}

#[test]
fn what_reaches_all_that_was_reached() {
    replay("corpus");
}

/// `001-what-it-was`, `002-...`: none is lost.
#[test]
fn regressions_are_numbered() {
    for target in TARGETS {
        for (number, file) in (1..).zip(files("regressions", &target)) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let expected = format!("{number:03}-");
            assert!(name.starts_with(&expected), "{name} is not {expected}...");
        }
    }
}
