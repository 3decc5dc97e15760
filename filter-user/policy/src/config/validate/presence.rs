//! What has to be there, or should.

use std::path::Path;

use filter_common::Role;

use crate::config::{draft::Draft, mistakes::Mistakes, report::Diagnostic};

pub(super) fn check(draft: &Draft, main: &Path, mistakes: &mut Mistakes) {
    check_roles(draft, main, mistakes);
    check_mail_servers(draft, mistakes);
}

fn check_roles(draft: &Draft, main: &Path, mistakes: &mut Mistakes) {
    if mistakes.may_lack("interface") {
        return;
    }
    let has = |role| draft.interfaces.iter().any(|known| known.role == role);
    // Any role may have been meant; or it is both.
    if has(None) || has(Some(Role::Mixed)) {
        return;
    }
    if !has(Some(Role::Customer)) {
        let message = "no interface has the role `customer`";
        let help =
            "add an [[interface]] with `role = \"customer\"`: rule 5 applies to what arrives there";
        mistakes.push(Diagnostic::error_in(main, message).help(help));
    }
    if !has(Some(Role::Network)) {
        let message = "no interface has the role `network`";
        let help = "add an [[interface]] with `role = \"network\"`: nothing filters what comes from outside";
        mistakes.push(Diagnostic::warning_in(main, message).help(help));
    }
}

fn check_mail_servers(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(mail) = draft.mail.as_ref().filter(|mail| !mail.direct_smtp) else {
        return;
    };
    if let Some(servers) = mail.servers.as_ref().filter(|servers| servers.is_empty()) {
        let message = "no mail server is listed: customers cannot send mail";
        let help = "list the provider's mail servers; `direct_smtp = \"pass\"` switches rule 5 off";
        mistakes.push(Diagnostic::warning(&servers.place, message).help(help));
    }
}
