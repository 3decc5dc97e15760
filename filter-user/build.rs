//! Tells the binary which commit it was built from.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=POOLGUARD_REVISION");
    println!(
        "cargo::rustc-env=POOLGUARD_REVISION={}",
        env::var("POOLGUARD_REVISION").unwrap_or_else(|_| revision())
    );
}

fn workspace() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest
        .and_then(|directory| directory.parent().map(PathBuf::from))
        .unwrap_or_default()
}

/// The commit, as far as the checkout tells.
fn revision() -> String {
    let head = workspace().join(".git/logs/HEAD");
    println!("cargo::rerun-if-changed={}", head.display());
    std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .current_dir(workspace())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |commit| commit.trim().to_owned())
}
