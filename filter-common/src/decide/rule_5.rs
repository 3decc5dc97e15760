//! Rule 5: customers' mail leaves through the provider's mail servers.
//!
//! It looks at one address, the sender's. What changes tables while they are in
//! use relies on it: an exemption that is stored between the lookups of a frame's
//! two addresses changes the outcome of one rule only (`amendment.rs` of the
//! controller).

use super::{Role, Tables, mail, monitor::drop_or_monitor};
use crate::{
    counters::NO_POOL,
    parse::Endpoints,
    policy::{FLAG_SMTP_OUT, Policy},
    verdict::{DropReason, Outcome, Verdict},
};

/// Whether the rule is about mail that arrives at an interface of this role.
#[inline(always)]
pub(super) fn is_on<T: Tables + ?Sized>(role: Role, tables: &T) -> bool {
    role.faces_customers() && !tables.setting(|settings| &settings.direct_smtp)
}

/// Judges mail that is handed to nobody's mail server, by its sender.
///
/// Behind an interface of role `customer` are customers only: an address that is in no
/// pool is a forged one, or of a pool that is missing. Behind one of role `mixed` it is
/// anybody's.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    verdict: &mut Verdict,
    endpoints: &Endpoints,
    source: &Policy,
    role: Role,
    tables: &T,
) {
    if matches!(role, Role::Mixed) && source.pool == NO_POOL {
        return;
    }
    if mail::is_server(source) {
        verdict.outcome = Outcome::MailServer;
    } else if source.has(FLAG_SMTP_OUT) {
        verdict.smtp_exempted = source.pool;
        tables.mark_used(endpoints.source);
    } else {
        verdict.outcome = drop_or_monitor(source, tables);
        verdict.reason = Some(DropReason::SmtpOut);
        verdict.pool = source.pool;
    }
}
