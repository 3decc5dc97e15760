//! What has to be there, and what should.

use policy::config::Memory;

use crate::{dubious, fine, wrong, wrong_files};

#[test]
fn nothing_at_all() {
    let files = Memory::default().with("poolguard.toml", "");
    wrong_files(
        &files,
        r#"
error: [mail] is missing
--> poolguard.toml
 = help: add it, with the mail servers that customers may use: `servers = []` if there are none

error: no interface has the role `customer`
--> poolguard.toml
 = help: add an [[interface]] with `role = "customer"`: rule 5 applies to what arrives there

warning: no interface has the role `network`
--> poolguard.toml
 = help: add an [[interface]] with `role = "network"`: nothing filters what comes from outside
"#,
    );
}

#[test]
fn no_interface_faces_customers() {
    wrong(
        r#"
[[interface]]
name = "eth0"
role = "network"
"#,
        r#"
error: no interface has the role `customer`
--> poolguard.toml
 = help: add an [[interface]] with `role = "customer"`: rule 5 applies to what arrives there
"#,
    );
}

#[test]
fn no_interface_faces_the_network() {
    dubious(
        r#"
[[interface]]
name = "eth1"
role = "customer"
"#,
        r#"
warning: no interface has the role `network`
--> poolguard.toml
 = help: add an [[interface]] with `role = "network"`: nothing filters what comes from outside
"#,
    );
}

#[test]
fn nobody_may_send_mail() {
    let config = dubious(
        r#"
[mail]
servers = []
"#,
        r#"
warning: no mail server is listed: customers cannot send mail
 --> poolguard.toml:2:11
  |
2 | servers = []
  |           ^^
  |
  = help: list the provider's mail servers; `direct_smtp = "pass"` switches rule 5 off
"#,
    );
    assert_eq!(config.mail.servers, []);
}

#[test]
fn everybody_may_send_mail() {
    let config = fine(
        r#"
[mail]
servers = []
direct_smtp = "pass"
"#,
    );
    assert!(config.mail.direct_smtp);
}
