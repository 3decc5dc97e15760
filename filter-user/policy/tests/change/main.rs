//! What a change comes to: its pieces word for word, its addresses against
//! every packet asked one by one.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod limit;
mod packets;
mod pieces;
mod provider;
mod temporary;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use policy::{
    change::Change,
    config::{self, Config, Memory},
    intent::Intent,
};

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn config(text: &str) -> Config {
    let path = Path::new("poolguard.toml");
    let loaded = config::load_from(&Memory::default().with(path, text), path, now());
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    Arc::unwrap_or_clone(loaded.config)
}

fn intent(text: &str) -> Intent {
    config(text).into()
}

fn between(old: &str, new: &str) -> Change {
    Change::between(&intent(old), &intent(new), now())
}
