//! `poolguard check`.

use std::path::Path;

use filter_user::{
    compile::compile,
    config::{self, Config, Loaded, Report, Severity},
};
use jiff::Timestamp;
use serde_json::json;

use super::{Failure, print, print_json, print_report, progress};

pub(super) fn check(config_file: &Path, json: bool) -> Result<(), Failure> {
    let now = Timestamp::now();
    let result = progress::during("reading the configuration", || {
        config::load(config_file, now)
    });
    let result = result.map(|loaded| {
        // Whose files they are matters where they are put into force.
        let doubts = config::doubts(&loaded.files, Severity::Warning);
        Loaded {
            warnings: loaded.warnings.and(doubts),
            ..loaded
        }
    });
    // Valid is not enough: it has to fit the tables as well.
    let misfit = result.as_ref().ok().and_then(|loaded| {
        progress::during("building the tables", || compile(&loaded.config, now).err())
    });
    let report: &Report = match &result {
        Ok(loaded) => &loaded.warnings,
        Err(report) => report,
    };
    let valid = result.is_ok() && misfit.is_none();
    if json {
        print_json(&json!({
            "valid": valid,
            "file": config_file,
            "errors": report.errors() + usize::from(misfit.is_some()),
            "warnings": report.warnings(),
            "diagnostics": report.diagnostics(),
            "misfit": misfit.as_ref().map(ToString::to_string),
        }))?;
    } else {
        print_report(report);
    }
    match (&result, misfit) {
        (Ok(loaded), None) if !json => print(&summary(config_file, &loaded.config)),
        (Ok(_), None) => Ok(()),
        (_, Some(misfit)) if !json => Err(Failure::Failed(misfit.to_string())),
        _ => Err(Failure::Printed),
    }
}

fn summary(file: &Path, config: &Config) -> String {
    let prefixes: usize = config.pools.iter().map(|pool| pool.prefixes.len()).sum();
    format!(
        "{}: valid. Interfaces: {}; pools: {}, of {} prefixes; customers: {}{}; mail servers: {}\n",
        file.display(),
        config.interfaces.len(),
        config.pools.len(),
        prefixes,
        config.customers.len(),
        match config.listed.len() {
            0 => String::new(),
            rows => format!(", and {rows} rows of customer lists"),
        },
        config.mail.servers.len(),
    )
}
