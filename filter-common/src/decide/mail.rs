//! What is mail, and the provider's mail servers, whose mail no rule denies.

use super::Tables;
use crate::{
    parse::Packet,
    policy::{FLAG_MAIL_SERVER, Policy, PortClass, Protocol},
};

/// Whether this is mail, or for the class of its source port an answer to mail.
#[inline(always)]
pub(super) fn is_mail<T: Tables + ?Sized>(packet: &Packet, class: PortClass, tables: &T) -> bool {
    matches!(packet.protocol, Protocol::Tcp)
        && class.is_in(tables.setting(|settings| &settings.mail_ports))
}

/// Whether this is the policy of a mail server. It is reachable for mail wherever it
/// lives: neither rule 5 nor rules 1 to 4 apply.
#[inline(always)]
pub(super) fn is_server(policy: &Policy) -> bool {
    policy.has(FLAG_MAIL_SERVER)
}
