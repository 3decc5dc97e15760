//! Which version of all this is spoken.
//!
//! A command and the controller that it asks may be of different poolguards. As long as both
//! speak the same version they understand each other. Where they do not, the one that notices
//! says so, before it takes anything for what it is not.

use thiserror::Error;

/// The version that this poolguard speaks. It goes up when a path, a request or an answer
/// changes so that the other side would misunderstand it; a field that has a default is no such
/// change.
pub const VERSION: u32 = 1;

/// The header of every request and every answer that says it. Where there is none, a poolguard
/// speaks that had no header yet, or a person with `curl`: version 1 is meant.
pub const HEADER: &str = "poolguard-api";

/// The other side speaks another version.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "this poolguard speaks version {VERSION} on the control socket, and was spoken to in version \
     {theirs}: nothing was done. Use the command of the poolguard that runs, or restart the \
     service, which keeps the filter on"
)]
pub struct OtherVersion {
    /// What the header says.
    pub theirs: String,
}

/// That what was `said` in the header is understood here.
///
/// # Errors
///
/// When it is another version, or no number.
pub fn check(said: Option<&[u8]>) -> Result<(), OtherVersion> {
    let Some(said) = said else {
        return Ok(());
    };
    let theirs = String::from_utf8_lossy(said).into_owned();
    match theirs.parse() {
        Ok(VERSION) => Ok(()),
        _ => Err(OtherVersion { theirs }),
    }
}
