//! The table in docs/operations/what-survives.md: what becomes of frames, event by event, with
//! the real binary, frames, and the kernel.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use lab::{CONFIG, Machine, Port, last_line};
use nix::sys::signal::{Signal, kill};
use poolguard_tests::frames::tcp;

const HANDBOOK: &str = include_str!("../../docs/operations/what-survives.md");

/// An event of the table, the beginning of what it says of frames, and the story.
type Row = (&'static str, &'static str, fn(&Machine));

const ROWS: &[Row] = &[
    ("SIGTERM, SIGINT", "decided as before", ends_in_order),
    ("SIGKILL, out of memory", "decided as before", is_killed),
    ("an upgrade of the binary", "decided as before", is_upgraded),
    ("a reload that fails", "decided as before", reload_fails),
    (
        "a start with a file that is wrong",
        "decided by [the last good",
        starts_with_a_wrong_file,
    ),
    (
        "a start that fails for want",
        "what an earlier run left attached decides as before",
        start_fails,
    ),
    (
        "a start with an interface that cannot",
        "decided on the others; not on this one",
        starts_without_an_interface,
    ),
    (
        "`/metrics` has no address",
        "decided as before",
        what_is_beside_fails,
    ),
    // Told in tests/tests/hanging.rs.
    (
        "the disk of the state directory does not answer",
        "decided as before",
        |_| {},
    ),
    // filter-user/tests/controller makes a controller panic at each of these.
    ("a defect of poolguard's", "decided as before", |_| {}),
    (
        "nobody restarts the controller",
        "decided as before, but exemptions do not end, and poolguard does not attach",
        nobody_restarts,
    ),
    (
        "an interface is deleted and created again",
        "nothing is filtered there until poolguard has attached again",
        interface_comes_back,
    ),
    ("an interface is renamed", "decided as before", is_renamed),
    // Both are told in tests/tests/whose_link.rs.
    (
        "an interface is given to another network namespace",
        "the filter is taken off it there",
        |_| {},
    ),
    (
        "a start of the same instance in another network namespace",
        "decided as before, where they were",
        |_| {},
    ),
    ("an interface is down", "none", is_down),
    (
        "somebody detaches the link",
        "**not decided** there until the controller notices",
        link_is_detached,
    ),
    (
        "somebody removes a pin",
        "decided as before; poolguard pins it again",
        pins_are_removed,
    ),
    // `cargo xtask systemd` boots the package.
    ("the machine reboots", "**not decided**", |_| {}),
];

#[test]
fn each_row_of_the_handbook_is_so() {
    let rows: Vec<Vec<&str>> = HANDBOOK
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).skip(1).collect())
        .collect();
    assert_eq!(
        rows.len(),
        ROWS.len(),
        "a row without a story, or the reverse"
    );
    for (row, (event, frames, story)) in rows.iter().zip(ROWS) {
        assert!(row[0].starts_with(event), "{} is not {event}", row[0]);
        assert!(row[1].starts_with(frames), "{} is not {frames}", row[1]);
        println!("{event}");
        let machine = Machine::with_bpffs();
        story(&machine);
    }
}

/// What becomes of frames.
#[derive(Debug, PartialEq, Eq)]
enum Frames {
    /// Those that are permitted pass, and no others.
    Decided,
    /// All pass.
    Undecided,
    /// None passes.
    None,
}

/// Sends a frame that is forbidden and then one that is not, in by an interface.
fn frames_at(machine: &Machine, interface: &str, cable: &str) -> Frames {
    const LONG: Duration = Duration::from_secs(2);
    let mut inside = Port::open(&machine.namespace, interface).with_patience(LONG);
    let mut outside = Port::open(&machine.outside, cable);
    let to = |port| {
        tcp(
            ([192, 0, 2, 9].into(), 40_000),
            ([198, 51, 100, 9].into(), port),
        )
    };
    let (forbidden, permitted) = (to(80).arrival().bytes, to(81).arrival().bytes);
    outside.send(&forbidden);
    outside.send(&permitted);
    let mut has_leaked = false;
    while let Some(frame) = inside.receive() {
        has_leaked |= frame == forbidden;
        if frame == permitted {
            return match has_leaked {
                true => Frames::Undecided,
                false => Frames::Decided,
            };
        }
    }
    Frames::None
}

fn frames(machine: &Machine) -> Frames {
    frames_at(machine, "eth0", "eth0")
}

/// Waits, as long as anything may take, until frames fare so.
#[track_caller]
fn until(machine: &Machine, wanted: Frames) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while frames(machine) != wanted {
        assert!(Instant::now() < deadline, "never {wanted:?}");
    }
}

fn shell(machine: &Machine, script: &str) {
    let mut sh = machine.program(Path::new("sh"));
    let output = machine.output({
        sh.args(["-ec", script]);
        sh
    });
    assert!(output.status.success(), "{script}: {output:?}");
}

/// A filter that the next lines rely on, left by a controller that was killed.
fn left(machine: &Machine) {
    assert_eq!(frames(machine), Frames::Undecided, "without poolguard");
    machine.start_with("run").kill();
    assert_eq!(frames(machine), Frames::Decided);
}

fn ends_in_order(machine: &Machine) {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let running = machine.start_with("run");
        kill(running.pid(), signal).unwrap();
        let log = running.ended();
        assert!(log.contains("STILL ENFORCING"), "{log}");
        assert_eq!(frames(machine), Frames::Decided, "{signal}");
    }
    assert!(machine.poolguard("detach").status.success());
    assert_eq!(
        frames(machine),
        Frames::Undecided,
        "`poolguard detach` takes it off"
    );
}

fn is_killed(machine: &Machine) {
    left(machine);
    let dropped = || {
        let (_, text) = machine.get("/metrics");
        let name = "poolguard_dropped_packets_total{pool=\"dialup\",rule=\"inbound_port\"}";
        lab::metric(&text, name)
    };
    let mut running = machine.start_with("run");
    running.log_until("taken over");
    let counted = dropped();
    assert!(counted >= 1, "no counter goes back");
    assert_eq!(frames(machine), Frames::Decided);
    running.kill();
    assert_eq!(frames(machine), Frames::Decided);
    let running = machine.start_with("run");
    assert!(dropped() >= counted + 2);
    running.kill();
}

fn is_upgraded(machine: &Machine) {
    // As dpkg does: the service is restarted with the new binary.
    machine.start_with("run").stop();
    assert_eq!(frames(machine), Frames::Decided);
    let mut running = machine.start_with("run");
    running.log_until("taken over");
    assert_eq!(frames(machine), Frames::Decided);
    running.stop();
}

fn reload_fails(machine: &Machine) {
    let running = machine.start_with("run");
    machine.configure("[[");
    let output = machine.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains("not reloaded"), "{output:?}");
    assert_eq!(frames(machine), Frames::Decided);
    machine.configure(&format!("{CONFIG}# another\n"));
    shell(machine, "mount -o remount,ro /sys/fs/bpf");
    assert_eq!(machine.poolguard("reload").status.code(), Some(1));
    assert_eq!(frames(machine), Frames::Decided);
    shell(machine, "mount -o remount,rw /sys/fs/bpf");
    running.stop();
}

fn starts_with_a_wrong_file(machine: &Machine) {
    left(machine);
    assert!(machine.poolguard("detach").status.success());
    for refused in ["[[", &CONFIG.replace("dynamic", "static")] {
        machine.configure(refused);
        assert_eq!(frames(machine), Frames::Undecided);
        let mut running = machine.start();
        running.log_until("the last good configuration goes on");
        assert_eq!(frames(machine), Frames::Decided, "{refused}");
        machine.configure(CONFIG);
        assert!(machine.poolguard("reload").status.success());
        running.stop();
    }
}

fn start_fails(machine: &Machine) {
    left(machine);
    let mut nobody = machine.program(Path::new("setpriv"));
    nobody.arg("--bounding-set=-all").arg("--no-new-privs");
    nobody.args(["--inh-caps=-all", "--reuid=65534", "--clear-groups"]);
    nobody.arg(machine.poolguard_for_all());
    nobody.args(machine.which("run")).arg("run");
    let output = machine.output(nobody);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        last_line(&output).contains("missing privileges"),
        "{output:?}"
    );
    assert_eq!(frames(machine), Frames::Decided);
}

fn starts_without_an_interface(machine: &Machine) {
    let third = "[[interface]]\nname = \"eth2\"\nrole = \"network\"\n";
    machine.configure(&format!("{third}{CONFIG}"));
    machine.namespace.ip("link add name eth2 type bridge");
    let mut running = machine.start();
    running.log_until("NOT ENFORCING");
    let (status, text) = machine.get("/readyz");
    assert_eq!(status, 503);
    assert!(text.contains("not enforcing on eth2"), "{text}");
    assert_eq!(frames(machine), Frames::Decided);
    // Once that is corrected, it is attached to.
    machine.namespace.ip("link delete eth2");
    machine.add_veth("eth2");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(frames_at(machine, "eth2", "eth2"), Frames::Decided);
    running.stop();
}

fn what_is_beside_fails(machine: &Machine) {
    let listen = || TcpListener::bind("127.0.0.1:9188").unwrap();
    let _taken = machine.namespace.run(listen);
    fs::write(machine.state(), "in the place of the directory").unwrap();
    let mut running = machine.start();
    assert_eq!(frames(machine), Frames::Decided);
    running.log_until("NOT SERVED");
    let status = machine.poolguard("status");
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("METRICS NOT SERVED"), "{status}");
    running.stop();
}

fn nobody_restarts(machine: &Machine) {
    let business =
        "[[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n";
    machine.configure(&format!("{CONFIG}{business}"));
    let running = machine.start_with("run");
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let exempt = format!("exempt add 203.0.113.9 80 --expires {expires} --reason trial");
    assert!(machine.poolguard(&exempt).status.success());
    running.kill();
    let mut outside = Port::open(&machine.outside, "eth0");
    let mut inside = Port::open(&machine.namespace, "eth0");
    while jiff::Timestamp::now() <= expires {
        std::thread::yield_now();
    }
    let exempted = tcp(
        ([192, 0, 2, 9].into(), 40_000),
        ([203, 0, 113, 9].into(), 80),
    );
    let exempted = exempted.arrival().bytes;
    outside.send(&exempted);
    let seen = std::iter::from_fn(|| inside.receive()).find(|frame| *frame == exempted);
    assert!(seen.is_some(), "exemptions do not end");
    assert_eq!(frames(machine), Frames::Decided);
    machine.namespace.ip("link delete eth0");
    machine.add_veth("eth0");
    assert_eq!(frames(machine), Frames::Undecided, "nothing attaches");
    let running = machine.start_with("run");
    until(machine, Frames::Decided);
    running.stop();
}

fn interface_comes_back(machine: &Machine) {
    let mut running = machine.start_with("run");
    machine.namespace.ip("link delete eth0");
    running.log_until("the interface or its link is gone");
    assert_eq!(machine.get("/readyz").0, 503);
    machine.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(frames(machine), Frames::Decided);
    running.stop();
}

fn is_renamed(machine: &Machine) {
    let running = machine.start_with("run");
    machine.namespace.ip("link set eth0 down");
    machine.namespace.ip("link set eth0 name uplink");
    machine.namespace.ip("link set uplink up");
    assert_eq!(frames_at(machine, "uplink", "eth0"), Frames::Decided);
    running.stop();
}

fn is_down(machine: &Machine) {
    let running = machine.start_with("run");
    machine.namespace.ip("link set eth0 down");
    let mut outside = Port::open(&machine.outside, "eth1");
    outside.send(&[0; 60]);
    machine.namespace.ip("link set eth0 up");
    until(machine, Frames::Decided);
    running.stop();
}

fn link_is_detached(machine: &Machine) {
    let mut running = machine.start_with("run");
    let pin = machine.link_pin("eth0");
    let mut bpftool = machine.program(Path::new("bpftool"));
    bpftool.args(["link", "detach", "pinned"]).arg(pin);
    assert!(succeeds(machine, bpftool));
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(frames(machine), Frames::Decided);
    running.stop();
}

fn pins_are_removed(machine: &Machine) {
    let running = machine.start_with("run");
    let links = machine.pins().join("links");
    shell(machine, &format!("rm {}/native/*", links.display()));
    shell(
        machine,
        &format!("rm {}/maps-1/*", machine.pins().display()),
    );
    assert_eq!(frames(machine), Frames::Decided);
    let deadline = Instant::now() + Duration::from_secs(60);
    let list = format!(
        "ls {0}/links/native/*-eth0 {0}/maps-1/books",
        machine.pins().display()
    );
    let are_there = || {
        let mut sh = machine.program(Path::new("sh"));
        sh.args(["-ec", &list]);
        succeeds(machine, sh)
    };
    while !are_there() {
        assert!(Instant::now() < deadline, "pinned again");
    }
    running.kill();
    assert_eq!(frames(machine), Frames::Decided);
}

fn succeeds(machine: &Machine, command: Command) -> bool {
    machine.output(command).status.success()
}
