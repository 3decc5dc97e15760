//! What rules 6 and 7 are asked for in vain.

use filter_common::{Role, Sources};

use crate::config::{draft::Draft, mistakes::Mistakes, report::Diagnostic};

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    check_smtp_replies(draft, mistakes);
    check_sources(draft, mistakes);
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
