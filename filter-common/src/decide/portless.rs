//! Frames without ports. They pass, but for rule 7.

use super::{Ingress, Tables, rule_7};
use crate::{
    parse::Portless,
    verdict::{Outcome, Verdict},
};

/// Judges it by its source, if it is IP.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    portless: &Portless,
    ingress: Ingress,
    tables: &T,
) -> Verdict {
    let mut verdict = Verdict {
        outcome: Outcome::of_uninspected(portless.reason),
        ip_offset: portless.ip_offset,
        ..Verdict::BLANK
    };
    if let Some(source) = portless.source
        && rule_7::is_about(source, ingress)
    {
        rule_7::judge(&mut verdict, tables.policy_of(source), ingress, tables);
    }
    verdict
}
