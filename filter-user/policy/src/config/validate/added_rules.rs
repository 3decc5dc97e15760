//! What rules 6 and 7, and the way out, are asked for in vain.

use filter_common::{Role, Sources};

use crate::config::{draft::Draft, mistakes::Mistakes, model::Egress, report::Diagnostic};

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    check_smtp_replies(draft, mistakes);
    check_sources(draft, mistakes);
    check_egress(draft, mistakes);
}

/// Rule 6 asks who may have sent the mail that is answered.
fn check_smtp_replies(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(mail) = draft.mail.as_ref().filter(|mail| mail.direct_smtp) else {
        return;
    };
    if let Some(replies) = mail.smtp_replies.as_ref().filter(|replies| !replies.value) {
        let message = "`smtp_replies = \"drop\"` with `direct_smtp = \"pass\"`, which lets everybody \
                       send mail: there is no answer that nobody may have asked for";
        mistakes.push(Diagnostic::error(&replies.place, message).help("remove one of them"));
    }
}

/// What comes from the network comes from anywhere.
fn check_sources(draft: &Draft, mistakes: &mut Mistakes) {
    for interface in &draft.interfaces {
        let (Some(role), Some(sources)) = (interface.role, &interface.sources) else {
            continue;
        };
        if role != Role::Customer && sources.value != Sources::Any {
            let (name, role) = (sources.value.name(), role.name());
            let message = format!(
                "`sources = \"{name}\"` at an interface of role `{role}`, where everybody else's \
                 addresses arrive"
            );
            let help = "remove it: rule 7 is for interfaces of role `customer`";
            mistakes.push(Diagnostic::error(&sources.place, message).help(help));
        }
    }
}

/// Rules 1 to 4 and 6 are about what goes to customers.
fn check_egress(draft: &Draft, mistakes: &mut Mistakes) {
    for interface in &draft.interfaces {
        let (Some(Role::Network), Some(egress)) = (interface.role, &interface.egress) else {
            continue;
        };
        if egress.value == Egress::Filter {
            let message = "`egress = \"filter\"` at an interface of role `network`, where no customer is \
                           reached: there is nothing to judge on the way out";
            let help = "remove it: it belongs to the interfaces of role `customer` and `mixed`, which have \
                        it unless they say `egress = \"off\"`";
            mistakes.push(Diagnostic::error(&egress.place, message).help(help));
        }
    }
}
