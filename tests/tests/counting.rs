//! Whose counters are whose, when names come and go: over reloads, restarts and
//! upgrades of the real binary. Needs root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData};
use lab::{CONFIG, Machine, Port, command};
use poolguard_tests::{configs, frames::tcp};

/// What is exported of a pool's drops; none where it is not.
fn dropped(machine: &Machine, pool: &str) -> Option<u64> {
    let name = format!("poolguard_dropped_packets_total{{pool={pool:?},rule=\"inbound_port\"}} ");
    value(&machine.get("/metrics").1, &name)
}

fn value(metrics: &str, series: &str) -> Option<u64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(series));
    value.map(|value| value.parse().unwrap())
}

/// Sends frames that are dropped, and waits until a pool has so many.
fn drop_frames(machine: &Machine, to: Ipv4Addr, frames: u64, pool: &str, wanted: u64) {
    let mut port = Port::open(&machine.outside, "eth0");
    let frame = tcp(([192, 0, 2, 9].into(), 40_000), (to.into(), 80));
    for _ in 0..frames {
        port.send(&frame.arrival().bytes);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while dropped(machine, pool) != Some(wanted) {
        assert!(Instant::now() < deadline, "{:?}", dropped(machine, pool));
    }
}

/// Every family is told of once, and every series.
fn is_well_formed(metrics: &str) {
    let mut seen = BTreeSet::new();
    for line in metrics.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let what = match words[0] {
            "#" => &words[1..3],
            _ => &words[..words.len() - 1],
        };
        assert!(seen.insert(what.join(" ")), "{line} once more");
    }
}

fn succeeds(machine: &Machine, words: &str) {
    let output = machine.poolguard(words);
    assert!(output.status.success(), "{words}: {output:?}");
}

#[test]
fn names_come_and_go_for_ever_and_start_check_and_reload_agree() {
    let pools = |word: &str| configs::six_hundred_pools(word).text;
    // The last one.
    let address = Ipv4Addr::new(10, 2, 87, 7);
    let machine = Machine::new();
    machine.configure(&pools("one"));
    let mut running = machine.start_with("run");
    drop_frames(&machine, address, 3, "one-599", 3);

    machine.configure(&pools("two"));
    succeeds(&machine, "check");
    succeeds(&machine, "reload --force");
    let log = running.log_until("these counters are gone");
    assert!(log.contains(r#""one-0", "one-1""#), "{log}");
    assert!(log.contains("and 160 more"), "{log}");
    assert_eq!(dropped(&machine, "one-0"), None);
    assert_eq!(
        dropped(&machine, "one-599"),
        Some(3),
        "there was room for it"
    );
    drop_frames(&machine, address, 2, "two-599", 2);
    running.kill();

    // By a start.
    machine.configure(&pools("three"));
    succeeds(&machine, "check");
    let mut running = machine.start_with("run");
    running.log_until("these counters are gone");
    assert_eq!(dropped(&machine, "one-599"), None);
    assert_eq!(dropped(&machine, "two-599"), Some(2));
    drop_frames(&machine, address, 1, "three-599", 1);
    running.kill();
    let running = machine.start_with("run");
    assert_eq!(dropped(&machine, "two-599"), Some(2));
    assert_eq!(dropped(&machine, "three-599"), Some(1));

    // One that comes back when it was forgotten begins at zero.
    machine.configure(&pools("one"));
    succeeds(&machine, "check");
    succeeds(&machine, "reload --force");
    assert_eq!(dropped(&machine, "one-599"), Some(0));
    assert_eq!(dropped(&machine, "three-599"), Some(1));
    is_well_formed(&machine.get("/metrics").1);
    running.stop();
}

#[test]
fn what_is_refused_leaves_no_name_behind() {
    let machine = Machine::new();
    let running = machine.start();
    // A bridge has no XDP of its own: that is found out last.
    machine.namespace.ip("link add br7 up type bridge");
    machine.configure(&format!(
        "{CONFIG}[[interface]]\nname = \"br7\"\nrole = \"network\"\n\
         [[pool]]\nname = \"second\"\nkind = \"dynamic\"\nprefixes = [\"10.0.0.0/24\"]\n"
    ));
    let output = machine.poolguard("reload --force");
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(dropped(&machine, "second"), None);
    let address = Ipv4Addr::new(198, 51, 100, 7);
    drop_frames(&machine, address, 2, "dialup", 2);
    let maps = fs::read_dir(machine.pins().join("maps-1")).unwrap();
    let names = maps.map(|map| map.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.collect();
    let wanted = ["books", "counters-1", "flows", "judged", "judged-below"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(wanted));
    running.stop();
}

/// Interfaces that come with other names, ports that are watched for a while.
#[test]
fn interfaces_and_ports_come_and_go_as_well() {
    let machine = Machine::new();
    let config = |absent: &str, port: u16| {
        format!(
            "{CONFIG}[[interface]]\nname = \"{absent}\"\nrole = \"network\"\n\
             [ports]\nforbidden = [80, {port}]\n"
        )
    };
    machine.configure(&config("late0", 1000));
    let running = machine.start_with("run");
    let address = Ipv4Addr::new(198, 51, 100, 7);
    drop_frames(&machine, address, 2, "dialup", 2);
    for round in 1..4_u16 {
        machine.configure(&config(&format!("late{round}"), 1000 + round));
        succeeds(&machine, "check");
        succeeds(&machine, "reload --force");
        let sent = 2 + u64::from(round);
        drop_frames(&machine, address, 1, "dialup", sent);
        let metrics = machine.get("/metrics").1;
        is_well_formed(&metrics);
        let series = "poolguard_dropped_by_port_packets_total\
                      {direction=\"inbound\",port=\"80\",proto=\"tcp\"} ";
        assert_eq!(value(&metrics, series), Some(sent));
        for name in [format!("late{round}"), "late0".to_owned()] {
            let series = format!("poolguard_passed_packets_total{{interface={name:?}}} ");
            assert_eq!(value(&metrics, &series), Some(0), "{name}");
        }
    }
    running.stop();
}

/// The element of the notes that a poolguard left whose generations shared their
/// counters: the length of a text, and the text.
const SHARED_NOTES: usize = 4 + 256 * 1024;

/// Makes of what a controller left what one of that poolguard would have left.
fn share_counters(machine: &Machine, slots: &str) {
    let maps = machine.pins().join("maps-1");
    fs::rename(maps.join("counters-1"), maps.join("counters")).unwrap();
    fs::remove_file(maps.join("books")).unwrap();
    let notes = maps.join("notes");
    let create = format!(
        "map create {} type array key 4 value {SHARED_NOTES} entries 1 name notes",
        notes.display()
    );
    command("bpftool", &create);
    let text = format!(
        r#"{{"slots":{slots},"counting_since":"2026-01-02T03:04:05Z","generation":41,
            "reloads":7,"reload_failures":2,"attachments":{{"eth0":3}}}}"#
    );
    let mut element = vec![0; SHARED_NOTES];
    element[..4].copy_from_slice(&(text.len() as u32).to_ne_bytes());
    element[4..][..text.len()].copy_from_slice(text.as_bytes());
    let element: Box<[u8; SHARED_NOTES]> = element.into_boxed_slice().try_into().unwrap();
    let map = Map::Array(MapData::from_pin(&notes).unwrap());
    let mut map: Array<_, [u8; SHARED_NOTES]> = map.try_into().unwrap();
    map.set(0, element, 0).unwrap();
}

/// What an upgrade finds goes on counting in one map until it is taken over, and is
/// added to what is counted afterwards.
#[test]
fn an_upgrade_takes_over_what_is_counted_in_one_place() {
    let machine = Machine::new();
    let address = Ipv4Addr::new(198, 51, 100, 7);
    let running = machine.start_with("run");
    drop_frames(&machine, address, 5, "dialup", 5);
    running.kill();
    share_counters(
        &machine,
        r#"{"pools":["none","dialup","gone"],"ports":[],"interfaces":["eth1","eth0","old0"]}"#,
    );
    // Nobody is there to read it.
    let mut port = Port::open(&machine.outside, "eth0");
    let frame = tcp(([192, 0, 2, 9].into(), 40_000), (address.into(), 80));
    for _ in 0..4 {
        port.send(&frame.arrival().bytes);
    }
    let running = machine.start_with("run");
    drop_frames(&machine, address, 2, "dialup", 11);
    assert_eq!(dropped(&machine, "gone"), Some(0));
    let status = machine.status();
    assert_eq!(status["generation"], 42);
    assert_eq!(status["reloads"]["total"], 7);
    assert_eq!(status["counting_since"], "2026-01-02T03:04:05Z");
    let maps = machine.pins().join("maps-1");
    for old in ["counters", "notes"] {
        assert!(!maps.join(old).exists(), "{old}");
    }
    running.kill();
    let running = machine.start();
    assert_eq!(dropped(&machine, "dialup"), Some(11));
    running.stop();
}
