//! `cargo xtask lint`: who may know of whom.
//!
//! Crates by what their manifests say, and what a crate may do itself by the words of its
//! source. What is forbidden is refused with the reason why.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command::host_cargo, workspace};

/// The crates that a crate may depend on, of this workspace, and why on no others.
const CRATES: [(&str, &[&str], &str); 10] = [
    (
        "filter-common",
        &[],
        "the decision is the same in the kernel and on the host, and knows of neither",
    ),
    (
        "filter-ebpf",
        &["filter-common"],
        "the program has no policy of its own, and runs where there is no host",
    ),
    (
        "poolguard-policy",
        &["filter-common"],
        "policy is asked by what enforces it, and never asks back",
    ),
    (
        "poolguard-dataplane",
        &["filter-common", "poolguard-policy"],
        "the data plane is given tables, and does not know who gives them or who asks how it is; \
         it embeds the program as bytes",
    ),
    (
        "poolguard-api",
        &["poolguard-policy"],
        "whoever speaks to a controller needs neither a kernel nor a controller of their own",
    ),
    (
        "filter-user",
        &[
            "filter-common",
            "poolguard-api",
            "poolguard-dataplane",
            "poolguard-policy",
        ],
        "the controller has the program from the data plane, and is not tested by itself",
    ),
    (
        "poolguard-tests",
        &[
            "filter-common",
            "filter-user",
            "poolguard-api",
            "poolguard-dataplane",
            "poolguard-lab",
            "poolguard-policy",
        ],
        "tests look at what is shipped, and chores look after the tests",
    ),
    (
        "poolguard-bench",
        &[
            "filter-common",
            "poolguard-dataplane",
            "poolguard-lab",
            "poolguard-policy",
            "poolguard-tests",
        ],
        "what is measured is what is tested, by frames that the tests build",
    ),
    (
        "poolguard-lab",
        &[],
        "hosts, cables and programs are there for whoever asks, and the controller is one of the \
         programs",
    ),
    (
        "xtask",
        &["filter-common", "poolguard-lab"],
        "chores build the others, so none of these can be a part of them, but for the names that \
         the program has in it, and the laboratory of the demo",
    ),
];

/// Libraries that only some crates may depend on.
struct Kept {
    libraries: &'static [&'static str],
    /// Crates of this workspace.
    to: Confinement,
    why: &'static str,
}

/// Words of source code that only some files may have in them.
struct Confined {
    words: &'static [&'static str],
    /// Directories and files, as seen from the root.
    to: Confinement,
    why: &'static str,
}

enum Confinement {
    Only(&'static [&'static str]),
    NotIn(&'static [&'static str]),
}

impl Confinement {
    /// Whether it leaves those alone of which `is_one_of` says that they are listed.
    fn frees(&self, is_one_of: impl Fn(&[&str]) -> bool) -> bool {
        match self {
            Self::Only(listed) => is_one_of(listed),
            Self::NotIn(listed) => !is_one_of(listed),
        }
    }
}

const PURE: &str = "what a configuration means depends on nothing but its text: it is tried \
                    without a machine";

const KEPT: [Kept; 2] = [
    Kept {
        libraries: &["aya", "aya-obj"],
        // Tests and the benchmark load the program by themselves, and so does the chore
        // that measures it.
        to: Confinement::Only(&[
            "poolguard-bench",
            "poolguard-dataplane",
            "poolguard-tests",
            "xtask",
        ]),
        why: "aya is in one place, so that another release of it concerns one place",
    },
    Kept {
        libraries: &[
            "axum",
            "hyper",
            "hyper-util",
            "libc",
            "netlink-sys",
            "nix",
            "rtnetlink",
            "rustix",
            "tokio",
            "tracing",
        ],
        to: Confinement::NotIn(&["filter-common", "poolguard-policy"]),
        why: PURE,
    },
];

const CONFINED: [Confined; 2] = [
    Confined {
        words: &[
            "fs::",
            "File::",
            "glob::glob",
            "process::",
            "env::var",
            "TcpStream",
            "TcpListener",
            "UnixStream",
        ],
        to: Confinement::NotIn(&["filter-common/src", "filter-user/policy/src"]),
        why: PURE,
    },
    Confined {
        words: &["Timestamp::now()", "Instant::now()", "SystemTime"],
        to: Confinement::Only(&[
            "filter-user/src/args",
            "filter-user/src/cli",
            "filter-user/src/controller/clock.rs",
            "filter-user/src/controller/daemon.rs",
            "filter-user/src/log",
        ]),
        why: "everything else is told what time it is, so that tests can say so",
    },
];

/// The crates whose source is looked at: what is shipped.
const SHIPPED: [&str; 5] = [
    "filter-common",
    "filter-user",
    "filter-user/api",
    "filter-user/dataplane",
    "filter-user/policy",
];

/// The check.
pub(crate) fn check() -> Result<()> {
    let mut complaints = crates(&metadata()?);
    for shipped in SHIPPED {
        for file in sources(&workspace::root().join(shipped).join("src"))? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let path = file.strip_prefix(workspace::root()).unwrap_or(&file);
            complaints.extend(confined(path, &text));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n"))
}

fn metadata() -> Result<Value> {
    let mut cargo = host_cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    Ok(serde_json::from_slice(
        &output.context("cannot run cargo")?.stdout,
    )?)
}

/// The dependencies that the manifests of the workspace must not have.
fn crates(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let known: BTreeMap<&str, &Value> = packages
        .filter_map(|package| Some((package["name"].as_str()?, package)))
        .collect();
    let mut complaints = Vec::new();
    for (name, package) in &known {
        let Some((_, allowed, why)) = CRATES.iter().find(|(known, ..)| known == name) else {
            complaints.push(format!(
                "crate {name}: xtask/src/arrows.rs does not say what it may know"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let names = dependencies.filter_map(|dependency| dependency["name"].as_str());
        for other in names {
            if known.contains_key(other) && !allowed.contains(&other) {
                complaints.push(format!("{name} must not depend on {other}: {why}"));
            }
            for kept in &KEPT {
                if kept.libraries.contains(&other) && !kept.to.frees(|crates| crates.contains(name))
                {
                    complaints.push(format!("{name} must not depend on {other}: {}", kept.why));
                }
            }
        }
    }
    complaints
}

/// The words in a file that it must not have.
fn confined(path: &Path, text: &str) -> Vec<String> {
    // Tests may use whatever they like.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().enumerate();
    let lines: Vec<_> = lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect();
    let mut complaints = Vec::new();
    for Confined { words, to, why } in &CONFINED {
        if to.frees(|places| places.iter().any(|place| path.starts_with(place))) {
            continue;
        }
        for (number, line) in &lines {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!(
                    "{}:{}: `{word}` does not belong here: {why}",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    complaints
}

fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn complains(path: &str, text: &str, about: Option<&str>) {
        let complaints = confined(Path::new(path), text).join("\n");
        match about {
            Some(about) => assert!(complaints.contains(about), "{complaints}"),
            None => assert_eq!(complaints, ""),
        }
    }

    #[test]
    fn a_word_is_refused_where_it_does_not_belong_and_nowhere_else() {
        complains(
            "filter-user/policy/src/config/build.rs",
            "\nlet x = fs::read(path);",
            Some("filter-user/policy/src/config/build.rs:2: `fs::`"),
        );
        complains(
            "filter-user/src/disk/mod.rs",
            "let x = fs::read(path);",
            None,
        );
        for path in [
            "filter-user/src/controller/mod.rs",
            "filter-user/api/src/client.rs",
        ] {
            complains(path, "Timestamp::now()", Some("told what time it is"));
        }
        complains(
            "filter-user/src/controller/clock.rs",
            "Timestamp::now()",
            None,
        );
    }

    #[test]
    fn comments_and_tests_may_say_what_they_like() {
        let path = "filter-user/policy/src/config/build.rs";
        complains(path, "/// As `fs::read` does.", None);
        complains(path, "#[cfg(test)]\nfs::read(path)", None);
    }

    #[test]
    fn the_arrows_between_crates_hold() {
        let complaints = metadata().map(|metadata| crates(&metadata));
        assert!(
            complaints
                .as_ref()
                .is_ok_and(|complaints| complaints.is_empty()),
            "{complaints:?}"
        );
    }

    /// What is said where `name` depends on `other`.
    fn said_of(name: &str, other: &str) -> Vec<String> {
        let package = |known: &str| match known == name {
            true => json!({ "name": known, "dependencies": [{ "name": other }] }),
            false => json!({ "name": known, "dependencies": [] }),
        };
        let packages: Vec<Value> = CRATES.iter().map(|(known, ..)| package(known)).collect();
        crates(&json!({ "packages": packages }))
    }

    #[test]
    fn every_other_arrow_is_refused_with_the_reason() {
        for (name, allowed, why) in CRATES {
            for (other, ..) in CRATES {
                let expected = match allowed.contains(&other) {
                    true => Vec::new(),
                    false => vec![format!("{name} must not depend on {other}: {why}")],
                };
                assert_eq!(said_of(name, other), expected);
            }
        }
    }

    #[test]
    fn nothing_points_back() {
        for (name, allowed, _) in CRATES {
            for other in allowed {
                let other = CRATES.iter().find(|(known, ..)| known == other);
                assert!(other.is_some_and(|(_, theirs, _)| !theirs.contains(&name)));
            }
        }
    }

    #[test]
    fn a_library_is_refused_where_it_does_not_belong_and_nowhere_else() {
        let one_place = said_of("filter-user", "aya").join("\n");
        assert!(one_place.contains("aya is in one place"), "{one_place}");
        assert!(said_of("poolguard-dataplane", "aya").is_empty());
        let pure = said_of("poolguard-policy", "tokio").join("\n");
        assert!(pure.contains("tried without a machine"), "{pure}");
        assert!(said_of("poolguard-api", "tokio").is_empty());
    }

    #[test]
    fn a_crate_that_nobody_knows_is_refused() {
        let unknown = crates(&json!({ "packages": [{ "name": "more", "dependencies": [] }] }));
        assert_eq!(
            unknown,
            ["crate more: xtask/src/arrows.rs does not say what it may know"]
        );
    }
}
