//! `forwarding`, and what wires join.

use filter_user::config::{Forwarding, Wire};

use crate::{fine, wrong};

#[test]
fn two_interfaces_are_joined() {
    let config = fine(
        r#"
forwarding = "wire"
[[wire]]
ends = ["eth0", "eth1"]
"#,
    );
    let ends = ["eth0", "eth1"].map(str::to_owned);
    assert_eq!(config.forwarding, Forwarding::Wire(vec![Wire { ends }]));
    assert_eq!(config.other_end("eth0"), Some("eth1"));
    assert_eq!(config.other_end("eth1"), Some("eth0"));
    assert_eq!(config.other_end("eth2"), None);
}

#[test]
fn the_kernel_forwards_unless_it_is_said_otherwise() {
    for text in ["", "forwarding = \"kernel\"\n"] {
        let config = fine(text);
        assert_eq!(config.forwarding, Forwarding::Kernel);
        assert_eq!(config.other_end("eth0"), None);
    }
}

#[test]
fn a_word_that_is_neither() {
    // Nothing is said about the wire: either may have been meant.
    wrong(
        r#"
forwarding = "bridge"
[[wire]]
ends = ["eth0", "eth1"]
"#,
        r#"
error: unknown value `bridge`
 --> poolguard.toml:1:14
  |
1 | forwarding = "bridge"
  |              ^^^^^^^^
  |
  = help: write "kernel" or "wire"
"#,
    );
}
