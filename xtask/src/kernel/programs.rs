//! The test programs that need the kernel.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command::host_cargo, test::FEATURES, workspace::step};

/// What would take hours in a machine whose processor is emulated. It is about
/// the controller, which does not depend on the kernel as the program does.
const TOO_SLOW: [&str; 1] = ["chaos"];

/// Builds them, just as `cargo xtask test` does, and says where they are.
pub(super) fn build() -> Result<Vec<PathBuf>> {
    step(format_args!(
        "building the tests that need the kernel; too slow for an emulated machine, and \
         NOT run: {}",
        TOO_SLOW.join(" ")
    ));
    let wanted = targets_for_the_kernel()?;
    let mut cargo = host_cargo();
    cargo
        .args(["test", "--workspace", "--exclude", "filter-ebpf"])
        .args(["--features", FEATURES, "--no-run"])
        .arg("--message-format=json-render-diagnostics");
    for target in &wanted {
        cargo.args(["--test", target]);
    }
    let programs: Vec<_> = json_lines(&mut cargo)?
        .iter()
        .filter(|message| message["profile"]["test"] == true)
        .filter(|message| message["target"]["kind"] == serde_json::json!(["test"]))
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    if programs.len() != wanted.len() {
        bail!("of the tests {wanted:?} only these were built: {programs:?}");
    }
    Ok(programs)
}

/// The test targets behind the feature `kernel`.
fn targets_for_the_kernel() -> Result<BTreeSet<String>> {
    let mut cargo = host_cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = json_lines(&mut cargo)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata.iter().flat_map(|m| list(&m["packages"]));
    let targets = packages.flat_map(|package| list(&package["targets"]));
    Ok(targets
        .filter(|target| target["kind"] == serde_json::json!(["test"]))
        .filter(|target| list(&target["required-features"]).contains(&"kernel".into()))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .filter(|name| !TOO_SLOW.contains(&name.as_str()))
        .collect())
}

fn json_lines(cargo: &mut Command) -> Result<Vec<Value>> {
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo failed ({})", output.status);
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    Ok(lines.flat_map(serde_json::from_slice).collect())
}
