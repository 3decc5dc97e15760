//! Rule 7: what comes from customers has a customer's source address.
//!
//! BCP 38 (RFC 2827), where the box is the place for it: RFC 3704 calls it an ingress
//! access list. It is about every IP packet, with ports or without.

use super::{
    Ingress, Tables,
    ingress::Sources,
    monitor::{drop_or_monitor, supersedes},
};
use crate::{
    address::Address,
    counters::NO_POOL,
    policy::Policy,
    verdict::{DropReason, Outcome, Verdict},
};

/// Whether the rule is about any packet that arrives there.
#[inline(always)]
pub(super) const fn is_on(ingress: Ingress) -> bool {
    !matches!(ingress.sources, Sources::Any)
}

/// Whether the rule is about packets from this address.
///
/// A host without an address asks for one from the unspecified one (DHCP, RFC 2131;
/// duplicate address detection, RFC 4862; IGMP, RFC 4541) or from a link-local one
/// (DHCPv6, RFC 8415; neighbour discovery, RFC 4861; MLD, RFC 3810). Neither leads
/// anywhere beyond the link.
#[inline(always)]
pub(super) fn is_about(source: Address, ingress: Ingress) -> bool {
    is_on(ingress) && !source.is_unspecified() && !source.is_link_local()
}

/// Judges a packet by the policy of the address that it says it comes from.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    verdict: &mut Verdict,
    source: &Policy,
    ingress: Ingress,
    tables: &T,
) {
    if source.pool != NO_POOL {
        return;
    }
    let outcome = match ingress.sources {
        Sources::Any | Sources::Monitor => Outcome::WouldDrop,
        Sources::Pools => drop_or_monitor(source, tables),
    };
    if supersedes(outcome, verdict) {
        verdict.outcome = outcome;
        verdict.reason = Some(DropReason::Source);
        verdict.pool = NO_POOL;
    }
}
