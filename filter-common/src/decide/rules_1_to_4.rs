//! Rules 1 to 4: forbidden ports of customers.
//!
//! They are one piece of code. Rules 1 and 2 (dynamic pools, virtual POPs) differ
//! from 3 and 4 (static customers: mail, the other ports) in their policies, of which
//! those of the former exempt nothing. All four look at one address, the receiver's.

use super::{
    Tables,
    monitor::{drop_or_monitor, supersedes},
    return_traffic,
};
use crate::{
    parse::{Endpoints, Packet},
    policy::{Policy, PortClass},
    verdict::{DropReason, Outcome, Verdict},
};

/// Judges a packet toward a port of a class that is forbidden toward its destination.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    verdict: &mut Verdict,
    packet: &Packet,
    class: PortClass,
    endpoints: &Endpoints,
    destination: &Policy,
    tables: &T,
) {
    let outcome = outcome(class, packet, endpoints, destination, tables);
    if matches!(outcome, Outcome::Allowed) || !supersedes(outcome, verdict) {
        return;
    }
    verdict.outcome = outcome;
    verdict.pool = destination.pool;
    if matches!(outcome, Outcome::WouldDrop | Outcome::Drop) {
        verdict.reason = Some(DropReason::InboundPort);
    }
}

#[inline(always)]
fn outcome<T: Tables + ?Sized>(
    class: PortClass,
    packet: &Packet,
    endpoints: &Endpoints,
    destination: &Policy,
    tables: &T,
) -> Outcome {
    if destination.exempts(packet.protocol, class) {
        tables.mark_used(endpoints.destination);
        return Outcome::Exempted;
    }
    if let Some(outcome) = return_traffic::outcome(packet, endpoints, class, tables) {
        return outcome;
    }
    drop_or_monitor(destination, tables)
}
