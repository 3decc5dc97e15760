//! What an earlier controller has left on disk. None of it keeps the filter off:
//! what others may have written or what makes no sense is set aside, and said.

use policy::config::Severity;

use super::defect::guarded;
use crate::{
    disk,
    state::{StateDirectory, StateError},
};

/// Reads one file; nothing where there is none, or none that can be used.
/// `meaning` completes "set aside: ..." for an operator.
pub(super) fn salvage<T>(
    state: &StateDirectory,
    name: &str,
    meaning: &str,
    read: impl FnOnce() -> Result<Option<T>, StateError>,
) -> Option<T> {
    let path = state.file(name);
    if std::fs::symlink_metadata(&path).is_err() {
        return None;
    }
    // It opens ports, or may be a whole configuration.
    let doubts = disk::doubts(std::slice::from_ref(&path), Severity::Error);
    let why = match doubts.is_empty() {
        true => match guarded("reading what was kept", read) {
            Ok(Ok(content)) => return content,
            Ok(Err(error)) => error.to_string(),
            Err(defect) => defect.to_string(),
        },
        false => doubts.summary(),
    };
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
    None
}
