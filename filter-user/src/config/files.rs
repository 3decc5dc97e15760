//! Where configuration text comes from.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};

/// Files to read a configuration from.
pub trait Files {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files whose path matches a pattern, in any order, and what kept a
    /// directory from being looked through. A wildcard stands for anything
    /// but `/`.
    fn matching(&self, pattern: &Pattern) -> Vec<io::Result<PathBuf>>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn matching(&self, pattern: &Pattern) -> Vec<io::Result<PathBuf>> {
        match glob::glob_with(pattern.as_str(), MATCHING) {
            Ok(paths) => paths
                .map(|path| path.map_err(|error| io::Error::other(error.to_string())))
                .collect(),
            Err(error) => vec![Err(io::Error::other(error))],
        }
    }
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
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.files.get(path).cloned();
        content.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn matching(&self, pattern: &Pattern) -> Vec<io::Result<PathBuf>> {
        let matches = |path: &&PathBuf| pattern.matches_path_with(path, MATCHING);
        self.files.keys().filter(matches).cloned().map(Ok).collect()
    }
}

const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    // Hidden files are left out by `matching_visible`: with this set, the
    // library panics at a file name that is not UTF-8.
    require_literal_leading_dot: false,
};

/// What `pattern` matches, in lexical order. As in a shell, a file whose name
/// starts with a dot (an editor's lock, a half-written copy) matches only a
/// pattern that spells the dot out.
pub(super) fn matching_visible(files: &dyn Files, pattern: &Pattern) -> Vec<io::Result<PathBuf>> {
    let wants_hidden = file_name_is_hidden(Path::new(pattern.as_str()));
    let mut matches = files.matching(pattern);
    matches.retain(|path| match path {
        Ok(path) => wants_hidden || !file_name_is_hidden(path),
        Err(_) => true,
    });
    matches.sort_by(|a, b| a.as_ref().ok().cmp(&b.as_ref().ok()));
    matches
}

fn file_name_is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
