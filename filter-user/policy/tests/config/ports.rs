//! Ports, each on its own and all together.

use filter_common::{Protocol, ReturnTraffic};
use policy::config::PortSpec;

use crate::{complete, fine, wrong, wrong_files};

/// Asserts all that is printed about a customer list.
#[track_caller]
fn wrong_list(list: &str, printed: &str) {
    let main = complete("customer_lists = [\"customers.csv\"]\n");
    wrong_files(&main.with("customers.csv", list), printed);
}

#[test]
fn ports_are_numbers_or_numbers_with_a_protocol() {
    let config = fine(
        r#"
[ports]
forbidden = [25, "443/tcp", "443/udplite", 0x1F90]
return_traffic = "syn"
"#,
    );
    let port = |port: u16, protocol| PortSpec {
        ports: port.into(),
        protocol,
    };
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
forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
"#,
        r#"
error: `0` is not a port
 --> poolguard.toml:2:14
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |              ^
  |
  = help: ports are 1 to 65535

error: `65536` is not a port
 --> poolguard.toml:2:17
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                 ^^^^^
  |
  = help: ports are 1 to 65535

error: `-1` is not a port
 --> poolguard.toml:2:24
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                        ^^
  |
  = help: ports are 1 to 65535

error: `99999999999999999999999999` is not a port
 --> poolguard.toml:2:28
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: ports are 1 to 65535

error: expected a port, found a float
 --> poolguard.toml:2:56
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                                                        ^^^
  |
  = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol

error: `smtp` is not a port
 --> poolguard.toml:2:61
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                                                             ^^^^^^
  |
  = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol

error: `8000-8080x` is not a port
 --> poolguard.toml:2:69
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                                                                     ^^^^^^^^^^^^
  |
  = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol

error: `0` is not a port
 --> poolguard.toml:2:83
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                                                                                   ^^^^^^^
  |
  = help: ports are 1 to 65535

error: `/tcp` is not a port
 --> poolguard.toml:2:92
  |
2 | forbidden = [0, 65536, -1, 99999999999999999999999999, 8e1, "smtp", "8000-8080x", "0/tcp", "/tcp"]
  |                                                                                            ^^^^^^
  |
  = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol
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
fn ranges_of_ports() {
    let config = fine(
        r#"
[ports]
forbidden = ["8000-8080", "6881-6999/udp", "1-65535/dccp", 25, "1-1024"]

[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24"]
forbidden = ["80-90", "85-95", 88]
"#,
    );
    let listed = |list: &[PortSpec]| {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        list.join(" ")
    };
    let expected = "8000-8080 6881-6999/udp 1-65535/dccp 25 1-1024";
    assert_eq!(listed(&config.ports.forbidden), expected);
    let own = config.pools[0].forbidden.as_ref().unwrap();
    assert_eq!(listed(own), "80-90 85-95 88");
}

#[test]
fn what_is_no_range() {
    wrong(
        r#"
[ports]
forbidden = [
    "90-80",
    "0-100",
    "80-",
    "-80/udp",
    "80-70000",
    "80 - 90",
    "80:90/tcp",
    "7000..7010",
    "443-443",
    "1-2-3",
    "8000-8080/TCP",
    "8000-8080/icmp",
]
"#,
        r#"
error: `90-80` is a range that runs backwards
 --> poolguard.toml:3:5
  |
3 |     "90-80",
  |     ^^^^^^^
  |
  = help: write "80-90"

error: `0` is not a port
 --> poolguard.toml:4:5
  |
4 |     "0-100",
  |     ^^^^^^^
  |
  = help: ports are 1 to 65535

error: `80-` is a range that lacks an end
 --> poolguard.toml:5:5
  |
5 |     "80-",
  |     ^^^^^
  |
  = help: write both, with a hyphen and no blanks between them: "8000-8080"

error: `-80/udp` is a range that lacks an end
 --> poolguard.toml:6:5
  |
6 |     "-80/udp",
  |     ^^^^^^^^^
  |
  = help: write both, with a hyphen and no blanks between them: "8000-8080"

error: `70000` is not a port
 --> poolguard.toml:7:5
  |
7 |     "80-70000",
  |     ^^^^^^^^^^
  |
  = help: ports are 1 to 65535

error: `80 - 90` is not how a range is written
 --> poolguard.toml:8:5
  |
8 |     "80 - 90",
  |     ^^^^^^^^^
  |
  = help: write "80-90"

error: `80:90/tcp` is not how a range is written
 --> poolguard.toml:9:5
  |
9 |     "80:90/tcp",
  |     ^^^^^^^^^^^
  |
  = help: write "80-90/tcp"

error: `7000..7010` is not how a range is written
  --> poolguard.toml:10:5
   |
10 |     "7000..7010",
   |     ^^^^^^^^^^^^
   |
   = help: write "7000-7010"

error: `443-443` is a range of one port
  --> poolguard.toml:11:5
   |
11 |     "443-443",
   |     ^^^^^^^^^
   |
   = help: write 443

error: `1-2-3` is not a port
  --> poolguard.toml:12:5
   |
12 |     "1-2-3",
   |     ^^^^^^^
   |
   = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol

error: unknown protocol `TCP`
  --> poolguard.toml:13:5
   |
13 |     "8000-8080/TCP",
   |     ^^^^^^^^^^^^^^^
   |
   = help: write "8000-8080/tcp"

error: unknown protocol `icmp`
  --> poolguard.toml:14:5
   |
14 |     "8000-8080/icmp",
   |     ^^^^^^^^^^^^^^^^
   |
   = help: write "8000-8080/tcp", "8000-8080/udp", "8000-8080/sctp", "8000-8080/dccp" or "8000-8080/udplite"
"#,
    );
}

#[test]
fn a_range_of_mail_ports() {
    wrong(
        r#"
[mail]
servers = ["192.0.2.25"]
ports = ["25-587"]
"#,
        r#"
error: a range of mail ports
 --> poolguard.toml:3:10
  |
3 | ports = ["25-587"]
  |          ^^^^^^^^
  |
  = help: list those that mail is sent to
"#,
    );
}

#[test]
fn a_range_given_twice() {
    wrong(
        r#"
[ports]
forbidden = ["80-90", "80-90/tcp", "80-91", 80]
"#,
        r#"
error: port 80-90/tcp is given twice
 --> poolguard.toml:2:23
  |
2 | forbidden = ["80-90", "80-90/tcp", "80-91", 80]
  |              -------  ^^^^^^^^^^^
  |              |
  |              first given here
  |
  = help: remove one of them
"#,
    );
}

#[test]
fn a_list_says_which_range_is_wrong() {
    wrong_list(
        "prefix,customer,allow_inbound\n203.0.113.8,a,80 - 90\n203.0.113.9,b,8080-8000\n\
         203.0.113.10,c,443 8000-8080/udp\n203.0.113.11,d,\"80-90, 443\"\n",
        r#"
error: `-` is a range that lacks an end
 --> customers.csv:2:15
  |
2 | 203.0.113.8,a,80 - 90
  |               ^^^^^^^
  |
  = help: write both, with a hyphen and no blanks between them: "8000-8080"

error: `8080-8000` is a range that runs backwards
 --> customers.csv:3:15
  |
3 | 203.0.113.9,b,8080-8000
  |               ^^^^^^^^^
  |
  = help: write "8000-8080"

error: `80-90, 443` has more than blanks between ports
 --> customers.csv:5:16
  |
5 | 203.0.113.11,d,"80-90, 443"
  |                ^^^^^^^^^^^^
  |
  = help: separate ports by blanks: 80-90 443
"#,
    );
}

/// As many single ports as there are counters for.
#[test]
fn two_hundred_and_fifty_six_ports_and_ranges_are_written_and_no_more() {
    let mut ports: Vec<_> = (1..=255).map(|port| (port * 10).to_string()).collect();
    let list = |ports: &[String]| {
        format!(
            "[ports]\nforbidden = [\n{}\n]\n[mail]\nservers = [\"192.0.2.25\"]\nports = [25, 2550]\n",
            ports.join(",\n")
        )
    };
    fine(&list(&ports));
    ports.push("\"8000-8080\"".to_owned());
    wrong(
        &list(&ports),
        r#"
error: more than 256 different ports and ranges of ports
   --> poolguard.toml:258:1
    |
258 | "8000-8080"
    | ^^^^^^^^^^^
    |
    = help: all lists of forbidden ports and of mail ports count together; write neighbours as a range
"#,
    );
    // One that is there for two protocols counts once.
    ports.pop();
    ports[0] = "\"8000-8080/udp\"".to_owned();
    ports.push("\"8000-8080/tcp\"".to_owned());
    fine(&list(&ports));
}

/// Pools that each forbid a port of their own: ports are counted as classes once two lists
/// differ in them.
fn pools(count: u32) -> String {
    let pools = (1..=count).map(|number| {
        format!(
            "[[pool]]\nname = \"pool-{number}\"\nkind = \"static\"\nprefixes = [\"10.{number}.0.0/16\"]\n\
             forbidden = [\"{}-{}\"]\n",
            number * 100,
            number * 100 + 49
        )
    });
    pools.collect()
}

#[test]
fn lists_that_split_the_ports_too_far() {
    let one_class = "[ports]\nforbidden = [\"20000-30000\"]\n";
    // With mail, and the range on both sides of 1024.
    fine(&format!("{one_class}{}", pools(60)));
    let one_more = format!(
        "{one_class}{}[[customer]]\nname = \"acme\"\nprefixes = [\"10.1.0.0/24\"]\n\
         allow_inbound = [\"100-110\", \"120-130/tcp\"]\n",
        pools(60)
    );
    wrong(
        &one_more,
        r#"
error: the lists split the ports into 65 sets that are treated differently, and 63 are possible: 2 by this list
   --> poolguard.toml:306:17
    |
306 | allow_inbound = ["100-110", "120-130/tcp"]
    |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^
    |
   ::: poolguard.toml:2:13
    |
  2 | forbidden = ["20000-30000"]
    |             --------------- 1 by this one
    |
   ::: poolguard.toml:7:13
    |
  7 | forbidden = ["100-149"]
    |             ----------- 1 by this one
    |
   ::: poolguard.toml:12:13
    |
 12 | forbidden = ["200-249"]
    |             ----------- 1 by this one
    |
   ::: poolguard.toml:17:13
    |
 17 | forbidden = ["300-349"]
    |             ----------- 1 by this one
    |
    = help: ports that the same lists name are one set, however many they are: write the same ranges where the same is meant
"#,
    );
}
