//! `poolguard diff`. Exit status 0: nothing would change; 3: something would.

use std::path::Path;

use api::{answers::DiffOutcome, client::Client, routes};
use filter_user::disk;
use jiff::Timestamp;
use policy::change::Change;

use super::{Failure, outcome_in_json, print, print_error, print_json, print_report, progress};

/// What a reload of the running controller would change.
pub(super) fn running(client: Client<'_>, json: bool) -> Result<(), Failure> {
    let outcome: DiffOutcome = progress::during("comparing", || client.get(routes::DIFF))?;
    match outcome.change {
        Some(change) => show(&change, json),
        None if json => {
            print_json(&outcome_in_json(&outcome)?)?;
            Err(Failure::Printed)
        }
        None => {
            print_error(&outcome.report);
            Err(Failure::Failed(outcome.error.unwrap_or_default()))
        }
    }
}

/// What differs between two files.
pub(super) fn files(old: &Path, new: &Path, json: bool) -> Result<(), Failure> {
    let now = Timestamp::now();
    let load = |path: &Path| {
        let what = format!("reading {}", path.display());
        progress::during(&what, || disk::load(path, now)).map_err(|report| {
            print_report(&report);
            Failure::Failed(format!("{}: the configuration is wrong", path.display()))
        })
    };
    let (old, new) = (load(old)?.config.into(), load(new)?.config.into());
    let change = progress::during("comparing", || Change::between(&old, &new, now));
    show(&change, json)
}

fn show(change: &Change, json: bool) -> Result<(), Failure> {
    match json {
        true => print_json(change)?,
        false => print(&change.render())?,
    }
    match change.is_none() {
        true => Ok(()),
        false => Err(Failure::Differs),
    }
}
