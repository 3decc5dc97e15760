//! `poolguard status` without a controller that answers: what it says is what the kernel
//! does.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, path::Path};

use lab::{CONFIG, Machine, Port, by_wire, cable::has_tcx, command, last_line};
use nix::sys::signal::{Signal, kill};
use poolguard_tests::{configs::Hosts, frames::tcp};
use serde_json::{Value, json};

/// What `status` prints on standard output where nobody answers, and as JSON.
#[track_caller]
fn unanswered(machine: &Machine) -> (String, Value) {
    let output = machine.poolguard("status");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = last_line(&output);
    assert!(line.contains("is not running: nobody answers on"), "{line}");
    let for_machines = machine.poolguard("status --json");
    assert_eq!(for_machines.status.code(), Some(1), "{for_machines:?}");
    let told: Value = serde_json::from_slice(&for_machines.stdout).unwrap();
    let message = told["error"]["message"].as_str().unwrap();
    assert!(line.ends_with(message), "{line}: {told}");
    (String::from_utf8(output.stdout).unwrap(), told)
}

/// What the first line says after who says it.
#[track_caller]
fn kernel<'a>(text: &'a str, who: &str) -> &'a str {
    let first = text.lines().next().unwrap();
    let rest = first
        .strip_prefix(who)
        .and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or_else(|| panic!("{who}: {text}"))
}

#[test]
fn nothing_is_there_before_the_first_start_and_after_a_detach() {
    let nothing = "nothing is filtered: this instance has left nothing in the kernel";
    let machine = Machine::new();
    let says_nothing = || {
        let (text, told) = unanswered(&machine);
        assert_eq!(kernel(&text, "NO CONTROLLER"), nothing);
        assert_eq!(
            (&told["left"], &told["problem"]),
            (&Value::Null, &Value::Null)
        );
    };
    says_nothing();

    let running = machine.start();
    assert!(machine.poolguard("detach").status.success());
    running.ended();
    says_nothing();

    machine.start_with("run").kill();
    let (text, _) = unanswered(&machine);
    assert!(
        kernel(&text, "NO CONTROLLER").contains("goes on filtering"),
        "{text}"
    );
    assert!(machine.poolguard("detach").status.success());
    says_nothing();
}

#[test]
fn a_controller_that_was_killed_has_left_a_filter_which_status_describes() {
    let machine = Machine::new();
    let running = machine.start();
    machine.configure(&format!("{CONFIG}# another text\n"));
    assert!(machine.poolguard("reload").status.success());
    let alive = machine.status();
    running.kill();

    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on filtering on eth0, eth1"
    );
    let (since, hash) = (&alive["generation_since"], &alive["config_hash"]);
    let file = machine.config_file();
    assert_eq!(
        text.lines().nth(1).unwrap(),
        format!(
            "generation 2 of configuration {}, in force since {:.3}, hash {}",
            file.display(),
            since.as_str().unwrap().parse::<jiff::Timestamp>().unwrap(),
            hash.as_str().unwrap()
        )
    );
    let left = &told["left"];
    assert_eq!(left["generation"], 2);
    assert_eq!((&left["since"], &left["config_hash"]), (since, hash));
    assert_eq!(left["config_file"], file.display().to_string());
    for (interface, name) in [(0, "eth0"), (1, "eth1")] {
        let interface = &left["interfaces"][interface];
        assert_eq!(interface["name"], name);
        assert_eq!(interface["device"], name);
        assert_eq!(interface["mode"], "native");
        assert_eq!(interface["attached"], true);
        assert_eq!(interface["of_this_generation"], true);
        let loaded: jiff::Timestamp = interface["since"].as_str().unwrap().parse().unwrap();
        let started = alive["started"].as_str().unwrap().parse().unwrap();
        let in_force: jiff::Timestamp = since.as_str().unwrap().parse().unwrap();
        // The kernel counts from the boot, and that is known to some milliseconds.
        let slack = jiff::SignedDuration::from_millis(100);
        assert!(
            loaded + slack >= started && loaded <= in_force + slack,
            "{left}"
        );
    }
    let egress = json!({ "way": way(), "of_this_generation": true });
    assert_eq!(left["interfaces"][1]["egress"], egress);
    assert_eq!(left["interfaces"][0]["egress"], Value::Null);
    let row = text.lines().find(|line| line.starts_with("eth1 ")).unwrap();
    let row: Vec<_> = row.split_whitespace().collect();
    assert_eq!(row[..4], ["eth1", "native", "yes", way()], "{text}");
    assert_eq!(told["process"], Value::Null);
}

/// How the way out is filtered on this kernel.
fn way() -> &'static str {
    if has_tcx() { "tcx" } else { "clsact" }
}

/// Takes off what is at the way out of eth1, as somebody with the kernel's own tools would.
fn open_the_way_out(machine: &Machine) {
    machine.namespace.run(|| {
        if has_tcx() {
            let pins = machine.pins().join("links/tcx");
            let pin = pins.read_dir().unwrap().next().unwrap().unwrap().path();
            command("bpftool", &format!("link detach pinned {}", pin.display()));
        } else {
            command("tc", "qdisc del dev eth1 clsact");
        }
    });
}

/// Sends an answer to mail that no customer has sent. Says whether the box keeps it.
fn drops_on_the_way_out(machine: &Machine) -> bool {
    let net = Hosts::v4();
    let answer = tcp((net.internet, 25), (net.dialup, 40_000)).arrival();
    let sent = Port::open(&machine.namespace, "eth1").try_send(&answer.bytes);
    match sent {
        Ok(()) => false,
        // So the kernel tells of what `tc` drops.
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(nix::libc::ENOBUFS), "{error}");
            true
        }
    }
}

#[test]
fn a_way_out_that_was_left_filtered_is_told_from_one_that_is_open() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    assert!(drops_on_the_way_out(&machine));
    open_the_way_out(&machine);
    assert!(!drops_on_the_way_out(&machine));
    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on filtering on eth0, eth1; NOT JUDGED on the way out of eth1"
    );
    assert_eq!(told["left"]["filtered_ways_out"], json!(["eth1"]));
    assert_eq!(told["left"]["interfaces"][1]["egress"], Value::Null);

    // The filter goes from where frames arrive: what leaves is judged as before.
    machine.start_with("run").kill();
    let pin = machine.link_pin("eth1");
    let detach = format!("link detach pinned {}", pin.display());
    machine.namespace.run(|| command("bpftool", &detach));
    assert!(drops_on_the_way_out(&machine));
    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on filtering on eth0, the way out of eth1; NOT ENFORCING on eth1"
    );
    let egress = json!({ "way": way(), "of_this_generation": true });
    assert_eq!(told["left"]["interfaces"][1]["egress"], egress);

    // Without a controller nothing else would ever take it off.
    assert!(machine.poolguard("detach").status.success());
    assert!(!drops_on_the_way_out(&machine));
    assert!(!machine.pins().exists());

    let off = CONFIG.replace(
        "role = \"customer\"",
        "role = \"customer\"\negress = \"off\"",
    );
    machine.configure(&off);
    machine.start_with("run --force").kill();
    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on filtering on eth0, eth1"
    );
    assert_eq!(told["left"]["filtered_ways_out"], json!([]));
}

#[test]
fn an_interface_that_went_or_was_renamed_is_told_from_one_that_is_filtered() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    machine.namespace.ip("link delete eth0");
    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on filtering on eth1; NOT ENFORCING on eth0"
    );
    let eth0 = &told["left"]["interfaces"][0];
    assert_eq!(
        (&eth0["name"], &eth0["attached"]),
        (&json!("eth0"), &json!(false))
    );

    // Another one of that name has no filter.
    machine.add_veth("eth0");
    let (text, _) = unanswered(&machine);
    assert!(text.contains("NOT ENFORCING on eth0"), "{text}");

    machine.namespace.ip("link set eth1 down");
    machine.namespace.ip("link set eth1 name uplink");
    let (text, told) = unanswered(&machine);
    assert!(
        kernel(&text, "NO CONTROLLER").contains("filtering on uplink;"),
        "{text}"
    );
    assert!(text.contains("is called uplink now"), "{text}");
    assert_eq!(told["left"]["interfaces"][1]["device"], "uplink");

    machine.namespace.ip("link delete uplink");
    let (text, _) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "nothing is filtered; NOT ENFORCING on eth0, eth1"
    );
}

#[test]
fn links_in_another_network_namespace_are_not_taken_for_devices_of_this_one() {
    let machine = Machine::new();
    machine.start_with("run").kill();
    let elsewhere = Machine::new();
    // The same instance, asked from a namespace whose devices have the same names and
    // numbers.
    let mut status = elsewhere.program(&lab::poolguard());
    status.args(["--instance", &machine.instance, "status"]);
    let output = elsewhere.output(status);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("eth0 (in network namespace net:["), "{text}");
    assert!(text.contains("eth1 (in network namespace net:["), "{text}");
}

#[test]
fn monitor_mode_that_was_left_is_not_called_filtering() {
    let machine = Machine::new();
    machine.configure(&CONFIG.replacen("[[", "enforcement = \"monitor\"\n[[", 1));
    machine.start_with("run").kill();
    let (text, told) = unanswered(&machine);
    assert_eq!(
        kernel(&text, "NO CONTROLLER"),
        "what is attached goes on counting on eth0, eth1 (MONITOR MODE: nothing is dropped)"
    );
    assert_eq!(told["left"]["monitor"], true);

    machine.configure(&CONFIG.replace("[[pool]]", "[[pool]]\nenforcement = \"monitor\""));
    machine.start_with("run --force").kill();
    let (text, told) = unanswered(&machine);
    let pools = CONFIG.matches("[[pool]]").count();
    assert!(
        text.contains(&format!("(MONITOR MODE in {pools} of {pools} pools)")),
        "{text}"
    );
    assert_eq!(told["left"]["monitored_pools"], pools);
    // What a failed start says of it is the same.
    machine.configure("[[");
    let output = machine.poolguard("run --strict");
    let line = last_line(&output);
    assert!(line.contains("(MONITOR MODE in "), "{line}");
}

#[test]
fn the_ends_of_wires_forward_nothing_without_the_filter() {
    let machine = Machine::by_wire();
    machine.add_veth("eth2");
    machine.configure(&format!(
        "{}[[interface]]\nname = \"eth2\"\nrole = \"network\"\nforwarding = \"kernel\"\n",
        by_wire(CONFIG)
    ));
    machine.start_with("run").kill();
    machine.namespace.ip("link delete eth0");
    machine.namespace.ip("link delete eth2");
    let (text, _) = unanswered(&machine);
    assert!(
        text.contains("; NOT ENFORCING, nor forwarding by wire on eth0; NOT ENFORCING on eth2\n"),
        "{text}"
    );
}

#[test]
fn a_controller_without_its_socket_is_not_called_dead() {
    let machine = Machine::new();
    let running = machine.start();
    let socket = format!("/run/poolguard/{}.sock", machine.instance);
    // Asked at once: the controller makes the socket again.
    kill(running.pid(), Signal::SIGSTOP).unwrap();
    fs::remove_file(socket).unwrap();
    let (text, told) = unanswered(&machine);
    let who = format!(
        "NO ANSWER from the controller, which runs as process {}",
        running.pid()
    );
    assert_eq!(
        kernel(&text, &who),
        "what is attached goes on filtering on eth0, eth1"
    );
    assert!(!text.contains("until a controller runs"), "{text}");
    assert_eq!(told["process"], running.pid().as_raw());
    kill(running.pid(), Signal::SIGCONT).unwrap();
    running.stop();
}

#[test]
fn a_controller_that_hangs_does_not_hide_what_the_kernel_does() {
    let machine = Machine::new();
    let running = machine.start();
    kill(running.pid(), Signal::SIGSTOP).unwrap();
    let output = machine.poolguard("status --timeout 1s");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("NO ANSWER from the controller"), "{text}");
    assert!(text.contains("goes on filtering on eth0, eth1"), "{text}");
    kill(running.pid(), Signal::SIGCONT).unwrap();
    running.stop();
}

#[test]
fn notes_that_are_gone_and_bpffs_that_is_not_there_are_said() {
    let machine = Machine::with_bpffs();
    machine.start_with("run").kill();
    let mut shell = machine.program(Path::new("sh"));
    let books = machine.pins().join("maps-1/books");
    shell.args(["-ec", &format!("rm {}", books.display())]);
    assert!(machine.output(shell).status.success());
    let (text, told) = unanswered(&machine);
    assert!(
        kernel(&text, "NO CONTROLLER").contains("filtering on eth0, eth1"),
        "{text}"
    );
    assert!(
        text.contains("which generation that is cannot be told"),
        "{text}"
    );
    assert_eq!(told["left"]["generation"], Value::Null);

    // As in `ip netns exec`, where nothing is mounted there: what is attached is not seen,
    // and nothing is claimed of it.
    let mut shell = machine.program(Path::new("unshare"));
    let status = format!(
        "mount -t tmpfs none /sys/fs/bpf; exec {} --instance {} status",
        lab::poolguard().display(),
        machine.instance
    );
    shell.args(["--mount", "sh", "-c", &status]);
    let output = machine.output(shell);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = kernel(&text, "NO CONTROLLER");
    assert!(
        said.starts_with("what the kernel still does cannot be told: no bpffs at"),
        "{text}"
    );
}
