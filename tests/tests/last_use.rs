//! When exemptions were last used, as the program marks it and the commands say it. Needs
//! root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::IpAddr,
    time::{Duration, Instant},
};

use lab::{CONFIG, Machine, Port, by_wire, metric};
use poolguard_tests::frames::{link::ethertype::VLAN, tcp};
use serde_json::Value;

/// Prefixes of every length that ends in another way: in the root, in a branch, in a leaf
/// full of others, in one that is nearly empty, and around one another.
const PREFIXES: &[&str] = &[
    "10.0.0.0/12",
    "10.1.0.0/16",
    "10.1.2.0/23",
    "10.2.0.0/24",
    "10.2.0.0/25",
    "10.2.1.7/32",
    "10.2.1.8/32",
    "10.2.1.9/32",
    "2001:db8::/40",
    "2001:db8:0:100::/56",
    "2001:db8:0:200::/56",
    "2001:db8:0:200::1/128",
    "2001:db8:0:200::2/128",
];
/// So many customers in one /24: more than a sparse leaf has room for.
const NEIGHBOURS: std::ops::Range<u8> = 0..200;

fn all() -> Vec<String> {
    let neighbours = NEIGHBOURS.map(|last| format!("10.2.2.{last}/32"));
    let prefixes = PREFIXES.iter().map(|&prefix| prefix.to_owned());
    prefixes.chain(neighbours).collect()
}

/// All of them are exempted from the same.
fn config() -> String {
    let mut text = format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n"
    );
    for (number, prefix) in all().iter().enumerate() {
        let customer = format!(
            "[[customer]]\nname = \"customer-{number}\"\nprefixes = [\"{prefix}\"]\n\
             allow_inbound = [80]\nallow_smtp_out = true\n"
        );
        let _infallible = write!(text, "{customer}");
    }
    text
}

/// Has the controller look at once: it does before tables change.
fn look(machine: &Machine) {
    let add = "exempt add 10.9.0.1 443 --expires 1h --reason test --json";
    let added: Value = json(machine, add);
    json(machine, &format!("exempt remove {} --json", added["id"]));
}

fn json(machine: &Machine, words: &str) -> Value {
    let output = machine.poolguard(words);
    assert!(output.status.success(), "{words}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The prefixes that were used, of those that are watched.
fn used(machine: &Machine) -> BTreeSet<String> {
    let listed = json(machine, "exempt list --unused 0 --json");
    let listed = listed["exemptions"].as_array().unwrap();
    let used = listed
        .iter()
        .filter(|listed| !listed["last_used"].is_null());
    used.map(|listed| listed["prefix"].as_str().unwrap().to_owned())
        .collect()
}

fn exempted(machine: &Machine) -> u64 {
    let text = machine.get("/metrics").1;
    let of =
        |rule| format!("poolguard_exempted_packets_total{{pool=\"business\",rule=\"{rule}\"}}");
    metric(&text, &of("inbound_port")) + metric(&text, &of("smtp_out"))
}

/// Sends a frame to each address, and waits until so many more are exempted.
fn send(machine: &Machine, addresses: &[&str], port: u16, more: u64) {
    let before = exempted(machine);
    let mut outside = Port::open(&machine.outside, "eth0");
    for address in addresses {
        let address: IpAddr = address.parse().unwrap();
        let stranger = match address {
            IpAddr::V4(_) => "192.0.2.9",
            IpAddr::V6(_) => "2001:db9::9",
        };
        let frame = tcp((stranger.parse().unwrap(), 40_000), (address, port));
        outside.send(&frame.tag(VLAN, 7).arrival().bytes);
    }
    wait_for(machine, before + more);
}

fn wait_for(machine: &Machine, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while exempted(machine) != wanted {
        assert!(
            Instant::now() < deadline,
            "{} not {wanted}",
            exempted(machine)
        );
    }
}

fn named(prefixes: &[&str]) -> BTreeSet<String> {
    prefixes.iter().map(|&prefix| prefix.to_owned()).collect()
}

fn tell(machine: &Machine) {
    let running = machine.start_with("run");
    assert_eq!(used(machine), named(&[]));
    // What is dropped, and what nobody watches, uses nothing: another follows, so that
    // all of them have come.
    send(machine, &["10.2.1.7", "2001:db8:0:200::1"], 443, 0);
    send(machine, &["10.2.1.7", "2001:db8:0:200::1"], 8081, 0);
    send(machine, &["10.2.1.8", "10.2.2.77"], 80, 2);
    look(machine);
    let mut wanted = named(&["10.2.1.8/32", "10.2.2.77/32"]);
    assert_eq!(used(machine), wanted);
    let more = [
        "10.3.0.1",
        "10.1.0.9",
        "10.1.3.255",
        "10.2.0.200",
        "10.2.0.9",
        "2001:db8:0:f00::9",
        "2001:db8:0:1ff::",
        "2001:db8:0:200::2",
    ];
    send(machine, &more, 80, more.len() as u64);
    look(machine);
    wanted.extend(named(&[
        "10.0.0.0/12",
        "10.1.0.0/16",
        "10.1.2.0/23",
        "10.2.0.0/24",
        "10.2.0.0/25",
        "2001:db8::/40",
        "2001:db8:0:100::/56",
        "2001:db8:0:200::2/128",
    ]));
    assert_eq!(used(machine), wanted);
    // Mail that goes out. Its sender is exempted from rule 5.
    let before = exempted(machine);
    let mut inside = Port::open(&machine.outside, "eth1");
    let source = "2001:db8:0:200::5".parse().unwrap();
    let frame = tcp((source, 40_000), ("2001:db9::9".parse().unwrap(), 25));
    inside.send(&frame.arrival().bytes);
    wait_for(machine, before + 1);
    look(machine);
    wanted.extend(named(&["2001:db8:0:200::/56"]));
    assert_eq!(used(machine), wanted);
    // By those that are given for a while, beside others in the same leaf.
    let add = "exempt add 10.2.1.20 443 --expires 1h --reason test --json";
    json(machine, add);
    send(machine, &["10.2.1.20"], 443, 1);
    send(machine, &["10.2.1.9"], 80, 1);
    look(machine);
    wanted.extend(named(&["10.2.1.20/32", "10.2.1.9/32"]));
    assert_eq!(used(machine), wanted);
    let listed = json(machine, "exempt list --json");
    assert!(listed[0]["last_use"]["last_used"].is_string(), "{listed}");
    // A reload looks before it puts other tables there.
    send(machine, &["10.2.2.5"], 80, 1);
    json(machine, "reload --json");
    wanted.extend(named(&["10.2.2.5/32"]));
    assert_eq!(used(machine), wanted);
    // What frames mark while nobody looks is there when somebody does.
    send(machine, &["10.2.2.6"], 80, 1);
    let before = exempted(machine);
    running.kill();
    let mut outside = Port::open(&machine.outside, "eth0");
    let stranger = "192.0.2.9".parse().unwrap();
    let frame = tcp((stranger, 40_000), ("10.2.2.7".parse().unwrap(), 80));
    outside.send(&frame.arrival().bytes);
    let running = machine.start_with("run");
    wait_for(machine, before + 1);
    look(machine);
    let found = used(machine);
    assert!(found.contains("10.2.2.6/32"), "{found:?}");
    assert!(found.contains("10.2.2.7/32"), "{found:?}");
    let explain = "explain --in eth0 tcp 192.0.2.9:1 10.2.2.7:80";
    let output = machine.poolguard(explain);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("used     the exemption of 10.2.2.7/32: 20"),
        "{text}"
    );
    running.stop();
    assert!(machine.state_file("last-use.json").exists());
}

#[test]
fn the_program_marks_the_exemption_that_lets_a_frame_in_and_no_other() {
    let machine = Machine::new();
    machine.configure(&config());
    tell(&machine);
}

#[test]
fn by_wire_it_is_the_same() {
    let machine = Machine::by_wire();
    machine.configure(&by_wire(&config()));
    tell(&machine);
}
