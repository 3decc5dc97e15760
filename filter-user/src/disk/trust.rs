//! Whether nobody but root, or who runs this, can change a configuration.
//!
//! Whoever may write to a directory can put another one in the place of what is in it. So
//! each directory on the way to a file is asked about, from the root on, and each link,
//! with the way to where it leads: what `sshd` does to a home (`StrictModes`), and `sudo` to
//! its plugins.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf, absolute},
};

use policy::config::{Diagnostic, Report, Severity, shown};
use rustix::process::geteuid;

use super::Progress;

const WRITABLE_BY_ANYONE: u32 = 0o002;
/// In such a directory everybody may make files, and replace only their own. Its owner may
/// replace all.
const STICKY: u32 = 0o1000;
/// How many links the kernel follows for one name (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// What lets others change `files`, which were read: their modes and owners, and
/// those of all directories and links on the way to them.
pub fn doubts(files: &[PathBuf], severity: Severity) -> Report {
    doubts_of(files, severity, &Progress::default())
}

/// The same, with word of what is being looked at.
pub(super) fn doubts_of(files: &[PathBuf], severity: Severity, progress: &Progress) -> Report {
    let mut walk = Walk {
        severity,
        progress,
        ways: HashMap::new(),
        named: HashSet::new(),
        found: Vec::new(),
    };
    for file in files {
        match absolute(file) {
            Ok(path) => drop(walk.follow(&path, LINKS)),
            Err(error) => walk.note(file, unknown(&error.to_string())),
        }
    }
    Report::new(walk.found)
}

/// The ways to files, which begin alike: none is gone twice.
struct Walk<'a> {
    severity: Severity,
    progress: &'a Progress,
    /// Where paths lead that were followed; nowhere if that cannot be said.
    ways: HashMap<PathBuf, Option<PathBuf>>,
    /// What was complained about, by whatever way it was met.
    named: HashSet<PathBuf>,
    found: Vec<Diagnostic>,
}

impl Walk<'_> {
    /// Where an absolute path leads, once everything on the way has been looked at.
    fn follow(&mut self, path: &Path, links: usize) -> Option<PathBuf> {
        if let Some(known) = self.ways.get(path) {
            return known.clone();
        }
        let place = match path.components().next_back()? {
            Component::Normal(name) => {
                let directory = self.follow(path.parent()?, links)?;
                self.look_at(&directory, directory.join(name), links)
            }
            Component::ParentDir => {
                let below = self.follow(path.parent()?, links)?;
                // The root is its own parent.
                Some(below.parent().unwrap_or(&below).to_owned())
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {
                self.look_at(Path::new("/"), PathBuf::from("/"), links)
            }
        };
        self.ways.insert(path.to_owned(), place.clone());
        place
    }

    /// Looks at what is in a directory, and follows it if it is a link.
    fn look_at(&mut self, directory: &Path, place: PathBuf, links: usize) -> Option<PathBuf> {
        let look = || {
            let metadata = fs::symlink_metadata(&place)?;
            let target = metadata.is_symlink().then(|| fs::read_link(&place));
            Ok::<_, std::io::Error>((metadata, target.transpose()?))
        };
        match self.progress.during(&place, look) {
            Ok((metadata, target)) => {
                let doubt = doubt_about(&metadata, geteuid().as_raw());
                let is_strangers = doubt.is_some();
                if let Some(doubt) = doubt {
                    self.note(&place, doubt.text(&shown(&place)));
                }
                match target {
                    None => Some(place),
                    // Where it leads is whose link it is to say.
                    Some(_) if is_strangers => None,
                    Some(_) if links == 0 => {
                        self.note(&place, unknown("too many links on the way"));
                        None
                    }
                    Some(target) => self.follow(&directory.join(target), links - 1),
                }
            }
            // It was read a moment ago.
            Err(error) => {
                self.note(&place, unknown(&error.to_string()));
                None
            }
        }
    }

    fn note(&mut self, place: &Path, (what, help): (String, String)) {
        if self.named.insert(place.to_owned()) {
            let diagnostic = Diagnostic::in_file(self.severity, place, what);
            self.found.push(diagnostic.help(help));
        }
    }
}

fn unknown(error: &str) -> (String, String) {
    (
        format!("cannot tell who may write here: {error}"),
        "try again".to_owned(),
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    Writable,
    WritableDirectory,
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
            Self::WritableDirectory => (
                "anyone may write here, and so replace what is in this directory".to_owned(),
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
    let is_strangers = owner != 0 && owner != user;
    // Every link has all bits set, and nobody can write to it.
    if metadata.is_symlink() {
        return is_strangers.then_some(Doubt::Link(owner));
    }
    match mode & WRITABLE_BY_ANYONE != 0 {
        true if !metadata.is_dir() => Some(Doubt::Writable),
        true if mode & STICKY == 0 => Some(Doubt::WritableDirectory),
        _ => is_strangers.then_some(Doubt::Owner(owner)),
    }
}
