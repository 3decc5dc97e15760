//! `smtp_replies` and `sources`: rules 6 and 7; and `egress`, the way out.

use filter_common::{Ingress, Role, Sources};
use policy::config::Egress;

use crate::{fine, wrong};

/// What is in `[mail]`, and in the two interfaces.
fn with(mail: &str, customers: &str, network: &str) -> String {
    format!(
        r#"
[mail]
servers = ["192.0.2.25"]
{mail}
[[interface]]
name = "eth1"
role = "customer"
{customers}
[[interface]]
name = "eth0"
role = "network"
{network}
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
"#
    )
}

#[test]
fn rule_6_is_on_and_rule_7_is_off_unless_it_is_said_otherwise() {
    for (mail, customers) in [("", ""), ("smtp_replies = \"drop\"", "sources = \"any\"")] {
        let config = fine(&with(mail, customers, customers));
        assert!(!config.mail.smtp_replies);
        let sources = config.interfaces.iter().map(|interface| interface.sources);
        assert!(sources.eq([Sources::Any; 2]));
    }
}

#[test]
fn the_rules_are_told_of_the_interface_it_is_said_of() {
    for sources in [Sources::Monitor, Sources::Pools] {
        let key = format!("sources = \"{}\"", sources.name());
        let config = fine(&with("", &key, ""));
        let ingress = |sources, role| Ingress { role, sources };
        assert_eq!(
            config
                .interfaces
                .iter()
                .map(policy::config::Interface::ingress)
                .collect::<Vec<_>>(),
            [
                ingress(sources, Role::Customer),
                ingress(Sources::Any, Role::Network)
            ]
        );
    }
}

#[test]
fn rule_6_is_off_with_rule_5() {
    for mail in [
        "direct_smtp = \"pass\"",
        "direct_smtp = \"pass\"\nsmtp_replies = \"pass\"",
    ] {
        assert!(fine(&with(mail, "", "")).mail.direct_smtp);
    }
    assert!(
        fine(&with("smtp_replies = \"pass\"", "", ""))
            .mail
            .smtp_replies
    );
}

#[test]
fn nobody_may_answer_mail_that_everybody_may_send() {
    wrong(
        &with("direct_smtp = \"pass\"\nsmtp_replies = \"drop\"", "", ""),
        r#"
error: `smtp_replies = "drop"` with `direct_smtp = "pass"`, which lets everybody send mail: there is no answer that nobody may have asked for
 --> poolguard.toml:4:16
  |
4 | smtp_replies = "drop"
  |                ^^^^^^
  |
  = help: remove one of them
"#,
    );
}

#[test]
fn what_comes_from_the_network_comes_from_anywhere() {
    for word in ["pools", "monitor"] {
        let line = format!("sources = \"{word}\"");
        let under = "^".repeat(word.len() + 2);
        wrong(
            &with("", "", &line),
            &format!(
                r#"
error: `sources = "{word}"` at an interface of role `network`, where everybody else's addresses arrive
  --> poolguard.toml:11:11
   |
11 | sources = "{word}"
   |           {under}
   |
   = help: remove it: rule 7 is for interfaces of role `customer`
"#
            ),
        );
    }
}

#[test]
fn an_interface_may_face_both_sides() {
    let text = with("", "", "").replace("role = \"network\"", "role = \"mixed\"");
    assert_eq!(fine(&text).interfaces[1].role, Role::Mixed);
    // It may be the only one.
    let alone = with("", "", "").replace("role = \"customer\"", "role = \"mixed\"");
    let alone = alone.replace("[[interface]]\nname = \"eth0\"\nrole = \"network\"", "");
    assert_eq!(fine(&alone).interfaces.len(), 1);
    wrong(
        &text.replace("\"mixed\"", "\"mixed\"\nsources = \"pools\""),
        r#"
error: `sources = "pools"` at an interface of role `mixed`, where everybody else's addresses arrive
  --> poolguard.toml:11:11
   |
11 | sources = "pools"
   |           ^^^^^^^
   |
   = help: remove it: rule 7 is for interfaces of role `customer`
"#,
    );
}

#[test]
fn ways_out_are_filtered_where_customers_are_reached() {
    let egress = |text: &str| {
        let interfaces = fine(text).interfaces;
        [interfaces[0].egress, interfaces[1].egress]
    };
    use Egress::{Filter, Off};
    assert_eq!(egress(&with("", "", "")), [Filter, Off]);
    let mixed = with("", "", "").replace("role = \"network\"", "role = \"mixed\"");
    assert_eq!(egress(&mixed), [Filter, Filter]);
    assert_eq!(
        egress(&with("", "egress = \"off\"", "egress = \"off\"")),
        [Off, Off]
    );
    assert_eq!(egress(&with("", "egress = \"filter\"", "")), [Filter, Off]);
    wrong(
        &with("", "", "egress = \"filter\""),
        r#"
error: `egress = "filter"` at an interface of role `network`, where no customer is reached: there is nothing to judge on the way out
  --> poolguard.toml:11:10
   |
11 | egress = "filter"
   |          ^^^^^^^^
   |
   = help: remove it: it belongs to the interfaces of role `customer` and `mixed`, which have it unless they say `egress = "off"`
"#,
    );
}
