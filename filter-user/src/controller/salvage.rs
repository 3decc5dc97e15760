//! What an earlier controller has left on disk. None of it keeps the filter off:
//! what others may have written or what makes no sense is set aside, and said.

use std::{fs, io};

use policy::config::Severity;

use super::defect::guarded;
use crate::{
    disk,
    state::{StateDirectory, StateError},
};

/// What there is under a name.
#[derive(Debug)]
pub(super) enum Left<T> {
    Nothing,
    /// Something that cannot be used, and why.
    Unusable(String),
    Whole(T),
}

impl<T> Left<T> {
    pub(super) fn whole(self) -> Option<T> {
        match self {
            Self::Whole(content) => Some(content),
            Self::Nothing | Self::Unusable(_) => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// Reads one file, and sets it aside if it cannot be used. `meaning` completes "cannot
/// be used: ..." for an operator.
pub(super) fn salvage<T>(
    state: &StateDirectory,
    name: &str,
    meaning: &str,
    read: impl FnOnce() -> Result<Option<T>, StateError>,
) -> Left<T> {
    let path = state.file(name);
    let asked = path.clone();
    // It opens ports, or may be a whole configuration.
    let doubts = state.ask(move || {
        fs::symlink_metadata(&asked)?;
        Ok(disk::doubts(&[asked], Severity::Error))
    });
    let why = match doubts.flatten() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Left::Nothing,
        Err(source) => StateError::Unreadable { path, source }.to_string(),
        Ok(doubts) => match doubts.is_empty() {
            true => match guarded("reading what was kept", read) {
                Ok(Ok(content)) => return content.map_or(Left::Nothing, Left::Whole),
                Ok(Err(error)) => error.to_string(),
                Err(defect) => defect.to_string(),
            },
            false => doubts.summary(),
        },
    };
    set_aside(state, name, &why, meaning);
    Left::Unusable(why)
}

/// Puts something out of the way that cannot be used, and says so.
pub(super) fn set_aside(state: &StateDirectory, name: &str, why: &str, meaning: &str) {
    match state.set_aside(name) {
        Ok(aside) => tracing::error!(
            error = %why, set_aside = %aside.display(),
            "what an earlier run left cannot be used: {meaning}. The filter does not wait for it"
        ),
        Err(error) => tracing::error!(
            error = %why, not_set_aside = %error,
            "what an earlier run left cannot be used: {meaning}. The filter does not wait for it"
        ),
    }
}
