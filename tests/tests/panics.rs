//! Panics, wherever they are: they refuse what was asked for, and nothing else. What
//! nobody asked for is tried again, the filter goes on, and the log says what to report.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use lab::{CONFIG, Machine, Running, last_line};
use nix::sys::signal::{Signal, kill};
use serde_json::json;

/// What a command is refused for.
const ASKED: [(&str, &str); 15] = [
    ("reading the configuration", "reload"),
    ("reading the configuration", "diff"),
    ("compiling", "reload"),
    ("compiling", EXEMPT),
    ("keeping the configuration", "reload"),
    ("putting into force", "reload"),
    ("comparing the configurations", "reload"),
    ("comparing the configurations", "diff"),
    ("answering", "status"),
    ("answering", "exempt list"),
    ("answering", "diff"),
    (
        "explaining",
        "explain --in eth0 tcp 192.0.2.9:40000 203.0.113.20:80",
    ),
    ("beginning a reload", "reload"),
    ("finishing a reload", "reload"),
    ("detaching", "detach"),
];

const EXEMPT: &str = "exempt add 203.0.113.9 80 --expires 1h --reason test";

/// What is done every few seconds.
const AGAIN_AND_AGAIN: [&str; 8] = [
    "looking after the interfaces",
    "reading the counters",
    "telling the service manager",
    "looking after the control socket",
    "looking after what is kept",
    "serving the metrics",
    "going by the clock",
    "looking at which exemptions are used",
];

/// The steps of a start that it does without.
const AT_A_START: [&str; 5] = [
    "keeping the configuration",
    "reading what was kept",
    "reading the configuration that was kept",
    "reading what was counted",
    "telling of interfaces",
];

/// The steps of a start without which nothing can be put into force.
const ENDS_A_START: [&str; 3] = ["starting", "compiling", "putting into force"];

/// Those that tests of their own are about.
const BESIDE: [&str; 5] = [
    "following the clock",
    "going back",
    "leaving",
    "rendering the metrics",
    "reading which exemptions were used",
];

/// A box whose poolguard panics where it is told to.
struct Spoilt {
    machine: Machine,
    file: PathBuf,
}

impl Spoilt {
    fn new() -> Self {
        let machine = Machine::new();
        machine.configure(&with_customers(""));
        let file = machine.directory.join("inject");
        fs::write(&file, "").unwrap();
        Self { machine, file }
    }

    /// From now on it panics whenever it does this.
    fn inject(&self, doing: &str) {
        fs::write(&self.file, doing).unwrap();
    }

    fn start(&self) -> Running<'_> {
        let mut command = self.machine.command("run");
        command.env("POOLGUARD_INJECT_PANIC", &self.file);
        self.machine.start_command(command)
    }

    #[track_caller]
    fn done(&self, words: &str) {
        let output = self.machine.poolguard(words);
        assert!(output.status.success(), "{words}: {output:?}");
    }
}

fn with_customers(more: &str) -> String {
    format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\n{more}"
    )
}

#[track_caller]
fn is_a_defect(line: &str, doing: &str) {
    for part in [
        "a defect in poolguard",
        &format!("while {doing}: injected at filter-user/src/controller/defect.rs"),
        "Please report it",
    ] {
        assert!(line.contains(part), "{doing}: {part:?} in {line}");
    }
}

#[test]
fn what_was_asked_for_is_refused_and_nothing_else() {
    let spoilt = Spoilt::new();
    let machine = &spoilt.machine;
    let mut running = spoilt.start();
    let last = ASKED.len() - 1;
    for (doing, words) in &ASKED[..last] {
        spoilt.inject(doing);
        let output = machine.poolguard(words);
        spoilt.inject("");
        assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
        is_a_defect(&last_line(&output), doing);
        let logged = running.log_until("panic: injected");
        assert!(logged.contains("ERROR"), "{logged}");
        assert_eq!(machine.get("/readyz").0, 200, "{words}");
    }
    for doing in AGAIN_AND_AGAIN {
        spoilt.inject(doing);
        let line = running.log_until("panic: injected");
        assert!(line.contains("ERROR"), "{line}");
        spoilt.inject("");
        assert_eq!(machine.get("/readyz").0, 200, "{doing}");
    }
    spoilt.inject("rendering the metrics");
    let (code, text) = machine.get("/metrics");
    assert_eq!(code, 500);
    assert!(text.contains("a defect in poolguard"), "{text}");
    // Its line is not taken for the next one.
    running.log_until("panic: injected");
    spoilt.inject("telling of interfaces");
    machine.namespace.ip("link set eth0 down");
    running.log_until("panic: injected");
    spoilt.inject("");
    machine.namespace.ip("link set eth0 up");
    assert_eq!(machine.status()["generation"], 1);
    assert_eq!(machine.status()["temporary"], json!([]));
    // A reload goes on without knowing what was used before it.
    spoilt.inject("reading which exemptions were used");
    spoilt.done("reload");
    running.log_until("panic: injected");
    spoilt.inject("");
    // Whoever ends it hears of it, and may try again.
    let (doing, words) = ASKED[last];
    spoilt.inject(doing);
    let output = machine.poolguard(words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    is_a_defect(&last_line(&output), doing);
    assert!(machine.pins().exists());
    drop(running);
    spoilt.done("detach");
    assert!(!machine.pins().exists());
}

#[test]
fn what_time_asks_for_is_tried_again() {
    let spoilt = Spoilt::new();
    let machine = &spoilt.machine;
    let mut running = spoilt.start();
    for doing in ["compiling", "following the clock"] {
        spoilt.inject("");
        spoilt.done("exempt add 203.0.113.9 80 --expires 1s --reason test");
        spoilt.inject(doing);
        let line = running.log_until("exemptions have expired, but still exempt");
        is_a_defect(&line, doing);
        spoilt.inject("");
        kill(running.pid(), Signal::SIGHUP).unwrap();
        running.log_until("temporary exemption has expired and no longer exempts");
    }
    machine.configure(&with_customers(
        "[[customer]]\nname = \"a\"\nprefixes = [\"203.0.113.1\"]\n",
    ));
    spoilt.inject("going back");
    spoilt.done("reload --confirm 1s");
    let line = running.log_until("not confirmed in time, and still in force");
    is_a_defect(&line, "going back");
    spoilt.inject("");
    running.log_until("not confirmed in time: the configuration before it is in force again");
    assert_eq!(machine.get("/readyz").0, 200);
    spoilt.inject("leaving");
    let log = running.stop();
    assert!(log.contains("panic: injected"), "{log}");
    spoilt.inject("");
    let mut running = spoilt.start();
    running.log_until("found=2 kept=2");
    running.kill();
}

#[test]
fn a_start_goes_on_without_what_it_can_do_without() {
    let spoilt = Spoilt::new();
    let machine = &spoilt.machine;
    // Of each boot, that is: nothing is attached, and nothing was counted.
    for is_boot in [true, false] {
        for doing in AT_A_START {
            // Another file each time, so that all of it is read.
            machine.configure(&with_customers(&format!("# {doing}, {is_boot}\n")));
            spoilt.inject(doing);
            let mut running = spoilt.start();
            running.log_until("panic: injected");
            assert_eq!(machine.get("/readyz").0, 200, "{doing}");
            spoilt.inject("");
            spoilt.done("reload --force");
            running.kill();
            if is_boot {
                spoilt.done("detach");
            }
        }
    }
    // A file that a defect keeps from being read or compared is not in force.
    for doing in ["reading the configuration", "comparing the configurations"] {
        machine.configure(&with_customers(&format!("# {doing}\n")));
        spoilt.inject(doing);
        let mut running = spoilt.start();
        let line = running.log_until("the files are NOT in force");
        assert!(line.contains(&format!("while {doing}: injected")), "{line}");
        spoilt.inject("");
        running.kill();
    }
    // And what nothing can be done without ends the start, and no filter.
    for doing in ENDS_A_START {
        spoilt.inject(doing);
        let mut command = machine.command("run");
        command.env("POOLGUARD_INJECT_PANIC", &spoilt.file);
        let output = machine.output(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let line = last_line(&output);
        is_a_defect(&line, doing);
        let goes_on = "what an earlier run left attached goes on filtering on eth0, eth1";
        assert!(line.contains(goes_on), "{line}");
        for interface in ["eth0", "eth1"] {
            let shown = machine.namespace.ip(&format!("-d link show {interface}"));
            assert!(shown.contains("prog/xdp"), "{doing}: {shown}");
        }
    }
    spoilt.inject("");
    machine.start().stop();
}

/// What every `guarded` and every `step` of the controller says that it does.
fn steps(source: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            steps(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in ["guarded(", "step("] {
            for rest in shipped.split(call).skip(1) {
                let words = rest.trim_start().strip_prefix('"');
                let words = words.and_then(|rest| rest.split('"').next());
                found.extend(words.map(str::to_owned));
            }
        }
    }
}

#[test]
fn no_step_is_left_out() {
    let mut found = BTreeSet::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../filter-user/src");
    steps(Path::new(source), &mut found);
    let asked = ASKED.iter().map(|(doing, _)| *doing);
    let tried = asked
        .chain(AGAIN_AND_AGAIN)
        .chain(AT_A_START)
        .chain(ENDS_A_START)
        .chain(BESIDE);
    let tried: BTreeSet<String> = tried.map(str::to_owned).collect();
    assert_eq!(tried, found);
}
