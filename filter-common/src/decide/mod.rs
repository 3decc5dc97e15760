//! The rules, a file each, and the order in which they are asked.
//!
//! `rule_5`, `rules_1_to_4`, `rule_6` and `rule_7` deny, in this order, and are
//! numbered as in docs/rules.md. `mail` says what is mail and whose mail no rule
//! denies, `return_traffic` which answers come back, `monitor` whether what a rule
//! denies is dropped. `portless` passes what has no ports, `unreadable` drops what
//! hides them. An exemption is a bit of a [`Policy`], which each rule looks at itself.

mod ingress;
mod mail;
mod monitor;
mod portless;
mod return_traffic;
mod role;
mod rule_5;
mod rule_6;
mod rule_7;
mod rules_1_to_4;
mod tables;
mod unreadable;

pub use ingress::{Ingress, Sources};
pub use role::Role;
pub use tables::Tables;

#[cfg(doc)]
use crate::policy::Policy;
use crate::{
    frame::Frame,
    parse::{Endpoints, Packet, Parsed, Unreadable, parse, plain},
    policy::{NO_POLICY, PortClass},
    verdict::{Outcome, Verdict},
};

/// Decides one frame that arrived at such an interface.
#[inline(always)]
pub fn decide<F, T>(frame: &F, ingress: Ingress, tables: &T) -> Verdict
where
    F: Frame + ?Sized,
    T: Tables + ?Sized,
{
    let packet = match plain(frame) {
        Some(packet) => packet,
        None => match parse(frame) {
            Parsed::Packet(packet) => packet,
            Parsed::Portless(portless) => return portless::judge(&portless, ingress, tables),
            Parsed::Unreadable(unreadable) => {
                return unreadable::judge(&unreadable, ingress.role, tables);
            }
        },
    };
    judge(&packet, || packet.endpoints(frame), ingress, tables)
}

/// Decides a packet whose ports were found.
///
/// Rule 5 comes before rules 1 to 4, and then come 6 and 7. What monitor mode lets
/// past one of them still has to get past the others: a customer in a monitored pool
/// who mails a customer in an enforced one is dropped by the latter's rule.
///
/// `endpoints` reads the packet's addresses, if it is asked. Where it cannot, there is
/// no packet.
#[inline(always)]
pub fn judge<T: Tables + ?Sized>(
    packet: &Packet,
    endpoints: impl FnOnce() -> Option<Endpoints>,
    ingress: Ingress,
    tables: &T,
) -> Verdict {
    let role = ingress.role;
    // Most frames are between ports that nobody watches: no prefix is looked up.
    let class = tables.port_class(packet.destination_port);
    let source_class = tables.port_class(packet.source_port);
    let mut verdict = Verdict {
        protocol: packet.protocol,
        ip_offset: packet.ip_offset,
        ..Verdict::BLANK
    };
    let is_unwatched = class == PortClass::UNWATCHED && source_class == PortClass::UNWATCHED;
    if is_unwatched && !rule_7::is_on(ingress) {
        return verdict;
    }
    let Some(endpoints) = endpoints() else {
        return unreadable::judge(&Unreadable::at(packet.ip_offset), role, tables);
    };
    // Both ports are looked up here, whether or not it is counted: what the verifier learns
    // below of a port that it has yet to look up makes it walk twice as far.
    verdict.port = tables.port_slot(packet.destination_port);
    let source_port = tables.port_slot(packet.source_port);
    let is_from_anywhere = !rule_7::is_about(endpoints.source, ingress);
    let may_be_answered = return_traffic::may_be_answered(packet, source_class, role, tables);
    let is_reply = rule_6::is_reply(packet, source_class, tables);
    // Addresses are looked up here and nowhere below: the kernel's verifier walks
    // through a lookup once for every way on which it is come to.
    let mut destination = &NO_POLICY;
    // Not `is_reply`, which takes the verifier a fifth more to follow.
    if class != PortClass::UNWATCHED || source_class != PortClass::UNWATCHED {
        destination = tables.policy_of(endpoints.destination);
    }
    // The kernel's verifier has least to follow if the rule is asked for in this order.
    let is_mail = mail::is_mail(packet, class, tables);
    let is_to_server = is_mail && mail::is_server(destination);
    let concerns_rule_5 = is_mail && rule_5::is_on(role, tables) && !is_to_server;
    let mut source = &NO_POLICY;
    if concerns_rule_5 || may_be_answered || is_reply || !is_from_anywhere {
        source = tables.policy_of(endpoints.source);
    }
    if class != PortClass::UNWATCHED {
        verdict.outcome = Outcome::Allowed;
        if is_to_server {
            verdict.outcome = Outcome::MailServer;
        } else {
            if concerns_rule_5 {
                rule_5::judge(&mut verdict, &endpoints, source, role, tables);
            }
            if verdict.passes() && destination.forbids(packet.protocol, class) {
                rules_1_to_4::judge(&mut verdict, packet, class, &endpoints, destination, tables);
            }
        }
    }
    if is_reply && verdict.passes() {
        rule_6::judge(&mut verdict, source_port, source, destination, tables);
    }
    if !is_from_anywhere && verdict.passes() {
        rule_7::judge(&mut verdict, source, ingress, tables);
    }
    if may_be_answered && verdict.passes() {
        return_traffic::remember(packet, &endpoints, source_class, source, tables);
    }
    verdict
}
