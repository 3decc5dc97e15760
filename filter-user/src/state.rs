//! What a controller keeps on disk for the next one.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{directory::make_public, remedy::remedy_at};

/// The directory of one instance. Whoever likes may read what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory(PathBuf);

/// Why something could not be kept or found again.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("cannot read {}: {source}: {}", path.display(), remedy_at(path, source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is not what was written.
    #[error(
        "{} is damaged: {source}. Restore it, or remove it: what it holds is lost then",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// It was written by a poolguard that is newer than this one.
    #[error(
        "{} is of version {found}, and this poolguard knows version {known}: run the one that \
         wrote it, or remove it: what it holds is lost then",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}: {}", path.display(), remedy_at(path, source))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The version of all files.
const VERSION: u64 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    content: T,
}

/// The version alone, of a file whose content may mean nothing to us.
#[derive(serde::Deserialize)]
struct Version {
    version: u64,
}

impl StateDirectory {
    /// The directory of an instance below `base`.
    pub fn new(base: &Path, instance: &str) -> Self {
        Self(base.join(instance))
    }

    /// Where something is kept.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is kept.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Reads what was kept, if anything was.
    ///
    /// # Errors
    ///
    /// When there is something that makes no sense.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.file(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Unreadable { path, source }),
        };
        let damaged = |source| StateError::Damaged {
            path: path.clone(),
            source,
        };
        let Version { version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version != VERSION {
            return Err(StateError::Version {
                path,
                found: version,
                known: VERSION,
            });
        }
        let kept: Versioned<T> = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Some(kept.content))
    }

    /// Keeps something, in the place of what was kept: after a crash, of the
    /// machine as well, either the one or the other is there.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was kept still is.
    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), StateError> {
        let path = self.file(name);
        let kept = Versioned {
            version: VERSION,
            content,
        };
        let text = serde_json::to_vec_pretty(&kept).map_err(io::Error::from);
        let written = text.and_then(|text| self.replace(&path, &text));
        written.map_err(|source| StateError::Unwritable { path, source })
    }

    /// Keeps nothing any more.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        // A file system that is read-only refuses before it looks for the file.
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(());
        }
        fs::remove_file(&path)
            .and_then(|()| self.sync())
            .map_err(|source| StateError::Unwritable { path, source })
    }

    fn replace(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        make_public(&self.0)?;
        // Nobody else writes here: an instance runs once. What is left of one that
        // died, or is somebody else's, is not written to.
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&new)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        self.sync()
    }

    /// Brings names to the disk as well.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}
