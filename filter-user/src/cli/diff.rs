//! `poolguard diff`. Exit status 0: nothing would change; 3: something would.

use std::path::Path;

use api::{answers::DiffOutcome, client::Client, requests::Candidate, routes};
use filter_user::disk;
use jiff::Timestamp;
use policy::{change::Change, config::Loaded};

use super::{Failure, outcome_in_json, print, print_error, print_json, print_report, progress};

/// What a reload of the running controller would change.
pub(super) fn running(client: Client<'_>, json: bool) -> Result<(), Failure> {
    answered(
        progress::during("comparing", || client.get(routes::DIFF))?,
        json,
    )
}

/// What the running controller would change if another file took the place of its own.
/// It is read here: who may ask may not have the controller read what only root can.
pub(super) fn candidate(client: Client<'_>, file: &Path, json: bool) -> Result<(), Failure> {
    let loaded = load(file, Timestamp::now())?;
    let candidate = Candidate::of(file, &loaded.texts);
    let outcome = progress::during("comparing", || client.post(routes::DIFF, &candidate));
    answered(outcome?, json)
}

fn answered(outcome: DiffOutcome, json: bool) -> Result<(), Failure> {
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
    let (old, new) = (load(old, now)?.config.into(), load(new, now)?.config.into());
    let change = progress::during("comparing", || Change::between(&old, &new, now));
    show(&change, json)
}

fn load(path: &Path, now: Timestamp) -> Result<Loaded, Failure> {
    let what = format!("reading {}", path.display());
    progress::during(&what, || disk::load(path, now)).map_err(|report| {
        print_report(&report);
        Failure::Failed(format!("{}: the configuration is wrong", path.display()))
    })
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
