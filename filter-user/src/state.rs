//! What a controller keeps on disk for the next one. No disk is waited for that does not
//! answer: the filter, and those who ask, have other things to do.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dataplane::remedy::remedy_at;
use serde::{
    Serialize,
    de::{DeserializeOwned, Error as _},
};
use thiserror::Error;

use crate::{
    controller::Defect,
    public_directory::make_public,
    regular_file, seal,
    slow_disk::{Moved, SlowDisk},
};

/// The directory of one instance. Whoever likes may read what is in it.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
    disk: SlowDisk,
}

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
    /// Over the whole file, as [`seal`] has it.
    #[serde(default)]
    sha256: String,
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
        Self {
            path: base.join(instance),
            disk: SlowDisk::default(),
        }
    }

    /// The same, where the disk is waited for so long and no longer.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self {
            disk: SlowDisk::with_patience(patience),
            ..self
        }
    }

    /// Where something is kept.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Has the disk do something that takes but a moment.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.disk.ask(&Moved::default(), question)
    }

    /// Whether the disk does not answer.
    pub(crate) fn is_stuck(&self) -> bool {
        self.disk.is_stuck()
    }

    /// Whether the disk has done something, since this was last asked, that was taken for
    /// not done.
    pub(crate) fn came_back(&self) -> bool {
        self.disk.came_back()
    }

    /// The bytes of a regular file, of `at_most` so many.
    pub(crate) fn bytes(&self, name: &str, at_most: u64) -> io::Result<Vec<u8>> {
        let path = self.file(name);
        self.ask(move || regular_file::read(&path, at_most))?
    }

    /// Whether the disk says that there is nothing of this name.
    pub(crate) fn is_gone(&self, name: &str) -> bool {
        let path = self.file(name);
        let found = self.ask(move || fs::symlink_metadata(path)).flatten();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Reads what was kept, if anything was.
    ///
    /// # Errors
    ///
    /// When there is something that makes no sense.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.file(name);
        let text = match self.bytes(name, regular_file::LARGEST) {
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
        if seal::is_broken(&text) {
            return Err(damaged(serde_json::Error::custom(
                "it is not what was written, its sum says. Whoever has changed it on purpose takes \
                 the line `sha256` out",
            )));
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
            sha256: seal::BLANK.to_owned(),
            content,
        };
        let text = serde_json::to_vec_pretty(&kept);
        let mut text = text.map_err(|error| StateError::Unwritable {
            path: self.file(name),
            source: error.into(),
        })?;
        seal::seal(&mut text);
        let prepared = self.prepare(name, move |file| file.write_all(&text));
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
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static,
    ) -> Result<Prepared, StateError> {
        let path = self.file(name);
        // Nobody else writes here: an instance runs once.
        let new = path.with_extension("new");
        let (directory, moved) = (self.path.clone(), Moved::default());
        let written = {
            let (new, moved) = (new.clone(), Arc::clone(&moved));
            move || {
                let file = create(&directory, &new)?;
                write_whole(file, moved, write).inspect_err(|_| {
                    // A full disk needs the room.
                    let _gone = fs::remove_file(&new);
                })
            }
        };
        match self.disk.ask(&moved, written).flatten() {
            Ok(()) => Ok(Prepared {
                state: self.clone(),
                new: Some(new),
                path,
            }),
            Err(source) => Err(StateError::Unwritable { path, source }),
        }
    }

    /// Keeps under the name `to` what was kept under the name `from`, in the place
    /// of what was kept there.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), StateError> {
        self.renamed(self.file(from), self.file(to))
    }

    /// Puts what cannot be used out of the way, under a name that nothing has yet,
    /// for somebody to look at. Says where it is now.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.file(name);
        let (from, directory, prefix) = (path.clone(), self.path.clone(), format!("{name}{ASIDE}"));
        let moved = self.ask(move || {
            let aside = (1_u32..)
                .map(|number| directory.join(format!("{prefix}{number}")))
                .find(|aside| fs::symlink_metadata(aside).is_err());
            let aside = aside.unwrap_or_else(|| from.clone());
            fs::rename(&from, &aside)?;
            sync(&directory).map(|()| aside)
        });
        moved
            .flatten()
            .map_err(|source| StateError::Unwritable { path, source })
    }

    /// Whether something of this name was ever [set aside](Self::set_aside), and still
    /// is there.
    pub fn is_set_aside(&self, name: &str) -> bool {
        let (directory, prefix) = (self.path.clone(), format!("{name}{ASIDE}"));
        let found = self.ask(move || {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            names.any(|other| other.to_string_lossy().starts_with(&prefix))
        });
        // Who cannot look does not know of any.
        found.unwrap_or(false)
    }

    /// Whether anything was ever kept here.
    pub fn exists(&self) -> bool {
        let path = self.path.clone();
        // A disk that does not answer is no new one.
        self.ask(move || path.exists()).unwrap_or(true)
    }

    /// Keeps nothing any more.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        let (file, directory) = (path.clone(), self.path.clone());
        let removed = self.ask(move || {
            // A file system that is read-only refuses before it looks for the file.
            if matches!(file.try_exists(), Ok(false)) {
                return Ok(());
            }
            fs::remove_file(&file).and_then(|()| sync(&directory))
        });
        removed
            .flatten()
            .map_err(|source| StateError::Unwritable { path, source })
    }

    fn renamed(&self, from: PathBuf, to: PathBuf) -> Result<(), StateError> {
        let (path, directory) = (to.clone(), self.path.clone());
        self.ask(move || fs::rename(from, to).and_then(|()| sync(&directory)))
            .flatten()
            .map_err(|source| StateError::Unwritable { path, source })
    }
}

/// Brings names to the disk as well.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn create(directory: &Path, path: &Path) -> io::Result<File> {
    make_public(directory)?;
    // What is left of one that died, or is somebody else's, is not written to.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)
}

/// How much is written before it is brought to the disk: the disk is seen to move by that.
const PIECE: u64 = 8 << 20;

/// A file that says how far it is written.
struct Moving {
    file: File,
    moved: Moved,
    unsynced: u64,
}

impl io::Write for Moving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.unsynced >= PIECE {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        self.moved.fetch_add(1, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes all of it, to the disk.
fn write_whole(
    file: File,
    moved: Moved,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))?;
    let moving = Moving {
        file,
        moved,
        unsynced: 0,
    };
    let mut file = BufWriter::new(moving);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().file.sync_all()
}

/// Something that is written, and not yet kept. Dropped, it leaves nothing.
#[derive(Debug)]
#[must_use]
pub struct Prepared {
    state: StateDirectory,
    /// None once it is in its place.
    new: Option<PathBuf>,
    path: PathBuf,
}

impl Prepared {
    /// Puts it in the place of what was kept.
    ///
    /// # Errors
    ///
    /// When it cannot be; what was kept still is.
    pub fn commit(mut self) -> Result<(), StateError> {
        let Some(new) = self.new.clone() else {
            return Ok(());
        };
        self.state.renamed(new, self.path.clone())?;
        self.new = None;
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(new) = self.new.take() {
            let _gone = self.state.ask(move || fs::remove_file(new));
        }
    }
}
