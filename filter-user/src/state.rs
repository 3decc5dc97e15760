//! What a controller keeps on disk for the next one.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use dataplane::remedy::remedy_at;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{controller::Defect, public_directory::make_public, regular_file};

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
    /// It is not the archive that was written.
    #[error("{} is damaged: {source}", path.display())]
    DamagedArchive {
        /// The file.
        path: PathBuf,
        /// Where.
        source: io::Error,
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
    /// A panic kept it from being written.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// It cannot be written.
    #[error("cannot write {}: {source}: {}", path.display(), remedy_at(path, source))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What follows the name of what was set aside, before a number.
const ASIDE: &str = ".set-aside-";

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

    /// Reads what was kept, if anything was.
    ///
    /// # Errors
    ///
    /// When there is something that makes no sense.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.file(name);
        let text = match regular_file::read(&path, regular_file::LARGEST) {
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
        let kept = Versioned {
            version: VERSION,
            content,
        };
        let prepared = self.prepare(name, |file| {
            serde_json::to_writer_pretty(file, &kept).map_err(io::Error::from)
        });
        prepared?.commit()
    }

    /// The first half of keeping something: writes it, to the disk, beside what is
    /// kept. [`Prepared::commit`] is the other half, and takes next to no time.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn prepare(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<Prepared, StateError> {
        let path = self.file(name);
        // Nobody else writes here: an instance runs once.
        let new = path.with_extension("new");
        let unwritable = |source| StateError::Unwritable {
            path: path.clone(),
            source,
        };
        let file = self.create(&new).map_err(unwritable)?;
        // From here on whatever fails takes it away again: a full disk needs the room.
        let prepared = Prepared {
            state: self.clone(),
            new,
            path: path.clone(),
        };
        write_whole(file, write).map_err(unwritable)?;
        Ok(prepared)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        make_public(&self.0)?;
        // What is left of one that died, or is somebody else's, is not written to.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::create_new(path)
    }

    /// Keeps under the name `to` what was kept under the name `from`, in the place
    /// of what was kept there.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), StateError> {
        let path = self.file(to);
        fs::rename(self.file(from), &path)
            .and_then(|()| self.sync())
            .map_err(|source| StateError::Unwritable { path, source })
    }

    /// Puts what cannot be used out of the way, under a name that nothing has yet,
    /// for somebody to look at. Says where it is now.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.file(name);
        let aside = (1_u32..)
            .map(|number| self.file(&format!("{name}{ASIDE}{number}")))
            .find(|aside| fs::symlink_metadata(aside).is_err());
        let aside = aside.unwrap_or_else(|| path.clone());
        fs::rename(&path, &aside)
            .and_then(|()| self.sync())
            .map_err(|source| StateError::Unwritable { path, source })?;
        Ok(aside)
    }

    /// Whether something of this name was ever [set aside](Self::set_aside), and still
    /// is there.
    pub fn is_set_aside(&self, name: &str) -> bool {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let prefix = format!("{name}{ASIDE}");
        let mut names = entries.map(|entry| entry.file_name());
        names.any(|other| other.to_string_lossy().starts_with(&prefix))
    }

    /// Whether anything was ever kept here.
    pub fn exists(&self) -> bool {
        self.0.exists()
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

    /// Brings names to the disk as well.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// Writes all of it, to the disk.
fn write_whole(
    file: File,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// Something that is written, and not yet kept. Dropped, it leaves nothing.
#[derive(Debug)]
#[must_use]
pub struct Prepared {
    state: StateDirectory,
    new: PathBuf,
    path: PathBuf,
}

impl Prepared {
    /// Puts it in the place of what was kept.
    ///
    /// # Errors
    ///
    /// When it cannot be; what was kept still is.
    pub fn commit(self) -> Result<(), StateError> {
        fs::rename(&self.new, &self.path)
            .and_then(|()| self.state.sync())
            .map_err(|source| StateError::Unwritable {
                path: self.path.clone(),
                source,
            })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Committed, it is not there any more.
        let _gone = fs::remove_file(&self.new);
    }
}
