//! Whether nobody but root, or who runs this, can change a configuration.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use policy::config::{Diagnostic, Report, Severity, shown};
use rustix::process::geteuid;

use super::Progress;

const WRITABLE_BY_ANYONE: u32 = 0o002;
/// In such a directory everybody may make files, and replace only their own.
const STICKY: u32 = 0o1000;

/// What lets others change `files`, which were read: their modes and owners, and
/// those of the directories that they are in.
pub fn doubts(files: &[PathBuf], severity: Severity) -> Report {
    doubts_of(files, severity, &Progress::default())
}

/// The same, with word of what is being looked at.
pub(super) fn doubts_of(files: &[PathBuf], severity: Severity, progress: &Progress) -> Report {
    let mut looked_at: HashSet<PathBuf> = HashSet::new();
    let mut found = Vec::new();
    for file in files {
        for place in progress.during(file, || places(file)) {
            if looked_at.contains(&place) {
                continue;
            }
            found.extend(
                progress
                    .during(&place, || doubt(&place))
                    .map(|(what, help)| Diagnostic::in_file(severity, &place, what).help(help)),
            );
            looked_at.insert(place);
        }
    }
    Report::new(found)
}

/// A file and its directory, and where they are in truth.
fn places(file: &Path) -> Vec<PathBuf> {
    let mut places = vec![file.to_owned()];
    places.extend(fs::canonicalize(file));
    places.dedup();
    // `.` where only a name was given.
    let directory = |place: &PathBuf| match place.parent()? {
        parent if parent.as_os_str().is_empty() => Some(PathBuf::from(".")),
        parent => Some(parent.to_owned()),
    };
    let directories: Vec<_> = places.iter().filter_map(directory).collect();
    places.extend(directories);
    places
}

/// What is wrong with a file or a directory, and what to do about it.
fn doubt(place: &Path) -> Option<(String, String)> {
    // Where it points is whose link it is to say.
    let link = fs::symlink_metadata(place)
        .ok()
        .filter(Metadata::is_symlink);
    if let Some(owner) = link.map(|link| link.uid())
        && owner != 0
        && owner != geteuid().as_raw()
    {
        return Some(Doubt::Link(owner).text(&shown(place)));
    }
    match fs::metadata(place) {
        Ok(metadata) => {
            doubt_about(&metadata, geteuid().as_raw()).map(|doubt| doubt.text(&shown(place)))
        }
        // It was read a moment ago.
        Err(error) => Some((
            format!("cannot tell who may write here: {error}"),
            "try again".to_owned(),
        )),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    Writable,
    Owner(u32),
    Link(u32),
}

impl Doubt {
    fn text(self, place: &str) -> (String, String) {
        match self {
            Self::Writable => (
                "anyone may write here".to_owned(),
                format!("chmod o-w {place}"),
            ),
            Self::Link(owner) => (
                format!("user {owner}, neither root nor who runs poolguard, made this link"),
                format!("chown --no-dereference root {place}"),
            ),
            Self::Owner(owner) => (
                format!("this belongs to user {owner}, neither root nor who runs poolguard"),
                format!("chown root {place}"),
            ),
        }
    }
}

fn doubt_about(metadata: &Metadata, user: u32) -> Option<Doubt> {
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let is_shared = metadata.is_dir() && mode & STICKY != 0;
    if mode & WRITABLE_BY_ANYONE != 0 && !is_shared {
        Some(Doubt::Writable)
    } else if owner != 0 && owner != user {
        Some(Doubt::Owner(owner))
    } else {
        None
    }
}
