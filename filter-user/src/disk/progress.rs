//! What of a disk is being looked at.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Tells another thread which file or directory this one is looking at, for the case that
/// it never comes back.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Look>>);

/// One look at a file or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// From 0, so that two looks at one file differ.
    number: u64,
    /// The file or the directory; none while what was read is being understood.
    pub at: Option<PathBuf>,
}

impl Progress {
    /// What is being looked at.
    pub fn look(&self) -> Look {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at something with `look`, which may never come back.
    pub fn during<T>(&self, path: &Path, look: impl FnOnce() -> T) -> T {
        self.set(Some(path.to_owned()));
        let seen = look();
        self.set(None);
        seen
    }

    fn set(&self, at: Option<PathBuf>) {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look.number += 1;
        look.at = at;
    }
}
