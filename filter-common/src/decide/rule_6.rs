//! Rule 6: answers to mail come back to those only who may send it.
//!
//! A spammer who has a line elsewhere and a customer's machine here can send mail in
//! the customer's name past every filter of port 25: the packets leave from the other
//! line with a forged source, and the customer's machine passes on what the mail
//! servers answer (Qian, Mao, Xie, Yu: "Investigation of triangular spamming", IEEE
//! Symposium on Security and Privacy 2010). The answers come from the mail port.
//!
//! Like rules 1 to 4 it looks at one address for what is exempt, the receiver's.

use super::{
    Tables, mail,
    monitor::{drop_or_monitor, supersedes},
};
use crate::{
    counters::NO_POOL,
    parse::Packet,
    policy::{FLAG_SMTP_OUT, Policy, PortClass},
    verdict::{DropReason, Outcome, Verdict},
};

/// Whether the rule is about this packet, whose source port is of this class.
#[inline(always)]
pub(super) fn is_reply<T: Tables + ?Sized>(packet: &Packet, class: PortClass, tables: &T) -> bool {
    mail::is_mail(packet, class, tables) && !tables.setting(|settings| &settings.smtp_replies)
}

/// Judges what comes from a mail port, by who may have sent the mail. `source_port` is the
/// counter slot of the port.
#[inline(always)]
pub(super) fn judge<T: Tables + ?Sized>(
    verdict: &mut Verdict,
    source_port: u32,
    source: &Policy,
    destination: &Policy,
    tables: &T,
) {
    let otherwise = if mail::is_server(source) {
        Outcome::MailServer
    } else if destination.pool == NO_POOL
        || mail::is_server(destination)
        || destination.has(FLAG_SMTP_OUT)
    {
        Outcome::Allowed
    } else {
        let outcome = drop_or_monitor(destination, tables);
        if supersedes(outcome, verdict) {
            verdict.outcome = outcome;
            verdict.reason = Some(DropReason::SmtpReply);
            verdict.pool = destination.pool;
            verdict.port = source_port;
        }
        return;
    };
    if matches!(verdict.outcome, Outcome::Unwatched) {
        verdict.outcome = otherwise;
    }
}
