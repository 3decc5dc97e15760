//! Rules that hold between the pieces of a configuration.

mod added_rules;
mod everything;
mod exemptions;
mod limits;
mod listed;
mod once;
mod presence;
mod wires;

use std::path::Path;

use exemptions::Surroundings;
use jiff::Timestamp;

use super::{draft::Draft, mistakes::Mistakes};

/// Notes every mistake in how the pieces fit together.
pub(super) fn check(draft: &Draft, main: &Path, now: Timestamp, mistakes: &mut Mistakes) {
    presence::check(draft, main, mistakes);
    once::check(draft, mistakes);
    limits::check(draft, mistakes);
    everything::check(draft, mistakes);
    added_rules::check(draft, mistakes);
    wires::check(draft, mistakes);
    let surroundings = Surroundings::new(draft, mistakes);
    exemptions::check(draft, &surroundings, now, mistakes);
    listed::check(draft, &surroundings, now, mistakes);
}
