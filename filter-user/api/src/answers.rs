//! What whoever asks is answered, but for what [`status`](crate::status) says.

use std::{fmt, path::PathBuf};

use ipnet::IpNet;
use jiff::Timestamp;
use policy::{change::Change, config::TemporaryExemption, explain::Explanation};
use serde::{Deserialize, Serialize};

use crate::last_use::LastUse;

/// What `reload` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReloadOutcome {
    /// Whether the configuration is in force.
    pub successful: bool,
    /// The generation in force, new or old.
    pub generation: u64,
    /// What that opened and closed, gained and lost, in a line.
    #[serde(default)]
    pub change: Option<String>,
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

/// What `explain` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// What becomes of the packet.
    pub explanation: Explanation,
    /// What that was asked of.
    pub in_force: InForce,
    /// When the exemptions around its two addresses were last used, by prefix; none where an
    /// older controller says nothing.
    #[serde(default)]
    pub last_uses: Vec<(IpNet, LastUse)>,
}

/// What is in force, for whoever holds a file against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its number.
    pub generation: u64,
    /// When it was put into force.
    pub since: Timestamp,
    /// The main configuration file that a reload would read.
    pub config_file: PathBuf,
    /// Why it may not be what that file says, in words.
    pub standing: Option<String>,
    /// The temporary exemptions, which stay whatever the file says.
    pub temporary: Vec<TemporaryExemption>,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "generation {}, in force since {:.0}",
            self.generation, self.since
        )?;
        match &self.standing {
            Some(standing) => write!(f, "; {standing}"),
            None => Ok(()),
        }
    }
}

/// What `confirm` is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// The generation that stays in force.
    pub generation: u64,
}
