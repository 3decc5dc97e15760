//! `poolguard explain` on the shipped example: each rule, its exemption and its
//! neighbour, word for word.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/poolguard.toml");
/// Where the customer's exemptions are written, as `explain` prints it.
const ACME: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../config/customers.d/acme.toml:2"
);

fn poolguard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_poolguard"))
        .args(arguments)
        .output()
        .unwrap()
}

fn explained(arguments: &str) -> String {
    let words: Vec<&str> = ["explain", "--file", CONFIG, "--in"]
        .into_iter()
        .chain(arguments.split(' '))
        .collect();
    let output = poolguard(&words);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .replace(ACME, "acme.toml:2")
}

/// Compares texts line by line, without the indentation of the test.
fn assert_explained(arguments: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim_start).collect();
    let found = explained(arguments);
    let asked = format!("asked    the file {CONFIG}\n");
    let found = found
        .strip_suffix(&asked)
        .unwrap_or_else(|| panic!("{found}"));
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{arguments}");
}

#[test]
fn rule_1_a_dynamic_customer_is_out_of_reach_on_a_forbidden_port() {
    assert_explained(
        "eth0 tcp 192.0.2.9:40000 198.51.100.7:8000",
        "packet   tcp 192.0.2.9:40000 -> 198.51.100.7:8000 [syn], arriving at eth0 (network)
         port     8000: is a watched port
         to       198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24); 8000/tcp is forbidden there
         flow     was not seen leaving the customer (--known-flow asks what if it was)
         verdict  DROP: rule 1, a forbidden port of a dynamic pool",
    );
}

#[test]
fn rule_1_the_next_port_passes() {
    assert_explained(
        "eth0 tcp 192.0.2.9:40000 198.51.100.7:8001",
        "packet   tcp 192.0.2.9:40000 -> 198.51.100.7:8001 [syn], arriving at eth0 (network)
         port     8001: nobody forbids this port, and no mail is sent to it
         verdict  PASS: no rule concerns this port",
    );
}

#[test]
fn rule_1_the_answer_to_a_customer_passes() {
    assert_explained(
        "eth0 tcp 192.0.2.9:443 198.51.100.7:8080 --flags syn,ack --known-flow",
        "packet   tcp 192.0.2.9:443 -> 198.51.100.7:8080 [syn,ack], arriving at eth0 (network)
         port     8080: is a watched port
         to       198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24); 8080/tcp is forbidden there
         flow     was opened by the customer (as --known-flow says)
         verdict  PASS: the answer to a flow that the customer opened",
    );
}

#[test]
fn rule_3_mail_reaches_whom_an_exemption_opens() {
    assert_explained(
        "eth0 tcp [2001:db8:9::9]:40000 [2001:db8:200:8::1]:25",
        "packet   tcp [2001:db8:9::9]:40000 -> [2001:db8:200:8::1]:25 [syn], arriving at eth0 (network)
         port     25: is a watched port, and mail is sent to it
         to       2001:db8:200:8::1 is in pool business-dsl (static, 2001:db8:200::/40), of customer acme (2001:db8:200:8::/64, acme.toml:2, NOC-4711); 25/tcp is forbidden there, and exempted
         verdict  PASS: an exemption opens this port",
    );
}

#[test]
fn rule_3_mail_reaches_nobody_else() {
    assert_explained(
        "eth0 tcp 192.0.2.9:40000 203.0.113.16:25",
        "packet   tcp 192.0.2.9:40000 -> 203.0.113.16:25 [syn], arriving at eth0 (network)
         port     25: is a watched port, and mail is sent to it
         to       203.0.113.16 is in pool business-dsl (static, 203.0.113.0/24); 25/tcp is forbidden there
         verdict  DROP: rule 3, mail to a static customer without an exemption",
    );
}

#[test]
fn rule_4_an_exemption_opens_only_what_it_names() {
    assert_explained(
        "eth0 udp 192.0.2.9:40000 203.0.113.9:443",
        "packet   udp 192.0.2.9:40000 -> 203.0.113.9:443, arriving at eth0 (network)
         port     443: is a watched port
         to       203.0.113.9 is in pool business-dsl (static, 203.0.113.0/24), of customer acme (203.0.113.8/29, acme.toml:2, NOC-4711); 443/udp is forbidden there
         verdict  DROP: rule 4, a forbidden port of a static customer without an exemption",
    );
}

#[test]
fn rule_5_a_customer_does_not_mail_the_internet() {
    assert_explained(
        "eth1 tcp 198.51.100.7:40000 192.0.2.99:25",
        "packet   tcp 198.51.100.7:40000 -> 192.0.2.99:25 [syn], arriving at eth1 (customer)
         port     25: is a watched port, and mail is sent to it
         to       192.0.2.99 is in no pool
         source   198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24)
         verdict  DROP: rule 5, mail from a customer leaves through the provider's mail servers",
    );
}

#[test]
fn rule_5_a_customer_mails_the_mail_server() {
    assert_explained(
        "eth1 tcp 198.51.100.7:40000 192.0.2.25:25",
        "packet   tcp 198.51.100.7:40000 -> 192.0.2.25:25 [syn], arriving at eth1 (customer)
         port     25: is a watched port, and mail is sent to it
         to       192.0.2.25 is in no pool; one of the mail servers
         verdict  PASS: mail to or from one of the mail servers",
    );
}

#[test]
fn rule_5_an_exempted_customer_mails_the_internet() {
    assert_explained(
        "eth1 tcp 203.0.113.9:40000 192.0.2.99:25",
        "packet   tcp 203.0.113.9:40000 -> 192.0.2.99:25 [syn], arriving at eth1 (customer)
         port     25: is a watched port, and mail is sent to it
         to       192.0.2.99 is in no pool
         source   203.0.113.9 is in pool business-dsl (static, 203.0.113.0/24), of customer acme (203.0.113.8/29, acme.toml:2, NOC-4711); exempted from rule 5
         verdict  PASS: this port is not forbidden toward this destination; an exemption from rule 5 let the mail out",
    );
}

#[test]
fn rule_5_does_not_concern_what_arrives_from_the_network() {
    assert_explained(
        "eth0 tcp 198.51.100.7:40000 192.0.2.99:25",
        "packet   tcp 198.51.100.7:40000 -> 192.0.2.99:25 [syn], arriving at eth0 (network)
         port     25: is a watched port, and mail is sent to it
         to       192.0.2.99 is in no pool
         verdict  PASS: this port is not forbidden toward this destination",
    );
}

/// A state directory that holds this one temporary exemption.
#[test]
fn rule_6_a_customer_gets_no_answer_to_mail() {
    assert_explained(
        "eth0 tcp 192.0.2.9:25 198.51.100.7:40000 --flags syn,ack",
        "packet   tcp 192.0.2.9:25 -> 198.51.100.7:40000 [syn,ack], arriving at eth0 (network)
         port     40000: nobody forbids this port, and no mail is sent to it
         from     25: mail is sent to this port, and answered from it
         to       198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24)
         source   192.0.2.9 is in no pool
         verdict  DROP: rule 6, an answer to mail that its receiver may not have sent",
    );
}

#[test]
fn rule_6_a_mail_server_answers_a_customer() {
    assert_explained(
        "eth0 tcp 192.0.2.25:25 198.51.100.7:40000 --flags syn,ack",
        "packet   tcp 192.0.2.25:25 -> 198.51.100.7:40000 [syn,ack], arriving at eth0 (network)
         port     40000: nobody forbids this port, and no mail is sent to it
         from     25: mail is sent to this port, and answered from it
         to       198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24)
         source   192.0.2.25 is in no pool; one of the mail servers
         verdict  PASS: mail to or from one of the mail servers",
    );
}

#[test]
fn rule_6_an_exempted_customer_is_answered() {
    assert_explained(
        "eth0 tcp 192.0.2.9:25 203.0.113.9:40000 --flags syn,ack",
        "packet   tcp 192.0.2.9:25 -> 203.0.113.9:40000 [syn,ack], arriving at eth0 (network)
         port     40000: nobody forbids this port, and no mail is sent to it
         from     25: mail is sent to this port, and answered from it
         to       203.0.113.9 is in pool business-dsl (static, 203.0.113.0/24), of customer acme (203.0.113.8/29, acme.toml:2, NOC-4711); exempted from rule 6
         source   192.0.2.9 is in no pool
         verdict  PASS: an answer to mail that its receiver may send",
    );
}

#[test]
fn rule_6_who_is_no_customer_is_answered() {
    assert_explained(
        "eth0 tcp 192.0.2.9:25 192.0.2.77:40000 --flags syn,ack",
        "packet   tcp 192.0.2.9:25 -> 192.0.2.77:40000 [syn,ack], arriving at eth0 (network)
         port     40000: nobody forbids this port, and no mail is sent to it
         from     25: mail is sent to this port, and answered from it
         to       192.0.2.77 is in no pool
         source   192.0.2.9 is in no pool
         verdict  PASS: an answer to mail, toward no customer",
    );
}

#[test]
fn rule_7_a_customer_sends_from_an_address_of_a_pool() {
    let example = std::fs::read_to_string(CONFIG).unwrap();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("known-sources");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("poolguard.toml");
    let text = example.replace("# sources = \"monitor\"", "sources = \"pools\"");
    let text = text.replace("include = [\"customers.d/*.toml\"]", "");
    std::fs::write(&file, text).unwrap();
    let verdict = |from: &str, protocol: &str| {
        let words = [
            "explain",
            "--file",
            file.to_str().unwrap(),
            "--in",
            "eth1",
            protocol,
            from,
        ];
        let output = poolguard(&[&words[..], &["192.0.2.9"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .find(|line| line.starts_with("verdict"))
            .unwrap()
            .to_owned()
    };
    let passes = "verdict  PASS: a protocol without ports";
    for from in ["198.51.100.7", "0.0.0.0", "169.254.7.9"] {
        assert_eq!(verdict(from, "icmp"), passes, "{from}");
    }
    let dropped = "verdict  DROP: rule 7, a source address that is in no pool";
    for from in ["192.0.2.25", "198.51.101.0", "10.0.0.1"] {
        assert_eq!(verdict(from, "icmp"), dropped, "{from}");
    }
}

fn lent(name: &str, expires: &str) -> String {
    let base = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(base.join("default")).unwrap();
    let kept = serde_json::json!({
        "version": 1,
        "next_id": 8,
        "exemptions": [{
            "id": 7,
            "prefix": "203.0.113.16/28",
            "ports": ["443/tcp"],
            "smtp_out": false,
            "expires": expires,
            "reason": "new server",
            "ticket": "NOC-9",
            "added": "2026-01-01T00:00:00Z",
            "added_by": 0,
        }],
    });
    std::fs::write(base.join("default/exemptions.json"), kept.to_string()).unwrap();
    base.to_str().unwrap().to_owned()
}

#[test]
fn a_temporary_exemption_opens_what_it_names_until_it_ends() {
    let lasting = lent("lasting", "2999-01-01T00:00:00Z");
    assert_explained(
        &format!("eth0 --state-dir {lasting} tcp 192.0.2.9:40000 203.0.113.20:443"),
        "packet   tcp 192.0.2.9:40000 -> 203.0.113.20:443 [syn], arriving at eth0 (network)
         port     443: is a watched port
         to       203.0.113.20 is in pool business-dsl (static, 203.0.113.0/24); temporary exemption 7 (203.0.113.16/28 443/tcp) until 2999-01-01T00:00:00Z, new server, NOC-9; 443/tcp is forbidden there, and exempted
         verdict  PASS: an exemption opens this port",
    );
    let over = lent("over", "2026-01-02T00:00:00Z");
    assert_explained(
        &format!("eth0 --state-dir {over} tcp 192.0.2.9:40000 203.0.113.20:443"),
        "packet   tcp 192.0.2.9:40000 -> 203.0.113.20:443 [syn], arriving at eth0 (network)
         port     443: is a watched port
         to       203.0.113.20 is in pool business-dsl (static, 203.0.113.0/24); 443/tcp is forbidden there
         verdict  DROP: rule 4, a forbidden port of a static customer without an exemption",
    );
}

#[test]
fn what_has_no_ports_passes() {
    assert_explained(
        "eth0 icmp 192.0.2.9 198.51.100.7",
        "packet   icmp 192.0.2.9 -> 198.51.100.7, arriving at eth0 (network)
         verdict  PASS: a protocol without ports",
    );
}

#[test]
fn json_says_the_same() {
    let output = poolguard(&[
        "explain",
        "--file",
        CONFIG,
        "--json",
        "--in",
        "eth0",
        "tcp",
        "192.0.2.9:40000",
        "198.51.100.7:80",
    ]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        found,
        serde_json::json!({
            "packet": "tcp 192.0.2.9:40000 -> 198.51.100.7:80 [syn], arriving at eth0 (network)",
            "verdict": "drop",
            "outcome": "drop",
            "exemptions": [],
            "rule": "inbound_port",
            "reason": "inbound_port",
            "out": null,
            "steps": [
                { "subject": "port", "finding": "80: is a watched port" },
                {
                    "subject": "to",
                    "finding": "198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24); \
                                80/tcp is forbidden there",
                },
            ],
            "summary": "DROP: rule 1, a forbidden port of a dynamic pool",
            "asked": format!("the file {CONFIG}"),
            "otherwise": null,
        })
    );
}

#[test]
fn a_packet_that_cannot_be_is_wrong_usage() {
    for (arguments, complaint) in [
        (
            "eth0 tcp 192.0.2.9 198.51.100.7:80",
            "\"192.0.2.9\": write an address with a port, like 203.0.113.9:25 or [2001:db8::9]:25",
        ),
        (
            "eth0 icmp 192.0.2.9:1 198.51.100.7",
            "\"192.0.2.9:1\": write an address without a port, icmp has none",
        ),
        (
            "eth0 tpc 192.0.2.9:1 198.51.100.7:80",
            "\"tpc\" is no protocol: use tcp, udp, sctp, dccp, udplite, icmp or an IP protocol number",
        ),
        (
            "eth9 tcp 192.0.2.9:1 198.51.100.7:80",
            "interface eth9 is not in the configuration; it has eth1, eth0",
        ),
        (
            "eth0 tcp 192.0.2.9:1 [2001:db8::1]:80",
            "tcp 192.0.2.9:1 -> [2001:db8::1]:80 [syn]: one address is IPv4, the other IPv6",
        ),
        (
            "eth0 tcp 192.0.2.9:1 198.51.100.7:80 --flags syn,xyz",
            "\"xyz\" is no TCP flag: use fin, syn, rst, psh, ack, urg, separated by commas, or none",
        ),
    ] {
        let words: Vec<&str> = ["explain", "--file", CONFIG, "--in"]
            .into_iter()
            .chain(arguments.split(' '))
            .collect();
        let output = poolguard(&words);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors, format!("poolguard: {complaint}\n"));
    }
}

#[test]
fn by_wire_it_says_where_a_packet_comes_out() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("by-wire.toml");
    let text = std::fs::read_to_string(CONFIG).unwrap();
    let text = text.replace("include = [", "forwarding = \"wire\"\n# include = [");
    let wire = "[[wire]]\nends = [\"eth1\", \"eth0\"]\n";
    std::fs::write(&file, format!("{text}{wire}")).unwrap();
    let explain = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_poolguard"))
            .args(["explain", "--file"])
            .arg(&file)
            .args(["--json", "--in"])
            .args(words.split(' '))
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["summary"].clone(), json["out"].clone())
    };
    let (summary, out) = explain("eth0 tcp 192.0.2.9:40000 198.51.100.7:81");
    let text = "PASS: no rule concerns this port; it goes out of eth1, by wire";
    assert_eq!((summary, out), (text.into(), "eth1".into()));
    let (summary, out) = explain("eth1 tcp 198.51.100.7:40000 192.0.2.9:80");
    let text =
        "PASS: this port is not forbidden toward this destination; it goes out of eth0, by wire";
    assert_eq!((summary, out), (text.into(), "eth0".into()));
    let (summary, out) = explain("eth0 tcp 192.0.2.9:40000 198.51.100.7:80");
    let text = "DROP: rule 1, a forbidden port of a dynamic pool";
    assert_eq!((summary, out), (text.into(), serde_json::Value::Null));
}

#[test]
fn a_port_of_a_range_is_explained_by_the_range() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("ranges.toml");
    let text = std::fs::read_to_string(CONFIG).unwrap();
    let list = "forbidden = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080]";
    let ranges = "forbidden = [\"20-30\", 443, \"8000-8080\", \"8010-8020/tcp\"]";
    assert!(text.contains(list));
    std::fs::write(
        &file,
        text.replace(list, ranges)
            .replace("include = [", "# include = ["),
    )
    .unwrap();
    let explain = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_poolguard"))
            .args(["explain", "--file"])
            .arg(&file)
            .arg("--in")
            .args(words.split(' '))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(str::to_owned);
        lines.skip(1).take(2).collect::<Vec<_>>()
    };
    let dialup = "198.51.100.7 is in pool dialup-east (dynamic, 198.51.100.0/24)";
    assert_eq!(
        explain("eth0 udp 192.0.2.9:40000 198.51.100.7:8042"),
        [
            "port     8042: is a watched port, of 8000-8080".to_owned(),
            format!("to       {dialup}; 8042/udp is forbidden there by 8000-8080"),
        ]
    );
    assert_eq!(
        explain("eth0 tcp 192.0.2.9:40000 198.51.100.7:8015"),
        [
            "port     8015: is a watched port, of 8010-8020".to_owned(),
            format!("to       {dialup}; 8015/tcp is forbidden there by 8010-8020/tcp"),
        ]
    );
    assert_eq!(
        explain("eth0 udp 192.0.2.9:40000 198.51.100.7:8015"),
        [
            "port     8015: is a watched port, of 8010-8020".to_owned(),
            format!("to       {dialup}; 8015/udp is forbidden there by 8000-8080"),
        ]
    );
    assert_eq!(
        explain("eth0 tcp 192.0.2.9:40000 198.51.100.7:443"),
        [
            "port     443: is a watched port".to_owned(),
            format!("to       {dialup}; 443/tcp is forbidden there"),
        ]
    );
}
