//! The real binary under `forwarding = "wire"`: what it says of its wires, and that
//! frames go on whatever becomes of it. Needs root.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use filter_common::Protocol;
use lab::{
    CONFIG, Machine, Port, by_wire,
    cable::{has_tcx, mtu_to_redirect, tells_abilities},
    command,
    cpu::{leave_this_cpu, stay_on_this_cpu},
    last_line, metric,
};
use poolguard_tests::{
    configs::address,
    frames::{ip, transport},
};

/// A frame that passes, with a number in it.
fn numbered(number: u64) -> Vec<u8> {
    let mut payload = transport::segment(Protocol::Udp, 9, 9);
    payload.extend_from_slice(&number.to_be_bytes());
    let [from, to] = ["192.0.2.201", "192.0.2.202"].map(address);
    let udp = Protocol::Udp.number();
    ip(from, to, udp, &payload).arrival().bytes
}

/// Whether an interface takes frames for others because it was told to.
fn is_promiscuous(machine: &Machine, interface: &str) -> bool {
    let show = format!("link show {interface}");
    machine.namespace.ip(&show).contains("PROMISC")
}

/// The far ends of the cables.
fn ports(machine: &Machine) -> [Port; 2] {
    ["eth0", "eth1"].map(|interface| Port::open(&machine.outside, interface))
}

/// That frames go through, both ways.
#[track_caller]
fn forwards(ports: &mut [Port; 2], first: u64) {
    for (from, number) in (0..2).zip(first..) {
        let frame = numbered(number);
        ports[from].send(&frame);
        assert_eq!(ports[1 - from].receive().unwrap(), frame);
    }
}

#[test]
fn the_kernel_forwards_beside_the_wires() {
    let machine = Machine::by_wire();
    machine.add_veth("eth2");
    machine.namespace.ip("addr add 203.0.113.1/30 dev eth2");
    machine.outside.ip("addr add 203.0.113.2/30 dev eth2");
    machine.configure(&format!(
        "{}[[interface]]\nname = \"eth2\"\nrole = \"mixed\"\nforwarding = \"kernel\"\n",
        by_wire(CONFIG)
    ));
    let _running = machine.start();

    // What comes in beside the wires is filtered.
    let toward = |port: u16| {
        let [from, to] = ["203.0.113.2", "198.51.100.7"].map(address);
        let segment = transport::segment(Protocol::Tcp, 40_000, port);
        ip(from, to, Protocol::Tcp.number(), &segment)
            .arrival()
            .bytes
    };
    Port::open(&machine.outside, "eth2").send(&toward(80));

    // What comes in at a wire goes out of its other end, what comes in beside them to
    // the kernel, which answers.
    forwards(&mut ports(&machine), 0);
    let asked = machine
        .outside
        .command("ping")
        .args(["-c1", "-W5", "203.0.113.1"])
        .output();
    assert!(asked.unwrap().status.success());

    let count = |name: &str| metric(&machine.get("/metrics").1, name);
    let dropped = "poolguard_dropped_packets_total{pool=\"dialup\",rule=\"inbound_port\"}";
    assert_eq!(count(dropped), 1);
    assert!(count("poolguard_passed_packets_total{interface=\"eth2\"}") > 0);

    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    let text = String::from_utf8(machine.poolguard("status").stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("eth2")).unwrap();
    assert!(row.contains("the kernel"), "{text}");
    assert_eq!(
        machine.status()["interfaces"][2]["wire"],
        serde_json::Value::Null
    );
}

#[test]
fn it_says_how_its_wires_are() {
    let machine = Machine::by_wire();
    let mut running = machine.start();
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    let status = machine.status();
    let way = if has_tcx() { "tcx" } else { "clsact" };
    assert_eq!(status["forwarding"], "wire");
    assert_eq!(
        status["interfaces"][0],
        serde_json::json!({
            "name": "eth1", "role": "customer", "mode": "native", "attached": true, "outdated": false,
            "problem": null, "wire": { "peer": "eth0", "up": true, "problem": null },
            "egress": { "configured": "filter", "way": way, "behind": false },
        })
    );
    let text = machine.poolguard("status").stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(": enforce, forwarding wire, generation 1,"),
        "{text}"
    );
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        "INTERFACE ROLE MODE ATTACHED EGRESS PASSED GOES TO UP",
        &format!("eth1 customer native yes {way} 0 eth0 yes"),
        "eth0 network native yes off 0 eth1 yes",
    ] {
        let row: Vec<&str> = row.split(' ').collect();
        assert!(lines.contains(&row), "{row:?} in {text}");
    }
    let up = |interface: &str, peer: &str| {
        let (_, text) = machine.get("/metrics");
        let labels = format!("{{interface=\"{interface}\",peer=\"{peer}\"}}");
        metric(&text, &format!("poolguard_wire_up{labels}"))
    };
    assert_eq!((up("eth1", "eth0"), up("eth0", "eth1")), (1, 1));

    let far = |words: &str| machine.outside.ip(words);
    let mtu = mtu_to_redirect();
    machine.namespace.ip("link set eth0 mtu 1400");
    let line = running.log_until("NOT FORWARDED");
    let problem = format!("the MTU is {mtu} here and 1400 on eth0: larger frames are lost");
    assert!(line.contains(&problem), "{line}");
    let (code, ready) = machine.get("/readyz");
    assert_eq!(code, 503);
    assert!(
        ready.contains(&format!("not forwarding from eth1: {problem}\n")),
        "{ready}"
    );
    assert_eq!((up("eth1", "eth0"), up("eth0", "eth1")), (0, 0));
    assert_eq!(
        machine.status()["interfaces"][0]["wire"]["problem"],
        problem
    );
    machine.namespace.ip(&format!("link set eth0 mtu {mtu}"));
    running.log_until("the wire forwards again");
    assert_eq!(machine.get("/readyz").0, 200);

    far("link set eth0 down");
    running.log_until("eth0 is down: nothing goes out of it");
    // What comes in there would go out at the other end.
    assert_eq!((up("eth1", "eth0"), up("eth0", "eth1")), (0, 1));
    far("link set eth0 up");
    running.log_until("the wire forwards again");

    machine.namespace.ip("link delete eth0");
    running.log_until("eth0 is gone, and what is permitted ends here");
    assert_eq!(machine.get("/readyz").0, 503);
    assert_eq!(up("eth1", "eth0"), 0);
    running.stop();
}

#[test]
fn what_no_longer_works_is_said() {
    let machine = Machine::by_wire();
    let ip = |words: &str| machine.namespace.ip(words);
    ip("address add 192.0.2.1/24 dev eth0");
    ip("link add br0 up type bridge");
    ip("link set eth1 master br0");
    let mut running = machine.start();
    for words in [
        ["is a port of a bridge or bond", "eth1", "br0"],
        ["has addresses", "eth0", "192.0.2.1/24"],
    ] {
        let line = running.log_until(words[0]);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    assert!(machine.poolguard("reload").status.success());
    let log = running.stop();
    assert!(!log.contains("has addresses"), "once is enough: {log}");
    assert!(log.contains("NOTHING IS FORWARDED here any more"), "{log}");
}

#[test]
fn frames_go_on_without_a_controller_until_somebody_detaches() {
    let machine = Machine::by_wire();
    machine.start_with("run").kill();
    let mut ports = ports(&machine);
    forwards(&mut ports, 1);
    machine.start_with("run").stop();
    forwards(&mut ports, 3);
    let output = machine.poolguard("detach");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "detached: nothing is enforced any more, and NOTHING IS FORWARDED on eth0, eth1: the wires \
         went with the filter\n"
    );
    for interface in ["eth0", "eth1"] {
        assert!(!is_promiscuous(&machine, interface), "{interface}");
    }
    // The same of one that runs.
    let running = machine.start_with("run");
    let output = machine.poolguard("detach --json");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        told,
        serde_json::json!({ "detached": true, "cut": ["eth1", "eth0"] })
    );
    running.ended();
    assert!(!is_promiscuous(&machine, "eth0") && !machine.pins().exists());
}

#[test]
fn a_wire_whose_ends_do_not_fit_is_not_joined_until_they_do() {
    let machine = Machine::by_wire();
    machine.namespace.ip("link set eth1 mtu 1400");
    let mtu = mtu_to_redirect();
    let mut running = machine.start();
    let line = running.log_until("cannot be attached to as configured");
    let why = format!(
        "wire eth1 - eth0: the MTU is 1400 on eth1 and {mtu} on eth0, and what is larger than the \
         smaller one would be lost: `ip link set dev eth1 mtu {mtu}`, or the other way round"
    );
    assert!(line.contains(&why), "{line}");
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 503);
    for interface in ["eth0", "eth1"] {
        assert!(
            text.contains(&format!("not enforcing on {interface}: {why}")),
            "all or nothing: {text}"
        );
        assert!(!is_promiscuous(&machine, interface), "{interface}");
        let shown = machine.namespace.ip(&format!("-d link show {interface}"));
        assert!(!shown.contains("prog/xdp"), "{shown}");
    }
    machine.namespace.ip(&format!("link set eth1 mtu {mtu}"));
    for _ in 0..2 {
        running.log_until("the interface is there: enforcing on it");
    }
    forwards(&mut ports(&machine), 1);
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
}

#[test]
fn a_reload_forwards_elsewhere_only_when_it_is_forced_to() {
    let machine = Machine::by_wire();
    let running = machine.start();
    let mut ports = ports(&machine);
    machine.configure(CONFIG);
    let output = machine.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not reloaded, generation 1 stays in force: it would forward elsewhere what \
         eth1, eth0 permits (forwarding, [[wire]]). If that is meant: `poolguard reload --force`"
    );
    forwards(&mut ports, 1);
    assert!(machine.poolguard("reload --force").status.success());
    assert_eq!(machine.status()["forwarding"], "kernel");
    assert!(!is_promiscuous(&machine, "eth0"), "set back");
    let diff = machine.poolguard("diff");
    assert_eq!(diff.stdout, b"nothing would change\n");
    machine.configure(&by_wire(CONFIG));
    let diff = String::from_utf8(machine.poolguard("diff").stdout).unwrap();
    assert!(
        diff.contains("+ forwarding = \"wire\"\n+ wire eth0 - eth1\n"),
        "{diff}"
    );
    assert_eq!(machine.poolguard("reload").status.code(), Some(1));
    assert!(machine.poolguard("reload --force").status.success());
    forwards(&mut ports, 3);
    running.stop();
}

#[test]
fn a_trial_of_a_wire_goes_back_by_itself() {
    let machine = Machine::by_wire();
    machine.configure(CONFIG);
    let mut running = machine.start();
    machine.configure(&by_wire(CONFIG));
    let tried = machine.poolguard("reload --force --confirm 1s");
    assert!(tried.status.success(), "{tried:?}");
    running.log_until("not confirmed in time");
    assert_eq!(machine.status()["forwarding"], "kernel");
    assert!(!is_promiscuous(&machine, "eth0") && !is_promiscuous(&machine, "eth1"));
    running.stop();
}

#[test]
fn reloads_and_restarts_under_traffic_lose_no_frame() {
    /// Fewer than a cable holds.
    const BURST: u64 = 64;
    let machine = Machine::by_wire();
    let mut running = Some(machine.start_with("run"));
    let mut ports = ports(&machine);
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            stay_on_this_cpu();
            while !done.load(Ordering::Relaxed) {
                let first = sent.load(Ordering::Relaxed);
                let numbers = first..first + BURST;
                for from in 0..2 {
                    let frames = numbers.clone().map(numbered);
                    frames.clone().for_each(|frame| ports[from].send(&frame));
                    let far = &mut ports[1 - from];
                    let arrived: BTreeSet<_> = (0..BURST).map_while(|_| far.receive()).collect();
                    assert_eq!(arrived, frames.collect(), "none is lost");
                }
                sent.store(first + BURST, Ordering::Relaxed);
            }
        });
        let ends = SetOnDrop(&done);
        leave_this_cpu();
        for round in 0..4 {
            let before = sent.load(Ordering::Relaxed);
            if round % 2 == 0 {
                assert!(machine.poolguard("reload").status.success());
            } else {
                running.take().unwrap().kill();
                running = Some(machine.start_with("run"));
            }
            assert!(
                sent.load(Ordering::Relaxed) > before,
                "frames went on meanwhile"
            );
        }
        drop(ends);
        traffic.join().unwrap();
    });
    let (_, text) = machine.get("/metrics");
    let counted = |interface: &str| {
        let of = |name: &str| {
            metric(
                &text,
                &format!("poolguard_{name}_total{{interface=\"{interface}\"}}"),
            )
        };
        (of("passed_packets"), of("wire_unsent_packets"))
    };
    let sent = sent.into_inner();
    assert_eq!([counted("eth0"), counted("eth1")], [(sent, 0); 2]);
    println!("{sent} frames each way");
    running.unwrap().stop();
}

/// Tells a thread to end, however the one that waits for it ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_far_end_that_takes_nothing_any_more_is_noticed() {
    let machine = Machine::by_wire();
    let mut running = machine.start();
    let off = "-K eth0 gro off";
    machine.outside.run(|| command("ethtool", off));
    if tells_abilities() {
        running.log_until("eth0 does not send what is redirected to it");
    }
    running.stop();
}
