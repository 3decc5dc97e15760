//! What whoever asks is answered.

use api::answers::{DiffOutcome, ReloadOutcome};
use policy::{change::Change, config::Report};

use super::ApplyError;

pub(super) fn success(generation: u64, change: String, warnings: &Report) -> ReloadOutcome {
    ReloadOutcome {
        successful: true,
        generation,
        change: Some(change),
        error: None,
        report: warnings.render(false),
        diagnostics: diagnostics(warnings),
    }
}

pub(super) fn refusal(generation: u64, error: &ApplyError) -> ReloadOutcome {
    let (report, diagnostics) = mistakes(error);
    ReloadOutcome {
        successful: false,
        generation,
        change: None,
        error: Some(error.to_string()),
        report,
        diagnostics,
    }
}

pub(super) fn of_diff(change: Result<Change, ApplyError>) -> DiffOutcome {
    let (change, error) = match change {
        Ok(change) => (Some(change), None),
        Err(error) => (None, Some(error)),
    };
    let (report, diagnostics) = error.as_ref().map(mistakes).unwrap_or_default();
    DiffOutcome {
        change,
        error: error.as_ref().map(ToString::to_string),
        report,
        diagnostics,
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
