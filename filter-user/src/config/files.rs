//! Where configuration text comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};

/// Files to read a configuration from.
pub trait Files {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files whose path matches a pattern, in any order, and what could not
    /// be looked at for it. A wildcard stands for anything but `/`.
    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>>;
}

/// A directory that cannot be looked into: there may be files in it.
#[derive(Debug)]
pub struct Unseen {
    /// The directory.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>> {
        let mut unseen = BTreeSet::new();
        let directories = directories(pattern).into_iter().filter_map(cannot_enter);
        // A directory is the reason of one error, however often it is met.
        directories
            .map(Err)
            .chain(glob(pattern.as_str()))
            .filter(|found| match found {
                Ok(_) => true,
                Err(Unseen { path, .. }) => unseen.insert(path.clone()),
            })
            .collect()
    }
}

/// What matches `pattern`.
fn glob(pattern: &str) -> impl Iterator<Item = Result<PathBuf, Unseen>> {
    // What was a pattern is one.
    let paths = glob::glob_with(pattern, MATCHING).into_iter().flatten();
    paths.map(|path| {
        path.map_err(|error| Unseen {
            path: error.path().to_owned(),
            source: error.into(),
        })
    })
}

/// The directories that a pattern leads through.
fn directories(pattern: &Pattern) -> Vec<PathBuf> {
    let parents = Path::new(pattern.as_str()).ancestors().skip(1);
    let parents = parents.filter_map(|parent| parent.to_str().filter(|parent| !parent.is_empty()));
    parents.flat_map(|parent| glob(parent).flatten()).collect()
}

/// Why a directory cannot be entered. The library takes one for empty that is a link
/// which the kernel does not follow, or which leads nowhere, and one that may not be
/// searched.
fn cannot_enter(path: PathBuf) -> Option<Unseen> {
    let entered = fs::metadata(&path).and_then(|_| fs::metadata(path.join(".")));
    match entered {
        Err(source) if source.kind() != io::ErrorKind::NotADirectory => {
            Some(Unseen { path, source })
        }
        _ => None,
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

    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>> {
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

fn file_name_is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
