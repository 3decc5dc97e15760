//! Ports, each on its own and all together.

use filter_common::{Protocol, ReturnTraffic};
use policy::config::PortSpec;

use crate::{fine, wrong};

#[test]
fn ports_are_numbers_or_numbers_with_a_protocol() {
    let config = fine(
        r#"
[ports]
forbidden = [25, "443/tcp", "443/udplite", 0x1F90]
return_traffic = "syn"
"#,
    );
    let port = |port, protocol| PortSpec { port, protocol };
    let expected = [
        port(25, None),
        port(443, Some(Protocol::Tcp)),
        port(443, Some(Protocol::UdpLite)),
        port(8080, None),
    ];
    assert_eq!(config.ports.forbidden, expected);
    assert_eq!(config.ports.return_traffic, ReturnTraffic::Syn);
}

#[test]
fn ten_ports_are_forbidden_by_default() {
    let config = fine("");
    let ports: Vec<_> = config
        .ports
        .forbidden
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = "25 80 109 110 139 194 443 1080 8000 8080";
    assert_eq!(ports.join(" "), expected);
    assert_eq!(config.ports.return_traffic, ReturnTraffic::Track);
    assert_eq!(config.mail.ports, [25]);
}

#[test]
fn what_is_no_port() {
    wrong(
        r#"
[ports]
forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
"#,
        r#"
error: `0` is not a port
 --> poolguard.toml:2:14
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |              ^
  |
  = help: ports are 1 to 65535

error: `65536` is not a port
 --> poolguard.toml:2:17
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                 ^^^^^
  |
  = help: ports are 1 to 65535

error: `-1` is not a port
 --> poolguard.toml:2:24
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                        ^^
  |
  = help: ports are 1 to 65535

error: `99999999999999999999999999` is not a port
 --> poolguard.toml:2:28
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: ports are 1 to 65535

error: expected a port, found a float
 --> poolguard.toml:2:56
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                                                        ^^^
  |
  = help: write a port such as 443, or "443/tcp" for one protocol

error: `smtp` is not a port
 --> poolguard.toml:2:61
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                                                             ^^^^^^
  |
  = help: write a port such as 443, or "443/tcp" for one protocol

error: `8000-8080` is not a port
 --> poolguard.toml:2:69
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                                                                     ^^^^^^^^^^^
  |
  = help: write a port such as 443, or "443/tcp" for one protocol

error: `0` is not a port
 --> poolguard.toml:2:82
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                                                                                  ^^^^^^^
  |
  = help: ports are 1 to 65535

error: `/tcp` is not a port
 --> poolguard.toml:2:91
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080", "0/tcp", "/tcp"]
  |                                                                                           ^^^^^^
  |
  = help: write a port such as 443, or "443/tcp" for one protocol
"#,
    );
}

#[test]
fn a_port_in_quotes() {
    wrong(
        r#"
[ports]
forbidden = ["443"]
"#,
        r#"
error: a port in quotes without a protocol
 --> poolguard.toml:2:14
  |
2 | forbidden = ["443"]
  |              ^^^^^
  |
  = help: write 443, or "443/tcp" for one protocol
"#,
    );
}

#[test]
fn a_protocol_that_has_no_ports() {
    wrong(
        r#"
[ports]
forbidden = ["443/TCP", "443/icmp", "443/"]
"#,
        r#"
error: unknown protocol `TCP`
 --> poolguard.toml:2:14
  |
2 | forbidden = ["443/TCP", "443/icmp", "443/"]
  |              ^^^^^^^^^
  |
  = help: write "443/tcp"

error: unknown protocol `icmp`
 --> poolguard.toml:2:25
  |
2 | forbidden = ["443/TCP", "443/icmp", "443/"]
  |                         ^^^^^^^^^^
  |
  = help: write "443/tcp", "443/udp", "443/sctp", "443/dccp" or "443/udplite"

error: unknown protocol ``
 --> poolguard.toml:2:37
  |
2 | forbidden = ["443/TCP", "443/icmp", "443/"]
  |                                     ^^^^^^
  |
  = help: write "443/tcp", "443/udp", "443/sctp", "443/dccp" or "443/udplite"
"#,
    );
}

#[test]
fn a_mail_port() {
    wrong(
        r#"
[mail]
servers = ["192.0.2.25"]
ports = [25, 25, "587/tcp", "smtp", 0]
"#,
        r#"
error: port 25 is given twice
 --> poolguard.toml:3:14
  |
3 | ports = [25, 25, "587/tcp", "smtp", 0]
  |          --  ^^
  |          |
  |          first given here
  |
  = help: remove one of them

error: a mail port is a number: rule 5 is about TCP
 --> poolguard.toml:3:18
  |
3 | ports = [25, 25, "587/tcp", "smtp", 0]
  |                  ^^^^^^^^^
  |
  = help: write 587

error: `smtp` is not a port
 --> poolguard.toml:3:29
  |
3 | ports = [25, 25, "587/tcp", "smtp", 0]
  |                             ^^^^^^
  |
  = help: write a port such as 25

error: `0` is not a port
 --> poolguard.toml:3:37
  |
3 | ports = [25, 25, "587/tcp", "smtp", 0]
  |                                     ^
  |
  = help: ports are 1 to 65535
"#,
    );
    wrong(
        r#"
[mail]
servers = ["192.0.2.25"]
ports = []
"#,
        r#"
error: no mail port is listed
 --> poolguard.toml:3:9
  |
3 | ports = []
  |         ^^
  |
  = help: write [25]; `direct_smtp = "pass"` is what switches rule 5 off
"#,
    );
}

#[test]
fn a_port_given_twice() {
    wrong(
        r#"
[ports]
forbidden = [
    25,
    "443/tcp",
    443,
    "443/udp",
    25,
]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = [80, "80/tcp"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [80, 80]
"#,
        r#"
error: port 443 is given twice
 --> poolguard.toml:5:5
  |
5 |     443,
  |     ^^^
  |
 ::: poolguard.toml:4:5
  |
4 |     "443/tcp",
  |     --------- first given here
  |
  = help: remove one of them

error: port 25 is given twice
 --> poolguard.toml:7:5
  |
7 |     25,
  |     ^^
  |
 ::: poolguard.toml:3:5
  |
3 |     25,
  |     -- first given here
  |
  = help: remove one of them

error: port 80/tcp is given twice
  --> poolguard.toml:14:18
   |
14 | forbidden = [80, "80/tcp"]
   |              --  ^^^^^^^^
   |              |
   |              first given here
   |
   = help: remove one of them

error: port 80 is given twice
  --> poolguard.toml:19:22
   |
19 | allow_inbound = [80, 80]
   |                  --  ^^
   |                  |
   |                  first given here
   |
   = help: remove one of them
"#,
    );
}

#[test]
fn sixty_three_ports_are_watched_and_no_more() {
    let mut ports: Vec<_> = (100..162).map(|port| port.to_string()).collect();
    let list = |ports: &[String]| {
        format!(
            "[ports]\nforbidden = [\n{}\n]\n[mail]\nservers = [\"192.0.2.25\"]\nports = [25, 162]\n",
            ports.join(",\n")
        )
    };
    fine(&list(&ports[1..]));
    wrong(
        &list(&ports),
        r#"
error: more than 63 different ports
  --> poolguard.toml:64:1
   |
64 | 161
   | ^^^
   |
   = help: all lists of forbidden ports and of mail ports count together
"#,
    );
    // One that is in both lists counts once.
    ports[0] = "162".to_owned();
    fine(&list(&ports));
}

#[test]
fn the_lists_of_pools_are_watched_too() {
    let ports: Vec<_> = (100..162).map(|port| port.to_string()).collect();
    let text = format!(
        "[ports]\nforbidden = [{}]\n[[pool]]\nname = \"dsl\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\nforbidden = [100, 9999, \"9999/udp\"]\n",
        ports.join(",")
    );
    wrong(
        &text,
        r#"
error: more than 63 different ports
 --> poolguard.toml:7:19
  |
7 | forbidden = [100, 9999, "9999/udp"]
  |                   ^^^^
  |
  = help: all lists of forbidden ports and of mail ports count together

error: port 9999/udp is given twice
 --> poolguard.toml:7:25
  |
7 | forbidden = [100, 9999, "9999/udp"]
  |                   ----  ^^^^^^^^^^
  |                   |
  |                   first given here
  |
  = help: remove one of them
"#,
    );
}
