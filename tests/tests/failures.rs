//! What it says when something fails: one line that names the thing, what it
//! means for traffic, and what to do about it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use lab::{CONFIG, Machine, Running, last_line, metric, poolguard};
use serde_json::Value;

/// What a line says of a filter that fails at nothing.
const GOES_ON: &str = "generation 1 still filters eth1, eth0";

/// Asks for something that is refused.
#[track_caller]
fn refused(machine: &Machine, words: &str) -> Output {
    let output = machine.poolguard(words);
    assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
    output
}

/// That the next line of the log with `what` has the rest as well.
#[track_caller]
fn says(running: &mut Running<'_>, what: &str, rest: &[&str]) {
    let line = running.log_until(what);
    for words in rest {
        assert!(line.contains(words), "{words:?} in {line}");
    }
}

/// The same of a reload that is refused.
#[track_caller]
fn refuses_reload(machine: &Machine, running: &mut Running<'_>, rest: &[&str]) {
    refused(machine, "reload");
    says(
        running,
        "reload refused, everything is as it was",
        &[GOES_ON],
    );
    refused(machine, "reload");
    says(running, "correct this and reload", rest);
}

fn shell(machine: &Machine, script: &str) {
    let mut sh = machine.program(Path::new("sh"));
    let output = machine.output({
        sh.args(["-ec", script]);
        sh
    });
    assert!(output.status.success(), "{script}: {output:?}");
}

#[test]
fn a_refused_configuration_is_named_by_file_and_line() {
    let machine = Machine::new();
    let _taken = machine
        .namespace
        .run(|| TcpListener::bind("127.0.0.1:9189").unwrap());
    let mut running = machine.start();
    let file = machine.config_file().display().to_string();
    for (text, rest) in [
        (
            "[[".to_owned(),
            [
                format!("{file}:1:3: unquoted keys cannot be empty"),
                ", and 1 more".to_owned(),
            ],
        ),
        (
            CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"),
            [format!("{file}:13:13"), "198.51.100.0/24".to_owned()],
        ),
        (
            format!(
                "{CONFIG}[ports]\nforbidden = {:?}\n",
                (1..=257).collect::<Vec<u16>>()
            ),
            [
                format!("{file}:15:"),
                "more than 256 different ports and ranges of ports".to_owned(),
            ],
        ),
        (
            format!("{CONFIG}[metrics]\nlisten = \"127.0.0.1:9189\"\n"),
            ["127.0.0.1:9189".to_owned(), "`ss -lntp`".to_owned()],
        ),
    ] {
        machine.configure(&text);
        let rest: Vec<_> = rest.iter().map(String::as_str).collect();
        refuses_reload(&machine, &mut running, &rest);
    }
    running.stop();
}

#[test]
fn a_file_system_that_cannot_be_written_is_named() {
    let machine = Machine::with_bpffs();
    machine.start_with("run").kill();
    let mut running = machine.start_with("run");
    shell(&machine, "mount -o remount,ro /sys/fs/bpf");
    let pins = machine.pins().display().to_string();
    refused(&machine, "reload");
    says(
        &mut running,
        "reload refused, everything is as it was",
        &["still filters eth1, eth0", &pins, "Read-only", "remount,rw"],
    );
    running.kill();
    let line = last_line(&refused(&machine, "run"));
    for words in [
        "not started: what an earlier run left attached, if anything, goes on filtering",
        &pins,
        "Read-only",
        "remount,rw",
    ] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    shell(&machine, "mount -o remount,rw /sys/fs/bpf");
    machine.start().stop();
}

#[test]
fn a_start_that_fails_keeps_the_counters_of_an_earlier_run() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    // Without interfaces nothing of it decides any more.
    for interface in ["eth0", "eth1"] {
        machine.namespace.ip(&format!("link delete {interface}"));
    }
    machine.configure("[[");
    let line = last_line(&refused(&machine, "run --strict"));
    assert!(line.contains("not started: nothing is enforced"), "{line}");
    assert!(machine.pins().join("maps-1/counters-1").exists());
    machine.configure(CONFIG);
    let running = machine.start();
    assert_eq!(machine.status()["generation"], 2, "it counts on");
    running.stop();
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let machine = Machine::with_bpffs();
    let static_pool = format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    );
    machine.configure(&static_pool);
    let state = machine.state().display().to_string();
    shell(
        &machine,
        &format!("mkdir {state} && mount -t tmpfs -o ro tmpfs {state}"),
    );
    let mut running = machine.start();
    let directory = format!("{state}/{}", machine.instance);
    says(
        &mut running,
        "the configuration in force cannot be kept",
        &["still filters eth1, eth0", &directory, "remount,rw"],
    );
    refused(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason test",
    );
    says(
        &mut running,
        "temporary exemption NOT added",
        &["203.0.113.9/32", GOES_ON, &directory, "remount,rw"],
    );
    refused(&machine, "reload --confirm 1h");
    says(
        &mut running,
        "reload refused",
        &[GOES_ON, &directory, "remount,rw"],
    );
    // What needs nothing kept is done.
    assert!(machine.poolguard("reload").status.success());
    says(
        &mut running,
        "the configuration in force cannot be kept",
        &[&directory],
    );
    running.stop();
}

/// With as many addresses of a customer, exempted for a few seconds.
fn exempted_for_a_while(addresses: u8) -> String {
    let soon = Timestamp::now() + SignedDuration::from_secs(5);
    let of = |third: u8| (0..addresses).map(move |last| format!("203.0.{third}.{last}/32"));
    let prefixes: Vec<_> = of(1).chain(of(2)).collect();
    format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.0.0/16\"]\n[[customer]]\nname = \"acme\"\n\
         prefixes = {prefixes:?}\nallow_inbound = [25]\nexpires = {soon}\n"
    )
}

#[test]
fn an_exemption_that_cannot_be_ended_is_named() {
    let machine = Machine::with_bpffs();
    // A few are ended in the tables in force, which takes no file.
    machine.configure(&exempted_for_a_while(1));
    let mut running = machine.start_with("run");
    shell(&machine, "mount -o remount,ro /sys/fs/bpf");
    says(
        &mut running,
        "exemptions have expired and no longer exempt",
        &["acme"],
    );
    running.kill();
    shell(&machine, "mount -o remount,rw /sys/fs/bpf");
    // Many take tables of their own.
    machine.configure(&exempted_for_a_while(150));
    let mut running = machine.start_with("run --force");
    shell(&machine, "mount -o remount,ro /sys/fs/bpf");
    says(
        &mut running,
        "exemptions have expired, but still exempt",
        &["still filters eth1, eth0", "Tried again in", "remount,rw"],
    );
    running.kill();
    shell(&machine, "mount -o remount,rw /sys/fs/bpf");
    machine.start().stop();
}

/// Changing the tables in force takes a descriptor, and so do other tables, and taking back
/// what may have been changed.
#[test]
fn what_is_half_done_is_counted_until_it_is_whole() {
    const HALF_DONE: &str = "poolguard_half_done_prefixes";
    let half_done =
        |machine: &Machine| metric(&machine.get("/metrics").1, &format!("{HALF_DONE} "));
    let machine = Machine::new();
    machine.configure(&exempted_for_a_while(1));
    let mut running = machine.start_with("run");
    assert_eq!(half_done(&machine), 0);
    let pid = running.pid().to_string();
    let limit = |soft: u32| {
        let mut prlimit = machine.program(Path::new("prlimit"));
        prlimit.args(["--pid", &pid]);
        prlimit.arg(format!("--nofile={soft}:4096"));
        assert!(prlimit.status().unwrap().success());
    };
    limit(3);
    let line = running.log_until("exemptions have expired, but still exempt");
    limit(4096);
    let part = "In 203.0.1.0/32, 203.0.2.0/32 a part of the change may be in force";
    assert!(line.contains(part), "{line}");
    assert_eq!(half_done(&machine), 2);
    assert_eq!(machine.status()["half_done"].as_array().unwrap().len(), 2);
    assert!(machine.poolguard("reload").status.success());
    assert_eq!(half_done(&machine), 0);
    running.log_until("what was half done is whole");
    running.kill();
    machine.start().stop();
}

/// The kernel ends whoever makes a file larger than he may, unless he says that he wants to
/// be told.
#[test]
fn a_limit_on_the_size_of_files_ends_nothing() {
    let machine = Machine::new();
    let mut command = Command::new("prlimit");
    command.args(["--fsize=256", "--"]).arg(poolguard());
    command.args(["--instance", &machine.instance, "--config"]);
    command.arg(machine.config_file()).arg("run");
    command.env("STATE_DIRECTORY", machine.state());
    let mut running = machine.start_command(command);
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 200, "{text}");
    // What has to be kept cannot be.
    let refusal = last_line(&refused(&machine, "reload --confirm 1h"));
    assert!(refusal.contains("File too large"), "{refusal}");
    assert_eq!(machine.status()["generation"], 1);
    says(&mut running, "reload refused", &[GOES_ON]);
    running.kill();
    machine.start().stop();
}

#[test]
fn signals_about_something_else_end_nothing() {
    let machine = Machine::new();
    let running = machine.start();
    for signal in ["XFSZ", "XCPU", "USR1", "USR2"] {
        let pid = running.pid().to_string();
        lab::command("kill", &format!("-{signal} {pid}"));
        assert_eq!(machine.status()["generation"], 1, "{signal}");
        assert!(!running.has_ended(), "{signal}");
    }
    running.stop();
}

/// With a bpffs that takes no pins, what is attached would go with the controller: it is
/// not attached, and that is said as it is, of both ways.
#[test]
fn an_interface_that_comes_back_while_bpffs_takes_no_pins_is_told_as_it_is() {
    let machine = Machine::with_bpffs();
    let mut running = machine.start_with("run");
    shell(&machine, "mount -o remount,ro /sys/fs/bpf");
    machine.namespace.ip("link delete eth1");
    running.log_until("NOT ENFORCING there: attached again as soon as it is back");
    machine.add_veth("eth1");
    let line = running.log_until("NOT JUDGED on its way out");
    assert!(line.contains("Nor is what arrives here"), "{line}");
    let interfaces = machine.status()["interfaces"].clone();
    let eth1 = &interfaces.as_array().unwrap()[0];
    assert_eq!(
        (&eth1["attached"], &eth1["egress"]["way"]),
        (&false.into(), &Value::Null)
    );
    let problem = eth1["problem"].as_str().unwrap();
    assert!(problem.contains("links/native/"), "{problem}");
    shell(&machine, "mount -o remount,rw /sys/fs/bpf");
    running.log_until("the interface is there: enforcing on it");
    let log = running.stop();
    for untrue in ["counters start over", "NOT JUDGED"] {
        assert!(!log.contains(untrue), "{log}");
    }
    machine.start().stop();
}

#[test]
fn an_interface_that_is_not_enforced_on_is_named() {
    let machine = Machine::new();
    let mut running = machine.start();
    machine.namespace.ip("link delete eth0");
    says(
        &mut running,
        "NOT ENFORCING there: attached again",
        &["interface=eth0", "ip link show"],
    );
    // A refusal says so as well.
    machine.configure("[[");
    refused(&machine, "reload");
    says(
        &mut running,
        "reload refused",
        &["still filters eth1; NOT ENFORCING on eth0"],
    );
    // It comes back, and is one that XDP does not see all frames of.
    machine.namespace.ip("link add eth0 up type bridge");
    says(
        &mut running,
        "the interface cannot be attached to as configured, NOT ENFORCING there",
        &[
            "interface=eth0",
            "Tried again",
            "it is a bridge",
            "Configure",
        ],
    );
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 503, "{text}");
    assert!(
        text.contains("not enforcing on eth0: it is a bridge"),
        "{text}"
    );
    running.stop();
}

#[test]
fn the_end_says_whether_the_filter_goes_on() {
    let machine = Machine::new();
    let log = machine.start_with("run").stop();
    assert!(log.contains("STILL ENFORCING"), "{log}");
    assert!(log.contains("`poolguard detach` takes it off"), "{log}");
    let mut running = machine.start();
    says(
        &mut running,
        "an earlier run was still attached: taken over",
        &["found=2 kept=2"],
    );
    let log = running.stop();
    assert!(
        log.contains("detached: nothing is enforced any more"),
        "{log}"
    );
    let leftovers = fs::exists(machine.pins()).unwrap();
    assert!(!leftovers);
}

#[test]
fn a_start_without_descriptors_takes_nothing_for_gone() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    let limited = |limit: u32| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg("--");
        command.arg(poolguard());
        command.args(["--instance", &machine.instance, "--config"]);
        command.arg(machine.config_file()).arg("run");
        command.env("STATE_DIRECTORY", machine.state());
        machine.try_start(command)
    };
    let mut starts = 0;
    let enough = (10..100).find(|&limit| match limited(limit) {
        Ok((running, serves)) => {
            running.kill();
            starts += 1;
            serves
        }
        Err(log) => {
            assert!(log.contains("LimitNOFILE="), "with {limit}: {log}");
            let links = machine.namespace.ip("-details link show");
            assert_eq!(links.matches("prog/xdp").count(), 2, "{limit}: {log}");
            false
        }
    });
    let enough = enough.unwrap();
    assert!(
        enough > 15,
        "it is refused at one step after the other: {enough}"
    );
    let running = machine.start();
    // Each that started counts on.
    assert_eq!(machine.status()["generation"], starts + 2);
    running.stop();
}

#[test]
fn metrics_at_an_address_that_comes_later_do_not_keep_the_filter_waiting() {
    let machine = Machine::new();
    machine.configure(&format!(
        "{CONFIG}[metrics]\nlisten = \"192.0.2.10:9188\"\n"
    ));
    let running = machine.start();
    assert_eq!(machine.status()["interfaces"][0]["attached"], true);
    machine.namespace.ip("address add 192.0.2.10/32 dev lo");
    let answer = machine.namespace.run(|| {
        let mut stream = TcpStream::connect("192.0.2.10:9188").unwrap();
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap()
    });
    assert!(answer.contains("200 OK"), "{answer}");
    running.stop();
}

#[test]
fn a_slip_in_the_name_or_the_role_of_an_interface_takes_force() {
    let machine = Machine::new();
    let mut running = machine.start();
    for (from, to, refusal) in [
        ("eth1", "ethl", "it would take the filter off eth1"),
        (
            "\"customer\"\n",
            "\"network\"\n",
            "it would change the role of eth1",
        ),
    ] {
        let other = "\n[[interface]]\nname = \"other\"\nrole = \"customer\"\n";
        machine.configure(&format!("{}{other}", CONFIG.replace(from, to)));
        let line = last_line(&refused(&machine, "reload"));
        assert!(line.contains(refusal), "{line}");
        assert!(line.contains("`poolguard reload --force`"), "{line}");
        let printed = machine.poolguard("diff").stdout;
        let printed = String::from_utf8(printed).unwrap();
        let (_, why) = line.split_once("stays in force: ").unwrap();
        let before = format!("a reload would be refused: {why}");
        assert_eq!(printed.lines().last(), Some(&*before), "{printed}");
        assert_eq!(machine.get("/readyz").0, 200);
    }
    machine.configure(&CONFIG.replace("eth0", "etho"));
    assert!(machine.poolguard("reload --force").status.success());
    says(
        &mut running,
        "NOT ENFORCING here any more",
        &["interface=eth0"],
    );
    assert_eq!(machine.get("/readyz").0, 503);
    running.stop();
}

#[test]
fn the_end_is_told_as_it_is() {
    // Nothing is enforced.
    let machine = Machine::without_interfaces();
    let log = machine.start_with("run").stop();
    assert!(log.contains("stopped, and nothing is enforced"), "{log}");
    // The filter cannot be left to itself.
    let machine = Machine::with_bpffs();
    let mut running = machine.start_with("run");
    // That of the host is below it.
    shell(
        &machine,
        "while umount -l /sys/fs/bpf 2>/dev/null; do :; done",
    );
    machine.namespace.ip("link set eth0 down");
    says(
        &mut running,
        "only for as long as this process runs",
        &["interface=eth", "Do not stop it"],
    );
    let log = running.stop();
    assert!(
        log.contains("the filter ENDS here with this process"),
        "{log}"
    );
    assert!(!log.contains("STILL ENFORCING"), "{log}");
}

#[test]
fn what_was_renamed_twice_stays_filtered_over_a_restart() {
    let machine = Machine::new();
    let rename = |from: &str, to: &str| {
        for words in ["down".to_owned(), format!("name {to}")] {
            machine.namespace.ip(&format!("link set {from} {words}"));
        }
        machine.namespace.ip(&format!("link set {to} up"));
    };
    let running = machine.start_with("run");
    rename("eth0", "wan0");
    machine.configure(&CONFIG.replace("eth0", "wan0"));
    assert!(machine.poolguard("reload").status.success());
    rename("wan0", "wan1");
    running.kill();
    let mut running = machine.start();
    says(&mut running, "taken over", &["found=2 kept=2"]);
    assert!(machine.namespace.ip("link show wan1").contains("prog/xdp"));
    running.stop();
}

#[test]
fn pins_that_somebody_removed_are_made_anew() {
    let machine = Machine::new();
    let running = machine.start_with("run");
    fs::remove_dir_all(machine.pins()).unwrap_or_else(|_| {
        let mut rm = machine.program(Path::new("rm"));
        assert!(rm.arg("-r").arg(machine.pins()).status().unwrap().success());
    });
    // Something happens to an interface, and it looks after all of them.
    machine.namespace.ip("link set eth0 down");
    let maps = machine.pins().join("maps-1");
    wait_until(|| {
        ["counters-1", "flows", "books"]
            .iter()
            .all(|map| maps.join(map).exists())
    });
    assert!(machine.poolguard("reload").status.success());
    running.kill();
    let running = machine.start();
    assert_eq!(machine.status()["generation"], 3, "it counts on");
    running.stop();
}

/// Waits until something has happened that nobody announces.
fn wait_until(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < deadline, "it does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_no_link_is_refused_whatever_it_says_of_itself() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    // Its type is the number of XDP links, and its size an index.
    let foreign = machine.pins().join("links/native/1-lo");
    let create = format!(
        "map create {} type percpu_array key 4 value 8 entries 1 name foreign",
        foreign.display()
    );
    lab::command("bpftool", &create);
    let line = last_line(&refused(&machine, "run"));
    assert!(line.contains("1-lo: not a link of poolguard's"), "{line}");
    fs::remove_file(&foreign).unwrap();
    fs::create_dir(&foreign).unwrap();
    let line = last_line(&refused(&machine, "run"));
    assert!(line.contains("1-lo: not a link of poolguard's"), "{line}");
    fs::remove_dir(&foreign).unwrap();
    // Maps of another layout that cannot be removed are no reason to refuse.
    fs::create_dir(machine.pins().join("maps-0")).unwrap();
    machine.start().stop();
}

/// The log tells what happens and decides nothing: a full disk behind it is no reason
/// to end.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let machine = Machine::new();
    let run = machine.command("run");
    let words: Vec<_> = [run.get_program()]
        .into_iter()
        .chain(run.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let mut command = machine.program("/bin/sh".as_ref());
    command.args(["-c", &format!("exec {} 2>/dev/full", words.join(" "))]);
    let running = machine.start_command(command);
    assert_eq!(machine.status()["interfaces"][0]["attached"], true);
    machine.configure("[[");
    refused(&machine, "reload");
    machine.configure(CONFIG);
    assert!(machine.poolguard("reload").status.success());
    running.stop();
}
