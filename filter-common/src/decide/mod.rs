//! The rules, a file each, and the order in which they are asked.
//!
//! `rule_5` and `rules_1_to_4` deny, and are numbered as in docs/rules.md. `mail`
//! says what is mail and whose mail no rule denies, `return_traffic` which answers
//! come back, `monitor` whether what a rule denies is dropped. `unreadable` drops
//! what hides its ports. An exemption is a bit of a [`Policy`], which each rule
//! looks at itself.

mod mail;
mod monitor;
mod return_traffic;
mod role;
mod rule_5;
mod rules_1_to_4;
mod tables;
mod unreadable;

pub use role::Role;
pub use tables::Tables;

#[cfg(doc)]
use crate::policy::Policy;
use crate::{
    frame::Frame,
    parse::{Packet, Parsed, parse},
    policy::{NO_POLICY, PortClass},
    verdict::{Outcome, Verdict},
};

/// Decides one frame that arrived at an interface of the given role.
#[inline(always)]
pub fn decide<F, T>(frame: &F, role: Role, tables: &T) -> Verdict
where
    F: Frame + ?Sized,
    T: Tables + ?Sized,
{
    match parse(frame) {
        Parsed::Packet(packet) => judge(&packet, role, tables),
        Parsed::Portless(reason) => Verdict {
            outcome: Outcome::of_uninspected(reason),
            ..Verdict::BLANK
        },
        Parsed::Unreadable(unreadable) => unreadable::judge(&unreadable, role, tables),
    }
}

/// Decides a packet whose ports were found.
///
/// Rule 5 comes before rules 1 to 4. What monitor mode lets past one of them
/// still has to get past the other: a customer in a monitored pool who mails a
/// customer in an enforced one is dropped by the latter's rule.
#[inline(always)]
pub fn judge<T: Tables + ?Sized>(packet: &Packet, role: Role, tables: &T) -> Verdict {
    // Most frames are toward a port that nobody forbids: no prefix is looked up.
    let class = tables.port_class(packet.destination_port);
    let answers = return_traffic::answers_class(packet, role, tables);
    let mut verdict = Verdict {
        class,
        protocol: packet.protocol,
        ip_offset: packet.ip_offset,
        ..Verdict::BLANK
    };
    if class == PortClass::UNWATCHED && answers == PortClass::UNWATCHED {
        return verdict;
    }
    // Addresses are looked up here and nowhere below: the kernel's verifier walks
    // through a lookup once for every way on which it is come to.
    let mut destination = &NO_POLICY;
    if class != PortClass::UNWATCHED {
        destination = tables.policy_of(packet.destination);
    }
    // The kernel's verifier has least to follow if the rule is asked for in this order.
    let is_mail = mail::is_mail(packet, class, tables);
    let is_to_server = is_mail && mail::is_server(destination);
    let concerns_rule_5 = is_mail && rule_5::is_on(role, tables) && !is_to_server;
    let mut source = &NO_POLICY;
    if concerns_rule_5 || answers != PortClass::UNWATCHED {
        source = tables.policy_of(packet.source);
    }
    if class != PortClass::UNWATCHED {
        verdict.outcome = Outcome::Allowed;
        if is_to_server {
            verdict.outcome = Outcome::MailServer;
        } else {
            if concerns_rule_5 {
                rule_5::judge(&mut verdict, source, tables);
            }
            if verdict.passes() && destination.forbids(packet.protocol, class) {
                rules_1_to_4::judge(&mut verdict, packet, destination, tables);
            }
        }
    }
    if answers != PortClass::UNWATCHED && verdict.passes() {
        return_traffic::remember(packet, answers, source, tables);
    }
    verdict
}
