//! Configuration files on this machine: reading them, and who may write them.
//!
//! What they say is [`config`](policy::config)'s business, which reads no disk itself.

mod progress;
mod trust;
mod unreadable;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use glob::Pattern;
use jiff::Timestamp;
use policy::config::{Files, Loaded, MATCHING, Report, Severity, Unreadable, Unseen, load_from};

use crate::regular_file;
pub use progress::{Look, Progress};
pub use trust::doubts;
use trust::doubts_of;
use unreadable::unreadable;

/// Reads the file `path` and what it includes.
///
/// `now` decides which exemptions have expired, which is only worth a warning.
///
/// # Errors
///
/// Every mistake in them at once.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Report> {
    load_from(&Disk::default(), path, now)
}

/// Does the same for a process that will act on it: one that others could have
/// written is as bad as a wrong one. `progress` says meanwhile what is being looked at.
///
/// # Errors
///
/// The same, and who could have written them.
pub fn load_to_enforce(path: &Path, now: Timestamp, progress: &Progress) -> Result<Loaded, Report> {
    let disk = Disk::watched(progress.clone());
    let loaded = load_from(&disk, path, now)?;
    let doubts = doubts_of(&loaded.texts.paths(), Severity::Error, progress);
    match doubts.is_empty() {
        true => Ok(loaded),
        false => Err(doubts),
    }
}

/// What all files of a configuration may come to, in bytes: a million customers are a
/// twentieth of it. A device or a file without an end is not read until memory is used up.
const ALL_FILES: u64 = 1 << 30;

/// The files of this machine, for one configuration.
#[derive(Debug, Default)]
pub struct Disk {
    progress: Progress,
    /// How many bytes were read so far.
    read: AtomicU64,
}

impl Disk {
    /// The same, with word of what is being looked at.
    pub fn watched(progress: Progress) -> Self {
        Self {
            progress,
            read: AtomicU64::default(),
        }
    }

    fn read_within(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = regular_file::read(path, regular_file::LARGEST)?;
        let length = bytes.len() as u64;
        if self.read.fetch_add(length, Ordering::Relaxed) + length > ALL_FILES {
            let why = format!(
                "with it, the files of the configuration are larger than {} MiB",
                ALL_FILES >> 20
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(bytes)
    }
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        let read = || {
            self.read_within(path)
                .map_err(|error| unreadable(path, &error))
        };
        self.progress.during(path, read)
    }

    fn matching(&self, pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>> {
        let path = Path::new(pattern.as_str());
        self.progress.during(path, || matching(pattern))
    }

    fn beside(&self, pattern: &Pattern) -> Option<Vec<PathBuf>> {
        let parent = Path::new(pattern.as_str()).parent()?.to_str()?;
        let directories: Vec<PathBuf> = match parent {
            // The pattern is in the directory that this process is in.
            "" => vec![PathBuf::new()],
            parent => glob(parent)
                .flatten()
                .filter(|path| path.is_dir())
                .collect(),
        };
        let files = directories.iter().flat_map(|directory| files_in(directory));
        (!directories.is_empty()).then(|| files.collect())
    }
}

/// The names of the files in a directory.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    let place = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let files = entries.filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()));
    files
        .map(|entry| directory.join(entry.file_name()))
        .collect()
}

/// What matches `pattern`, and the directories that cannot be looked into for it.
fn matching(pattern: &Pattern) -> Vec<Result<PathBuf, Unseen>> {
    let mut unseen = BTreeSet::new();
    let directories = directories(pattern).into_iter().filter_map(cannot_enter);
    // A directory is the reason of one error, however often it is met.
    directories
        .map(Err)
        .chain(glob(pattern.as_str()))
        .chain(in_no_utf8(pattern).into_iter().map(Ok))
        .filter(|found| match found {
            Ok(_) => true,
            Err(Unseen { path, .. }) => unseen.insert(path.clone()),
        })
        .collect()
}

/// What matches `pattern`.
fn glob(pattern: &str) -> impl Iterator<Item = Result<PathBuf, Unseen>> {
    // What was a pattern is one.
    let paths = glob::glob_with(pattern, MATCHING).into_iter().flatten();
    paths.map(|path| {
        path.map_err(|error| {
            let path = error.path().to_owned();
            unseen(path, &error.into())
        })
    })
}

/// The files that match `pattern` with a name that is not UTF-8, which the library leaves
/// out without a word.
fn in_no_utf8(pattern: &Pattern) -> Vec<PathBuf> {
    let path = Path::new(pattern.as_str());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let Ok(name) = Pattern::new(&name.to_string_lossy()) else {
        return Vec::new();
    };
    let parent = match parent.to_str() {
        None | Some("") => ".",
        Some(parent) => parent,
    };
    let entries = glob(parent)
        .flatten()
        .filter_map(|directory| fs::read_dir(directory).ok());
    let names = entries.flatten().flatten().map(|entry| entry.path());
    let matches = |path: &PathBuf| {
        let found = path.file_name().unwrap_or_default();
        found.to_str().is_none() && name.matches_with(&found.to_string_lossy(), MATCHING)
    };
    names.filter(matches).collect()
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
        Err(source) if source.kind() != io::ErrorKind::NotADirectory => Some(unseen(path, &source)),
        _ => None,
    }
}

fn unseen(path: PathBuf, error: &io::Error) -> Unseen {
    let error = unreadable(&path, error);
    Unseen { path, error }
}
