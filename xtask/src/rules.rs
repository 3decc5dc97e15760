//! The alert rules that the package has: what Prometheus makes of them.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    command::{find_program, run},
    setup::{self, Mode},
    unpack::unpack,
    workspace::{cache, root},
};

const RULES: &str = "config/rules/poolguard.yml";
/// What should fire when.
const TESTS: &str = "tests/rules/poolguard.yml";

/// Finds Prometheus's own checker, or fetches it from Debian's package.
pub(crate) fn provide() -> Result<PathBuf> {
    const NAME: &str = "promtool";
    let directory = cache()?.join("prometheus");
    let file = directory.join("usr/bin").join(NAME);
    let find = || find_program(NAME).or_else(|| file.is_file().then(|| file.clone()));
    let remedy = unpack(&directory, &["prometheus".to_owned()], "./usr/bin/promtool");
    setup::obtain(Mode::Install, NAME, find, &[remedy])
}

/// Has it check the rules, and try them on series that are told.
pub(crate) fn check(promtool: PathBuf) -> Result<()> {
    let promtool = || {
        let mut command = Command::new(&promtool);
        command.current_dir(root());
        command
    };
    run(promtool().args(["check", "rules", RULES]))?;
    run(promtool().args(["test", "rules", TESTS]))
}
