//! What is kept on disk: all of it or what was there before, and nothing that
//! makes no sense is taken for anything.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf};

use filter_user::{
    controller::exemptions,
    state::{StateDirectory, StateError},
};
use serde_json::{Value, json};

/// A directory that is there and empty.
fn base(name: &str) -> PathBuf {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("state-{name}"));
    let _none = fs::remove_dir_all(&base);
    fs::create_dir(&base).unwrap();
    base
}

#[test]
fn what_is_kept_is_found_again_and_whoever_likes_may_read_it() {
    let base = base("kept");
    let state = StateDirectory::new(&base, "east");
    assert_eq!(state.read::<Value>("it.json").unwrap(), None);
    state.write("it.json", &json!({ "a": 1 })).unwrap();
    state.write("it.json", &json!({ "a": 2 })).unwrap();
    assert_eq!(
        state.read::<Value>("it.json").unwrap(),
        Some(json!({ "a": 2 }))
    );
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(base.join("east")), 0o755);
    assert_eq!(mode(base.join("east/it.json")), 0o644);
    assert_eq!(
        fs::read_dir(base.join("east")).unwrap().count(),
        1,
        "no leftovers"
    );
    state.remove("it.json").unwrap();
    state.remove("it.json").unwrap();
    assert_eq!(state.read::<Value>("it.json").unwrap(), None);
}

#[test]
fn what_cannot_be_written_leaves_what_there_was() {
    let state = StateDirectory::new(&base("unwritable"), "east");
    state.write("it.json", &json!({ "a": 1 })).unwrap();
    // A directory in the way of the new file: root may write anywhere else.
    fs::create_dir(state.file("it.new")).unwrap();
    let error = state.write("it.json", &json!({ "a": 2 })).unwrap_err();
    assert!(matches!(error, StateError::Unwritable { .. }), "{error}");
    assert_eq!(
        state.read::<Value>("it.json").unwrap(),
        Some(json!({ "a": 1 }))
    );
}

/// Nor does what was written of it stay: the disk may be full.
#[test]
fn what_is_written_in_part_leaves_nothing() {
    let state = StateDirectory::new(&base("half"), "east");
    state.write("it.json", &json!({ "a": 1 })).unwrap();
    let prepared = state.prepare("it.json", |file| {
        file.write_all(&[b' '; 100_000])?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(prepared, Err(StateError::Unwritable { .. })));
    let count = || {
        let file = state.file("it.json");
        fs::read_dir(file.parent().unwrap()).unwrap().count()
    };
    assert_eq!(count(), 1, "no leftovers");
    let prepared = state.prepare("it.json", |file| file.write_all(b"{}"));
    drop(prepared.unwrap());
    assert_eq!(count(), 1, "no leftovers");
    assert_eq!(
        state.read::<Value>("it.json").unwrap(),
        Some(json!({ "a": 1 }))
    );
}

#[test]
fn what_makes_no_sense_is_named() {
    let state = StateDirectory::new(&base("damaged"), "east");
    state.write("exemptions.json", &json!({})).unwrap();
    let file = state.file("exemptions.json");
    let file_name = file.display();
    for (text, complaint) in [
        (
            "",
            format!(
                "{file_name} is damaged: EOF while parsing a value at line 1 column 0. \
                      Restore it, or remove it: what it holds is lost then"
            ),
        ),
        (
            "{\"version\": 1}",
            format!(
                "{file_name} is damaged: missing field `next_id` at line 1 column 14. \
                      Restore it, or remove it: what it holds is lost then"
            ),
        ),
        (
            "{\"version\": 2}",
            format!(
                "{file_name} is of version 2, and this poolguard knows \
                      version 1: run the one that wrote it, or remove it: what it holds is lost then"
            ),
        ),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(exemptions::read(&state).unwrap_err().to_string(), complaint);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = exemptions::read(&state).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot read {file_name}: ")),
        "{error}"
    );
}
