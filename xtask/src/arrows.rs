//! `cargo xtask lint`: who may know of whom.
//!
//! Crates by what their manifests say, modules of the controller by what their source
//! says. What is forbidden is refused with the reason why.

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
const CRATES: [(&str, &[&str], &str); 5] = [
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
        "filter-user",
        &["filter-common"],
        "the controller embeds the program as bytes, and is not tested by itself",
    ),
    (
        "poolguard-tests",
        &["filter-common", "filter-user"],
        "tests look at what is shipped, and chores look after the tests",
    ),
    (
        "xtask",
        &["filter-common"],
        "chores build the others, so none of these can be a part of them, but for the names that \
         the program has in it",
    ),
];

/// The parts of the controller that turn text into tables, and say what they mean.
const POLICY: [&str; 8] = [
    "change",
    "compile",
    "config",
    "directory",
    "explain",
    "host",
    "intent",
    "prefix_map",
];

/// Words of source code that only some of the controller's modules may have in them.
struct Confined {
    words: &'static [&'static str],
    /// Modules, or files in them, below filter-user/src.
    to: Confinement,
    why: &'static str,
}

enum Confinement {
    Only(&'static [&'static str]),
    NotIn(&'static [&'static str]),
}

const CONFINED: [Confined; 4] = [
    Confined {
        words: &["aya::", "aya_obj::"],
        to: Confinement::Only(&["dataplane"]),
        why: "aya is in one place, so that another release of it concerns one place",
    },
    Confined {
        words: &[
            "fs::",
            "File::",
            "tokio::",
            "rustix::",
            "nix::",
            "process::",
            "env::var",
            "TcpStream",
            "TcpListener",
            "UnixStream",
        ],
        to: Confinement::NotIn(&POLICY),
        why: "what a configuration means depends on nothing but its text: it is tried without a \
              machine",
    },
    Confined {
        words: &["Timestamp::now()", "Instant::now()", "SystemTime"],
        to: Confinement::Only(&["args", "cli", "controller/clock.rs", "controller/daemon.rs"]),
        why: "everything else is told what time it is, so that tests can say so",
    },
    Confined {
        words: &[
            "crate::controller",
            "crate::dataplane",
            "crate::state",
            "crate::status",
        ],
        to: Confinement::NotIn(&POLICY),
        why: "policy is asked by what enforces it, and never asks back",
    },
];

/// The check.
pub(crate) fn check() -> Result<()> {
    let mut complaints = crates()?;
    let source = workspace::root().join("filter-user/src");
    for file in sources(&source)? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let path = file.strip_prefix(&source).unwrap_or(&file);
        complaints.extend(confined(path, &text));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n"))
}

fn crates() -> Result<Vec<String>> {
    let mut cargo = host_cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let metadata: Value = serde_json::from_slice(&output.context("cannot run cargo")?.stdout)?;
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
        for other in names.filter(|other| known.contains_key(other) && !allowed.contains(other)) {
            complaints.push(format!("{name} must not depend on {other}: {why}"));
        }
    }
    Ok(complaints)
}

/// The words in a file of the controller that it must not have.
fn confined(path: &Path, text: &str) -> Vec<String> {
    let is_in = |places: &[&str]| {
        let with_ending = |place: &str| path == Path::new(&format!("{place}.rs"));
        places
            .iter()
            .any(|place| path.starts_with(place) || with_ending(place))
    };
    // Tests may use whatever they like.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().enumerate();
    let lines: Vec<_> = lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect();
    let mut complaints = Vec::new();
    for Confined { words, to, why } in &CONFINED {
        let is_free = match to {
            Confinement::Only(places) => is_in(places),
            Confinement::NotIn(places) => !is_in(places),
        };
        if is_free {
            continue;
        }
        for (number, line) in &lines {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!(
                    "filter-user/src/{}:{}: `{word}` does not belong here: {why}",
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
            "config/build.rs",
            "let x = fs::read(path);",
            Some("build.rs:1: `fs::`"),
        );
        complains("disk/mod.rs", "let x = fs::read(path);", None);
        complains(
            "explain.rs",
            "\nuse crate::controller::X;",
            Some("explain.rs:2: "),
        );
        complains("status.rs", "use aya::Ebpf;", Some("in one place"));
        complains("dataplane/maps.rs", "use aya::Ebpf;", None);
        complains(
            "controller/mod.rs",
            "Timestamp::now()",
            Some("told what time it is"),
        );
        complains("controller/clock.rs", "Timestamp::now()", None);
    }

    #[test]
    fn comments_and_tests_may_say_what_they_like() {
        complains("config/build.rs", "/// As `fs::read` does.", None);
        complains("config/build.rs", "#[cfg(test)]\nfs::read(path)", None);
    }

    #[test]
    fn the_arrows_between_crates_hold() {
        let complaints = crates();
        assert!(complaints.is_ok_and(|complaints| complaints.is_empty()));
    }
}
