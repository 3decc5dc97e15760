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
    let of_network = draft.interfaces.iter();
    let of_network = of_network.filter(|interface| interface.role == Some(Role::Network));
    for sources in of_network.filter_map(|interface| interface.sources.as_ref()) {
        if sources.value != Sources::Any {
            let name = sources.value.name();
            let message = format!(
                "`sources = \"{name}\"` at an interface of role `network`, where everybody else's \
                 addresses arrive"
            );
            let help = "remove it: rule 7 is for interfaces of role `customer`";
            mistakes.push(Diagnostic::error(&sources.place, message).help(help));
        }
    }
}
