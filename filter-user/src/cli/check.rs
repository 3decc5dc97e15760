//! `poolguard check`.

use std::{path::Path, sync::Arc};

use filter_user::disk;
use foldhash::HashSet;
use jiff::Timestamp;
use policy::{
    compile::compile,
    config::{Config, Loaded, Report, Severity, Terms},
};
use serde::Serialize;
use serde_json::json;

use super::{Failure, error_in_json, print, print_json, print_report, progress};

pub(super) fn check(config_file: &Path, json: bool) -> Result<(), Failure> {
    let now = Timestamp::now();
    let result = progress::during("reading the configuration", || disk::load(config_file, now));
    let result = result.map(|loaded| {
        // Whose files they are matters where they are put into force.
        let doubts = disk::doubts(&loaded.texts.paths(), Severity::Warning);
        Loaded {
            warnings: loaded.warnings.and(doubts),
            ..loaded
        }
    });
    // Valid is not enough: it has to fit the tables as well.
    let misfit = result.as_ref().ok().and_then(|loaded| {
        progress::during("building the tables", || {
            compile(&Arc::clone(&loaded.config).into(), now).err()
        })
    });
    let report: &Report = match &result {
        Ok(loaded) => &loaded.warnings,
        Err(report) => report,
    };
    let valid = result.is_ok() && misfit.is_none();
    if json {
        let error = match (&result, &misfit) {
            (Err(report), _) => Some(report.summary()),
            (Ok(_), misfit) => misfit.as_ref().map(ToString::to_string),
        };
        print_json(&json!({
            "valid": valid,
            "error": error.map(|message| error_in_json("failed", &message)),
            "file": config_file.to_string_lossy(),
            "errors": report.errors() + usize::from(misfit.is_some()),
            "warnings": report.warnings(),
            "diagnostics": report.diagnostics(),
            "misfit": misfit.as_ref().map(ToString::to_string),
            "read": result.as_ref().ok().map(Read::of),
        }))?;
    } else {
        print_report(report);
    }
    match (&result, misfit) {
        (Ok(loaded), None) if !json => print(&summary(config_file, loaded)),
        (Ok(_), None) => Ok(()),
        (_, Some(misfit)) if !json => Err(Failure::Failed(misfit.to_string())),
        _ => Err(Failure::Printed),
    }
}

fn summary(file: &Path, loaded: &Loaded) -> String {
    let (config, read) = (&loaded.config, Read::of(loaded));
    let prefixes: usize = config.pools.iter().map(|pool| pool.prefixes.len()).sum();
    format!(
        "{}: valid. Files: {}; interfaces: {}; pools: {}, of {prefixes} prefixes; rows of customer \
         lists: {}; customers: {}; exemptions: {}; mail servers: {}\n",
        file.display(),
        read.files,
        config.interfaces.len(),
        config.pools.len(),
        read.rows,
        read.customers,
        read.exemptions,
        config.mail.servers.len(),
    )
}

/// How much was read: what shows that a file or a customer is missing.
#[derive(Serialize)]
struct Read {
    files: usize,
    /// Of customer lists.
    rows: usize,
    /// Names, each once.
    customers: usize,
    /// Prefixes of customers with an exemption, even one that has expired.
    exemptions: usize,
}

impl Read {
    fn of(loaded: &Loaded) -> Self {
        let Config {
            customers, listed, ..
        } = &*loaded.config;
        // The name of one in a list is none of a table.
        let names: HashSet<&str> = listed.names().collect();
        let is_exempted = |terms: &Terms| !terms.allow_inbound.is_empty() || terms.allow_smtp_out;
        let in_tables = customers
            .iter()
            .filter(|customer| is_exempted(&customer.terms));
        let in_tables: usize = in_tables.map(|customer| customer.prefixes.len()).sum();
        let in_lists = listed.exemptions();
        let in_lists = in_lists.filter(|(_, terms)| is_exempted(terms)).count();
        Self {
            files: loaded.texts.iter().len(),
            rows: listed.len(),
            customers: customers.len() + names.len(),
            exemptions: in_tables + in_lists,
        }
    }
}
