//! Monitor mode, of the whole box or of a pool.

use super::Tables;
use crate::{
    policy::{FLAG_MONITOR, Policy},
    verdict::Outcome,
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
