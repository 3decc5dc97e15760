//! Who may change a configuration: every directory and link on the way to a file.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use filter_user::disk;
use policy::config::Severity;

const NOBODY: u32 = 65_534;

/// `/tmp/.../a/b/c/poolguard.toml`, below a directory that everybody may make files in.
struct Tree {
    root: PathBuf,
    file: PathBuf,
}

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("poolguard-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        let file = root.join("a/b/c/poolguard.toml");
        fs::write(&file, "").unwrap();
        for place in ["", "a", "a/b", "a/b/c"] {
            mode(&root.join(place), 0o755);
        }
        mode(&file, 0o644);
        Self { root, file }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.root.join(place)
    }

    /// What is said of files in it, place by place.
    fn doubts(&self, files: &[PathBuf]) -> Vec<String> {
        let report = disk::doubts(files, Severity::Error);
        let said = report.diagnostics().iter().map(ToString::to_string);
        let root = format!("{}/", self.root.display());
        said.map(|said| said.replace(&root, "")).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.root);
    }
}

fn mode(place: &Path, mode: u32) {
    fs::set_permissions(place, Permissions::from_mode(mode)).unwrap();
}

/// Only root may give files away. What is not tried is said.
fn is_root(tree: &Tree) -> bool {
    let is_root = fs::metadata(&tree.root).unwrap().uid() == 0;
    if !is_root {
        let what = "NOT RUN: only root can give a file to somebody else";
        // Past the harness, which shows nothing of a test that passes.
        let _unheard = writeln!(io::stderr(), "{what}");
    }
    is_root
}

#[test]
fn every_directory_above_a_file_is_asked_about() {
    let tree = Tree::new("above");
    let files = [tree.file.clone()];
    assert_eq!(tree.doubts(&files), [""; 0]);
    let writable = |directory: &str| {
        let what = "anyone may write here, and so replace what is in this directory";
        format!("{directory}: {what} (chmod o-w {directory})")
    };
    for directory in ["a", "a/b", "a/b/c"] {
        mode(&tree.at(directory), 0o757);
        assert_eq!(tree.doubts(&files), [writable(directory)]);
        // Whoever may not list a directory may still write to it.
        mode(&tree.at(directory), 0o753);
        assert_eq!(tree.doubts(&files), [writable(directory)]);
        // As /tmp: others make files there, and cannot replace these.
        mode(&tree.at(directory), 0o1777);
        assert_eq!(tree.doubts(&files), [""; 0], "{directory}");
        // Which groups may write is up to whoever decides who is in them.
        mode(&tree.at(directory), 0o775);
        assert_eq!(tree.doubts(&files), [""; 0], "{directory}");
        mode(&tree.at(directory), 0o755);
    }
    mode(&tree.file, 0o646);
    assert_eq!(
        tree.doubts(&files),
        ["a/b/c/poolguard.toml: anyone may write here (chmod o-w a/b/c/poolguard.toml)"]
    );
}

#[test]
fn whoever_owns_a_directory_on_the_way_can_replace_what_is_below() {
    let tree = Tree::new("owner");
    if !is_root(&tree) {
        return;
    }
    let files = [tree.file.clone()];
    for place in ["a", "a/b/c", "a/b/c/poolguard.toml"] {
        chown(tree.at(place), Some(NOBODY), None).unwrap();
        let belongs = format!(
            "{place}: this belongs to user 65534, neither root nor who runs poolguard (chown root {place})"
        );
        assert_eq!(tree.doubts(&files), [&*belongs]);
        if tree.at(place).is_dir() {
            // The owner of a sticky directory may replace what is in it.
            mode(&tree.at(place), 0o1777);
            assert_eq!(tree.doubts(&files), [belongs]);
            mode(&tree.at(place), 0o755);
        }
        chown(tree.at(place), Some(0), None).unwrap();
    }
    assert_eq!(tree.doubts(&files), [""; 0]);
}

#[test]
fn both_ways_of_a_link_are_asked_about_and_links_on_the_way_to_it() {
    let tree = Tree::new("links");
    fs::create_dir_all(tree.at("x/y")).unwrap();
    // To the file by a link to a directory by a relative link, past `..`.
    symlink("../../a/b", tree.at("x/y/there")).unwrap();
    symlink(tree.at("x/y/there"), tree.at("way")).unwrap();
    let files = [tree.at("way/../b/c/poolguard.toml")];
    assert_eq!(tree.doubts(&files), [""; 0]);
    // In the middle of the way, at its end, and where only the kernel passes.
    for directory in ["a", "a/b/c", "x", "x/y"] {
        mode(&tree.at(directory), 0o757);
        let said = tree.doubts(&files);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("{directory}: ")), "{said:?}");
        mode(&tree.at(directory), 0o755);
    }
    if is_root(&tree) {
        for link in ["way", "x/y/there"] {
            lchown(tree.at(link), Some(NOBODY), None).unwrap();
            let made = "user 65534, neither root nor who runs poolguard, made this link";
            let help = format!("chown --no-dereference root {link}");
            assert_eq!(tree.doubts(&files), [format!("{link}: {made} ({help})")]);
            lchown(tree.at(link), Some(0), None).unwrap();
        }
    }
    // What was read a moment ago may lead nowhere by now.
    fs::remove_file(tree.at("x/y/there")).unwrap();
    symlink("there", tree.at("x/y/there")).unwrap();
    let loops = "x/y/there: cannot tell who may write here: too many links on the way (try again)";
    assert_eq!(tree.doubts(&files), [loops]);
}

#[test]
fn a_directory_that_many_files_are_in_is_named_once() {
    let tree = Tree::new("once");
    let files: Vec<_> = (0..100)
        .map(|number| {
            let file = tree.at(&format!("a/b/c/{number}.toml"));
            fs::write(&file, "").unwrap();
            mode(&file, 0o644);
            file
        })
        .collect();
    mode(&tree.at("a"), 0o757);
    mode(&tree.at("a/b/c"), 0o757);
    let said = tree.doubts(&files);
    let places: Vec<_> = said
        .iter()
        .filter_map(|said| said.split(':').next())
        .collect();
    assert_eq!(places, ["a", "a/b/c"]);
}
