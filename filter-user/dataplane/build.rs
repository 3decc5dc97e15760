//! Finds the XDP object that `cargo xtask build` leaves, to be embedded.
//!
//! Without one the crate still builds, for work on everything that needs no
//! kernel; such a binary refuses to run a filter and says why.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(xdp_object)");
    println!("cargo::rerun-if-env-changed=POOLGUARD_XDP_OBJECT");
    let object = env::var_os("POOLGUARD_XDP_OBJECT").map_or_else(built_object, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    if object.is_file() {
        println!("cargo::rustc-cfg=xdp_object");
        println!("cargo::rustc-env=POOLGUARD_XDP_OBJECT={}", object.display());
    } else {
        println!(
            "cargo::warning=built without the XDP program: `cargo xtask build` makes a \
             poolguard that can filter"
        );
    }
}

/// The root of the checkout, two directories above this one.
fn workspace() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest
        .and_then(|directory| directory.ancestors().nth(2).map(PathBuf::from))
        .unwrap_or_default()
}

fn built_object() -> PathBuf {
    workspace().join("target/xdp/bpfel-unknown-none/release/poolguard-xdp")
}
