//! Whose link is it? Network namespaces count their interfaces each for itself, share
//! bpffs, and hand devices to one another. What is attached in one is neither taken for
//! attached in another, nor taken off from there.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs, mem,
    os::unix::fs::MetadataExt as _,
    process::{Child, Command},
    time::Duration,
};

use lab::{Ended, Machine, Namespace, Process};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

const INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// Another namespace with interfaces of the same names, which have the same numbers.
fn twin(machine: &Machine) -> Namespace {
    let other = Namespace::new();
    other.ip("link set lo up");
    for interface in INTERFACES {
        other.join(interface, &machine.outside, &format!("other-{interface}"));
        assert_eq!(
            index(&other, interface),
            index(&machine.namespace, interface)
        );
    }
    other
}

/// A command of the same instance, given in another namespace.
fn poolguard_in(namespace: &Namespace, machine: &Machine, words: &str) -> Ended {
    let mut command = machine.command(words);
    let run = || Process::run("poolguard", &mut command, Duration::from_secs(60));
    // A start that is not refused runs on.
    namespace
        .run(run)
        .unwrap_or_else(|error| panic!("{words}: {error}"))
}

fn last_line(ended: &Ended) -> &str {
    ended.stderr.lines().last().unwrap_or_default()
}

fn link(namespace: &Namespace, interface: &str) -> Value {
    let shown = namespace.ip(&format!("-json -details link show {interface}"));
    serde_json::from_str::<Value>(&shown).unwrap()[0].take()
}

fn index(namespace: &Namespace, interface: &str) -> u64 {
    link(namespace, interface)["ifindex"].as_u64().unwrap()
}

/// The program that an interface has.
fn program(namespace: &Namespace, interface: &str) -> Option<u64> {
    link(namespace, interface)["xdp"]["prog"]["id"].as_u64()
}

fn programs(namespace: &Namespace) -> [Option<u64>; 2] {
    INTERFACES.map(|interface| program(namespace, interface))
}

/// How the kernel calls a namespace.
fn inode(namespace: &Namespace) -> String {
    format!("net:[{}]", fs::metadata(namespace.path()).unwrap().ino())
}

/// Gives a device to another namespace, under the name that it has.
fn give(from: &Namespace, interface: &str, to: &Namespace) {
    from.ip(&format!(
        "link set {interface} netns {}",
        to.path().display()
    ));
    to.ip(&format!("link set {interface} up"));
}

/// That neither a start nor `detach` in another namespace does anything, and that both
/// say where the instance filters.
#[track_caller]
fn is_refused_in(other: &Namespace, machine: &Machine, words: &[&str]) {
    let here = programs(&machine.namespace);
    assert!(here.iter().all(Option::is_some), "{here:?}");
    for command in ["run", "run --force", "detach"] {
        let output = poolguard_in(other, machine, command);
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        let line = last_line(&output);
        let inode = inode(&machine.namespace);
        for wanted in words.iter().copied().chain([inode.as_str()]) {
            assert!(line.contains(wanted), "{wanted:?} in {line}");
        }
        assert_eq!(programs(other), [None, None], "{command}");
        assert_eq!(programs(&machine.namespace), here, "{command}");
    }
}

#[test]
fn a_start_in_another_namespace_is_refused_and_names_the_first() {
    let mut machine = Machine::without_interfaces();
    let name = format!("first-{}", machine.instance);
    machine.namespace = Namespace::named(name.clone()).unwrap();
    machine.namespace.ip("link set lo up");
    INTERFACES
        .iter()
        .for_each(|interface| machine.add_veth(interface));
    machine.start_with("run").kill();
    is_refused_in(
        &twin(&machine),
        &machine,
        &[
            &name,
            "eth0",
            "eth1",
            &format!("nsenter --net=/run/netns/{name}"),
        ],
    );
    // What it says to do is done, and there all goes on.
    let before = programs(&machine.namespace);
    let mut running = machine.start_with("run");
    running.log_until("taken over");
    assert_ne!(programs(&machine.namespace), before, "by the next program");
    running.kill();
    let output = machine.poolguard("detach");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(programs(&machine.namespace), [None, None]);
    // Nothing is left that would keep it from starting elsewhere.
    machine.namespace = twin(&machine);
    machine.start().stop();
}

#[test]
fn a_controller_that_runs_is_asked_from_any_namespace() {
    let mut machine = Machine::without_interfaces();
    machine.namespace = Namespace::new();
    machine.namespace.ip("link set lo up");
    INTERFACES
        .iter()
        .for_each(|interface| machine.add_veth(interface));
    let mut running = machine.start();
    let other = twin(&machine);
    let before = programs(&machine.namespace);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    assert!(poolguard_in(&other, &machine, "status").status.success());
    let output = poolguard_in(&other, &machine, "run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        last_line(&output).contains("is running already"),
        "{output:?}"
    );
    assert_eq!(programs(&machine.namespace), before);
    let output = poolguard_in(&other, &machine, "detach");
    assert!(output.status.success(), "{output:?}");
    running.log_until("detached: nothing is enforced any more");
    assert_eq!(programs(&machine.namespace), [None, None]);
}

/// A process, for as long as a test looks.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_namespace_without_a_name_is_called_by_a_process_in_it() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    let other = twin(&machine);
    is_refused_in(&other, &machine, &["which has no name and no process"]);
    let mut sleep = Command::new("sleep");
    sleep.arg("infinity");
    let sleeper = Sleeper(machine.namespace.run(|| sleep.spawn().unwrap()));
    let pid = sleeper.0.id();
    let enter = format!("nsenter --net=/proc/{pid}/ns/net");
    let words = [&format!("of process {pid} (sleep)"), &*enter];
    is_refused_in(&other, &machine, &words);
}

#[test]
fn a_start_that_does_not_see_the_other_controller_is_refused_as_well() {
    let machine = Machine::new();
    let mut running = machine.start();
    let socket = format!("/run/poolguard/{}.sock", machine.instance);
    let other = twin(&machine);
    let refused = poolguard_in(&other, &machine, "run");
    let line = last_line(&refused);
    for words in [
        "is running already",
        "in network namespace",
        &inode(&machine.namespace),
    ] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    fs::remove_file(&socket).unwrap();
    let before = programs(&machine.namespace);
    let output = poolguard_in(&other, &machine, "run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = last_line(&output);
    assert!(line.contains(&inode(&machine.namespace)), "{line}");
    assert_eq!(programs(&other), [None, None]);
    assert_eq!(programs(&machine.namespace), before);
    // The first one goes on, and can be asked again.
    running.log_until("control socket");
    machine.status();
    assert!(machine.poolguard("reload").status.success());
    running.stop();
}

#[test]
fn what_is_said_of_a_start_that_fails_is_said_of_where_it_filters() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    let other = twin(&machine);
    machine.configure("[[");
    let refused = poolguard_in(&other, &machine, "run --strict");
    let line = last_line(&refused);
    let inode = inode(&machine.namespace);
    let of = |interface| format!("{interface} (in network namespace {inode}");
    for words in INTERFACES.map(of) {
        assert!(line.contains(&words), "{words:?} in {line}");
    }
    let refused = poolguard_in(&machine.namespace, &machine, "run --strict");
    let line = last_line(&refused);
    assert!(!line.contains("namespace"), "{line}");
}

#[test]
fn devices_that_were_given_away_with_their_filter_are_taken_over_where_they_are() {
    let mut machine = Machine::new();
    machine.start_with("run").kill();
    let other = Namespace::new();
    other.ip("link set lo up");
    // One after the other: as long as one is left, the instance is still there.
    give(&machine.namespace, "eth1", &other);
    let output = poolguard_in(&other, &machine, "run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(program(&other, "eth1").is_some());
    give(&machine.namespace, "eth0", &other);
    let before = programs(&other);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    let _empty = mem::replace(&mut machine.namespace, other);
    let mut running = machine.start();
    let line = running.log_until("taken over");
    assert!(line.contains("found=2 kept=2"), "{line}");
    let log = running.stop();
    assert!(log.contains("nothing is enforced any more"), "{log}");
    assert_eq!(programs(&machine.namespace), [None, None]);
}

#[test]
fn a_device_that_is_given_away_is_gone_whoever_has_its_number_then() {
    let machine = Machine::new();
    let mut running = machine.start();
    let other = Namespace::new();
    let number = index(&machine.namespace, "eth0");
    give(&machine.namespace, "eth0", &other);
    let line = running.log_until("given to another network namespace");
    assert!(line.contains("eth0"), "{line}");
    running.log_until("the interface or its link is gone");
    assert_eq!(program(&other, "eth0"), None, "nobody looks after it there");
    let add = format!("link add stranger up index {number} type bridge");
    machine.namespace.ip(&add);
    let missing = "not enforcing on eth0: there is no interface of this name, it is waited for\n";
    assert_eq!(machine.get("/readyz"), (503, missing.to_owned()));
    assert_eq!(program(&machine.namespace, "stranger"), None);
    // It comes back, under a number that is left.
    give(&other, "eth0", &machine.namespace);
    running.log_until("the interface is there: enforcing on it");
    assert_ne!(index(&machine.namespace, "eth0"), number);
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    running.stop();
    assert_eq!(programs(&machine.namespace), [None, None]);
}

/// The controller is stopped while it happens, so that it sees both at once.
#[test]
fn a_device_is_not_taken_for_the_one_that_had_its_number() {
    let machine = Machine::new();
    let mut running = machine.start();
    let pid = running.pid();
    kill(pid, Signal::SIGSTOP).unwrap();
    let number = index(&machine.namespace, "eth0");
    let other = Namespace::new();
    give(&machine.namespace, "eth0", &other);
    let add = format!("link add stranger up index {number} type bridge");
    machine.namespace.ip(&add);
    kill(pid, Signal::SIGCONT).unwrap();
    running.log_until("given to another network namespace");
    let status = machine.status();
    let eth0 = &status["interfaces"][1];
    assert_eq!(
        (&eth0["name"], &eth0["attached"]),
        (&"eth0".into(), &false.into())
    );
    assert!(!status.to_string().contains("stranger"), "{status}");
    running.stop();
}

#[test]
fn a_start_goes_on_without_a_device_that_was_given_away_meanwhile() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    let other = Namespace::new();
    let number = index(&machine.namespace, "eth0");
    give(&machine.namespace, "eth0", &other);
    let add = format!("link add stranger up index {number} type bridge");
    machine.namespace.ip(&add);
    let mut running = machine.start();
    running.log_until("given to another network namespace");
    running.log_until("found=1 kept=1");
    assert!(program(&machine.namespace, "eth1").is_some());
    assert_eq!(program(&machine.namespace, "stranger"), None);
    assert_eq!(program(&other, "eth0"), None);
    running.stop();
}
