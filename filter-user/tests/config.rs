//! Configurations, and what is printed about wrong ones.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use filter_user::config::{self, Report};
use jiff::Timestamp;

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn load(path: &str) -> Result<config::Loaded, Report> {
    config::load(Path::new(path), now())
}

#[test]
fn the_shipped_example_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/poolguard.toml");
    let loaded = load(path).unwrap();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.config.pools.len(), 2);
    assert_eq!(loaded.config.customers.len(), 1);
}
