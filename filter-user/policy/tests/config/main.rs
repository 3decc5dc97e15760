//! Configurations: what they come to, and what is printed about wrong ones.
#![allow(clippy::unwrap_used)]

mod added_rules;
mod customers;
mod example;
mod expiry;
mod files;
mod garbage;
mod keys;
mod lists;
mod names;
mod near;
mod ports;
mod prefixes;
mod presence;
mod report;
mod spoilt_lists;
mod syntax;
mod wires;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use policy::config::{self, Config, Loaded, Memory, Report};

/// What the tests take for today.
fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn load(files: &Memory) -> Result<Loaded, Report> {
    config::load_from(files, Path::new("poolguard.toml"), now())
}

/// A file that holds `text` and, after it, each table that a configuration
/// needs and `text` does not have.
fn complete(text: &str) -> Memory {
    const NEEDED: [(&str, &str); 3] = [
        (
            "[[interface]]",
            "[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
             [[interface]]\nname = \"eth0\"\nrole = \"network\"\n",
        ),
        ("[mail]", "[mail]\nservers = [\"192.0.2.25\"]\n"),
        (
            "[[pool]]",
            "[[pool]]\nname = \"dsl\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n",
        ),
    ];
    let mut file = text.trim_start_matches('\n').to_owned();
    for (header, table) in NEEDED {
        if !text.contains(header) {
            file.push_str(table);
        }
    }
    Memory::default().with("poolguard.toml", file)
}

/// Asserts all that is printed about a wrong configuration.
#[track_caller]
fn wrong(text: &str, printed: &str) {
    wrong_files(&complete(text), printed);
}

#[track_caller]
fn wrong_files(files: &Memory, printed: &str) {
    let report = load(files).unwrap_err();
    assert!(report.errors() > 0);
    same(&report, printed);
}

/// Asserts all that is printed about a configuration that is accepted.
#[track_caller]
fn dubious(text: &str, printed: &str) -> Config {
    let loaded = load(&complete(text)).unwrap();
    assert!(loaded.warnings.warnings() > 0);
    same(&loaded.warnings, printed);
    Arc::unwrap_or_clone(loaded.config)
}

/// Asserts that nothing is printed.
#[track_caller]
fn fine(text: &str) -> Config {
    let loaded = load(&complete(text)).unwrap();
    same(&loaded.warnings, "");
    Arc::unwrap_or_clone(loaded.config)
}

#[track_caller]
fn same(report: &Report, printed: &str) {
    let actual = report.render(false);
    let (actual, printed) = (actual.trim_end(), printed.trim_matches('\n'));
    assert!(
        actual == printed,
        "printed:\n{actual}\n\nexpected:\n{printed}\n"
    );
}
