//! Rules that hold between the pieces of a configuration.

use std::path::Path;

use jiff::Timestamp;

use super::{draft::Draft, mistakes::Mistakes};

/// Notes every mistake in how the pieces fit together.
pub(super) fn check(_draft: &Draft, _main: &Path, _now: Timestamp, _mistakes: &mut Mistakes) {}
