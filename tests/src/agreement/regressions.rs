//! What they once disagreed on: the [`script`]s in `tests/regressions/decision`.

use std::{fs, path::Path};

use super::{Census, Trial, Witnesses};
use crate::generate::{Scenario, script};

/// All of them, each with the name of its file.
pub fn regressions() -> Vec<(String, Scenario)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions/decision");
    let entries = fs::read_dir(&directory).unwrap();
    let read = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, script::read(&fs::read_to_string(path).unwrap()))
    };
    entries.map(|entry| read(&entry.unwrap().path())).collect()
}

/// A test: they agree on all of it now.
///
/// # Panics
///
/// When they disagree.
pub fn agree_on_the_past(witnesses: Witnesses) {
    for (story, scenario) in regressions() {
        let mut trial = Trial::new(&scenario.config, witnesses);
        if let Err(disagreement) = trial.run(&scenario, &mut Census::default()) {
            panic!("{story}\n{disagreement}");
        }
    }
}
