//! What whoever asks is answered, but for what [`status`](crate::status) says.

use policy::change::Change;
use serde::{Deserialize, Serialize};

/// What `reload` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReloadOutcome {
    /// Whether the configuration is in force.
    pub successful: bool,
    /// The generation in force, new or old.
    pub generation: u64,
    /// Why not, in a sentence.
    pub error: Option<String>,
    /// Mistakes and warnings, as `check` prints them.
    pub report: String,
    /// The same for machines.
    pub diagnostics: serde_json::Value,
}

/// What `diff` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiffOutcome {
    /// What a reload would change.
    pub change: Option<Change>,
    /// Why that cannot be said, in a sentence.
    pub error: Option<String>,
    /// Mistakes, as `check` prints them.
    pub report: String,
    /// The same for machines.
    pub diagnostics: serde_json::Value,
}

/// What `confirm` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// The generation that stays in force.
    pub generation: u64,
}
