//! Where configuration text comes from.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use glob::{MatchOptions, Pattern};

/// Files to read a configuration from.
pub trait Files {
    /// The content of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable>;

    /// The files whose path matches a pattern, in any order, and what could not
    /// be looked at for it. A wildcard stands for anything but `/`.
    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>>;

    /// The files in the directories that a pattern leads to, whatever they are called,
    /// in any order; `None` if it leads to no directory.
    fn beside(&self, pattern: &Pattern) -> Option<Vec<PathBuf>>;
}

/// Why a file or a directory of a configuration cannot be read, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The rest of a sentence that says that it cannot be read.
    pub why: String,
    /// What to do; none where there is no such file: what to do depends on who named
    /// it.
    pub help: Option<String>,
}

/// A directory that cannot be looked into: there may be files in it.
#[derive(Debug)]
pub struct Unseen {
    /// The directory.
    pub path: PathBuf,
    /// Why not.
    pub error: Unreadable,
}

/// Files that exist nowhere else: for tests, and for text that came by another way.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// With one more file.
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        let content = self.files.get(path).cloned();
        content.ok_or_else(|| Unreadable {
            why: "no such file".to_owned(),
            help: None,
        })
    }

    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>> {
        // As a disk takes it, whose files are the same under every one of their names.
        let plain_pattern = resolved(Path::new(pattern.as_str()));
        let plain_pattern = plain_pattern
            .to_str()
            .and_then(|text| Pattern::new(text).ok());
        let pattern = plain_pattern.as_ref().unwrap_or(pattern);
        let matches = |path: &&PathBuf| pattern.matches_path_with(&resolved(path), MATCHING);
        self.files.keys().filter(matches).cloned().map(Ok).collect()
    }

    fn beside(&self, pattern: &Pattern) -> Option<Vec<PathBuf>> {
        let wanted = resolved(Path::new(pattern.as_str()));
        let wanted = Pattern::new(wanted.parent()?.to_str()?).ok()?;
        let is_beside = |path: &&PathBuf| {
            let path = resolved(path);
            let directory = path.parent().unwrap_or(Path::new(""));
            wanted.matches_path_with(directory, MATCHING)
        };
        let files: Vec<_> = self.files.keys().filter(is_beside).cloned().collect();
        (!files.is_empty()).then_some(files)
    }
}

/// A path without what changes nothing about where it leads, but for links.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if resolved.file_name().is_some() => drop(resolved.pop()),
            other => resolved.push(other),
        }
    }
    resolved
}

/// How patterns are matched, here and on a disk.
pub const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    // Hidden files are left out by `matching_visible`: with this set, the
    // library panics at a file name that is not UTF-8.
    require_literal_leading_dot: false,
};

/// What `pattern` matches, in lexical order. As in a shell, a file whose name
/// starts with a dot (an editor's lock, a half-written copy) matches only a
/// pattern that spells the dot out.
pub(super) fn matching_visible(
    files: &dyn Files,
    pattern: &Pattern,
) -> Vec<Result<PathBuf, Unseen>> {
    let wants_hidden = file_name_is_hidden(Path::new(pattern.as_str()));
    let mut matches = files.matching(pattern);
    matches.retain(|path| match path {
        Ok(path) => wants_hidden || !file_name_is_hidden(path),
        Err(_) => true,
    });
    matches.sort_by(|a, b| a.as_ref().ok().cmp(&b.as_ref().ok()));
    matches
}

pub(super) fn file_name_is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
