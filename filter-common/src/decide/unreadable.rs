//! Frames that hide their ports. No numbered rule is about them.

use super::{Role, Tables, monitor::drop_or_monitor};
use crate::{counters::NO_POOL, parse::Unreadable, policy::NO_POLICY, verdict::Verdict};

/// Drops it. It is counted for the pool that it is headed to, else for the one
/// that it comes from, where it can be read.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    unreadable: &Unreadable,
    role: Role,
    tables: &T,
) -> Verdict {
    let mut policy = &NO_POLICY;
    if let Some((source, destination)) = unreadable.addresses {
        policy = tables.policy_of(destination);
        if policy.pool == NO_POOL && role.faces_customers() {
            policy = tables.policy_of(source);
        }
    }
    Verdict {
        outcome: drop_or_monitor(policy, tables),
        reason: Some(unreadable.reason),
        pool: policy.pool,
        ip_offset: unreadable.ip_offset,
        ..Verdict::BLANK
    }
}
