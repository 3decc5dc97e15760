//! Monitor mode, of the whole box or of a pool, and what it makes of two rules that
//! deny the same frame.

use super::Tables;
use crate::{
    policy::{FLAG_MONITOR, Policy},
    verdict::{Outcome, Verdict},
};

/// Whether what a rule denies is dropped, or only counted. `policy` is of the
/// address that the rule protects.
#[inline(always)]
pub(super) fn drop_or_monitor<T: Tables + ?Sized>(policy: &Policy, tables: &T) -> Outcome {
    if tables.setting(|settings| &settings.monitor) || policy.has(FLAG_MONITOR) {
        Outcome::WouldDrop
    } else {
        Outcome::Drop
    }
}

/// Whether what one rule more says of a frame is what becomes of it. What a rule before
/// would have dropped is counted there, unless this one drops it for good.
#[inline(always)]
pub(super) fn supersedes(outcome: Outcome, verdict: &Verdict) -> bool {
    !matches!(verdict.outcome, Outcome::WouldDrop) || matches!(outcome, Outcome::Drop)
}
