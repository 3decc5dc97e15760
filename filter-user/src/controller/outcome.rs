//! What whoever asks is answered.

use serde::{Deserialize, Serialize};

use super::ApplyError;
use crate::{change::Change, config::Report};

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

impl ReloadOutcome {
    pub(super) fn success(generation: u64, warnings: &Report) -> Self {
        Self {
            successful: true,
            generation,
            error: None,
            report: warnings.render(false),
            diagnostics: diagnostics(warnings),
        }
    }

    pub(super) fn refusal(generation: u64, error: &ApplyError) -> Self {
        let (report, diagnostics) = mistakes(error);
        Self {
            successful: false,
            generation,
            error: Some(error.to_string()),
            report,
            diagnostics,
        }
    }
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

impl From<Result<Change, ApplyError>> for DiffOutcome {
    fn from(change: Result<Change, ApplyError>) -> Self {
        let (change, error) = match change {
            Ok(change) => (Some(change), None),
            Err(error) => (None, Some(error)),
        };
        let (report, diagnostics) = error.as_ref().map(mistakes).unwrap_or_default();
        Self {
            change,
            error: error.as_ref().map(ToString::to_string),
            report,
            diagnostics,
        }
    }
}

fn mistakes(error: &ApplyError) -> (String, serde_json::Value) {
    match error {
        ApplyError::Config(report) => (report.render(false), diagnostics(report)),
        _ => (String::new(), serde_json::Value::Array(Vec::new())),
    }
}

fn diagnostics(report: &Report) -> serde_json::Value {
    serde_json::to_value(report.diagnostics()).unwrap_or_default()
}
