//! The real binary, run as an operator runs it: what it says when something is
//! missing, what it serves, how it reloads, and that it leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use aya::programs::{
    Xdp,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};
use aya_obj::programs::XdpAttachType;
use lab::{CONFIG, Machine, cable::has_tcx, last_line, metric, pinned_link, poolguard};

#[test]
fn it_comes_serves_and_goes() {
    let machine = Machine::new();
    let running = machine.start();

    assert_eq!(machine.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    let status = machine.status();
    let way = if has_tcx() { "tcx" } else { "clsact" };
    assert_eq!(status["generation"], 1);
    assert_eq!(
        status["interfaces"],
        serde_json::json!([
            { "name": "eth1", "role": "customer", "mode": "native", "attached": true, "outdated": false,
              "problem": null, "wire": null, "egress": { "configured": "filter", "way": way, "behind": false } },
            { "name": "eth0", "role": "network", "mode": "native", "attached": true, "outdated": false,
              "problem": null, "wire": null, "egress": { "configured": "off", "way": null, "behind": false } },
        ])
    );
    let (code, metrics) = machine.get("/metrics");
    assert_eq!(code, 200);
    for line in [
        r#"poolguard_program_attached{interface="eth0",mode="native",role="network"} 1"#,
        r#"poolguard_dropped_packets_total{pool="dialup",rule="inbound_port"} 0"#,
        r#"poolguard_pool_prefixes{family="ipv4"} 1"#,
        "poolguard_config_generation 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in {metrics}"
        );
    }

    let output = machine.poolguard("reload");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "generation 2 is in force\nopened: no address; closed: no address; customers with \
         exemptions: 0 gain and 0 lose something\n"
    );
    assert!(output.status.success());

    let log = running.stop();
    assert!(
        log.contains("detached: nothing is enforced any more"),
        "{log}"
    );
    assert!(!machine.pins().exists(), "nothing is left in bpffs");
    let links = machine.namespace.ip("-details link show");
    assert!(
        !links.contains("prog/xdp"),
        "nothing is left attached: {links}"
    );
    let output = machine.poolguard("status");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains("is not running: nobody answers on /run/poolguard/"));
}

/// Each takes a second or more with a million customers.
#[test]
fn a_start_says_what_it_is_at() {
    let machine = Machine::new();
    let mut running = machine.start();
    let file = machine.config_file();
    let reading = running.log_until("reading the configuration");
    assert!(reading.contains(&file.display().to_string()), "{reading}");
    running.log_until("building the tables and loading the program for each interface");
    running.log_until("enforcing");
    running.stop();
}

#[test]
fn an_interface_that_is_missing_is_waited_for() {
    let machine = Machine::without_interfaces();
    machine.add_veth("eth1");
    let mut running = machine.start();
    running.log_until("not enforcing here yet: there is no interface of this name");
    let missing = "not enforcing on eth0: there is no interface of this name, it is waited for\n";
    assert_eq!(machine.get("/readyz"), (503, missing.to_owned()));
    machine.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    running.stop();
}

#[test]
fn a_bridge_is_refused_in_either_mode_and_the_rest_goes_on() {
    let machine = Machine::without_interfaces();
    machine.add_veth("eth1");
    machine.namespace.ip("link add eth0 up type bridge");
    let why = "interface eth0: it is a bridge: only what is meant for this host arrives there";
    let mut running = machine.start();
    let line = running.log_until("cannot be attached to as configured, NOT ENFORCING");
    assert!(line.contains(why), "{line}");
    assert_eq!(machine.status()["interfaces"][0]["attached"], true);
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 503);
    assert!(
        text.starts_with("not enforcing on eth0: it is a bridge"),
        "{text}"
    );
    machine.configure(&CONFIG.replace("\"network\"", "\"network\"\nattach = \"generic\""));
    let output = machine.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains(why), "{output:?}");
    running.stop();
}

#[test]
fn another_xdp_program_is_left_alone() {
    let machine = Machine::new();
    let running = machine.start();
    // Another instance, whose metrics do not collide with the first one's.
    let other = machine.directory.join("other.toml");
    let text = format!("{CONFIG}\n[metrics]\nlisten = \"127.0.0.1:9189\"\n");
    fs::write(&other, text).unwrap();
    let mut command = Command::new(poolguard());
    let instance = format!("{}-other", machine.instance);
    command
        .args([
            "run",
            "--detach-on-exit",
            "--instance",
            &instance,
            "--config",
        ])
        .arg(&other)
        .env("STATE_DIRECTORY", machine.state());
    let mut second = machine.start_command(command);
    for interface in ["eth1", "eth0"] {
        let line = second.log_until("cannot be attached to as configured, NOT ENFORCING");
        let why = format!(
            "interface {interface}: poolguard's instance {} filters there already",
            machine.instance
        );
        assert!(line.contains(&why), "{line}");
    }
    assert_eq!(machine.get("/readyz").0, 200, "the first one goes on");
    // It gets what the first one leaves.
    running.stop();
    for _ in 0..2 {
        second.log_until("the interface is there: enforcing on it");
    }
    second.stop();
}

#[test]
fn an_instance_runs_once() {
    let machine = Machine::new();
    let running = machine.start();
    let output = machine.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(
        line.contains(&format!(
            "is running already, as process {}.",
            running.pid()
        )),
        "{line}"
    );
    assert_eq!(machine.get("/readyz").0, 200, "the first one goes on");
    running.stop();
}

#[test]
fn missing_privileges_are_named() {
    let machine = Machine::new();
    let mut command = Command::new(machine.poolguard_for_all());
    command.args(["--instance", &machine.instance, "--config"]);
    command.arg(machine.config_file()).arg("run").uid(65_534);
    let output = machine.output(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not started: what an earlier run left attached, if anything, goes on \
         filtering. missing privileges: CAP_BPF and CAP_PERFMON, CAP_NET_ADMIN. Run as root, or \
         give the process these capabilities"
    );
}

#[test]
fn a_missing_bpffs_is_named() {
    let machine = Machine::new();
    let mut command = Command::new("unshare");
    let run = "umount --lazy /sys/fs/bpf && exec \"$@\"";
    command.args(["--mount", "sh", "-c", run, "sh"]);
    command
        .arg(poolguard())
        .args(["run", "--instance", &machine.instance, "--config"]);
    command.arg(machine.config_file());
    let output = machine.output(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not started: what an earlier run left attached, if anything, goes on \
         filtering. no bpffs at /sys/fs/bpf: mount it with `mount -t bpf bpf /sys/fs/bpf`"
    );
}

#[test]
fn a_wrong_configuration_does_not_start() {
    let machine = Machine::new();
    machine.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = machine.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("198.51.100.1/24"), "{errors}");
    assert!(
        errors.contains("not started: nothing is enforced"),
        "{errors}"
    );
}

#[test]
fn a_refused_reload_keeps_the_old_configuration() {
    let machine = Machine::new();
    let running = machine.start();

    machine.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = machine.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    let check = machine.poolguard("check");
    let printed = String::from_utf8(output.stderr).unwrap();
    let checked = String::from_utf8(check.stderr).unwrap();
    assert!(
        printed.starts_with(&checked),
        "{printed}\nas check prints it:\n{checked}"
    );

    // Valid, but a bridge has no XDP of its own. eth1 goes over to the other
    // mode before that is found out, and has to come back.
    machine.namespace.ip("link add br7 up type bridge");
    let generic = CONFIG
        .replace("\"customer\"", "\"customer\"\nattach = \"generic\"")
        .replace("eth0", "br7");
    machine.configure(&generic);
    let output = machine.poolguard("reload --force");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not reloaded, generation 1 stays in force: interface br7: it is a bridge: only \
         what is meant for this host arrives there, and what is forwarded would pass unfiltered. \
         Configure the ports of br7"
    );
    assert!(!machine.get("/metrics").1.contains("br7"), "nor its names");
    let status = machine.status();
    assert_eq!(status["generation"], 1);
    assert_eq!(status["reloads"]["total"], 2);
    assert_eq!(status["reloads"]["failures"], 2);
    assert_eq!(status["interfaces"][0]["mode"], "native");
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    for interface in ["eth0", "eth1"] {
        let link = machine.namespace.ip(&format!("link show {interface}"));
        assert!(link.contains(" xdp "), "native again: {link}");
    }

    machine.configure(CONFIG);
    let output = machine.poolguard("reload --json");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["successful"], true);
    assert_eq!(outcome["generation"], 2);
    running.stop();
}

#[test]
fn an_interface_that_goes_away_is_missed_and_filtered_when_it_is_back() {
    let machine = Machine::new();
    let mut running = machine.start();
    for times in 1..=2 {
        machine.namespace.ip("link delete eth0");
        running.log_until("the interface or its link is gone");
        let (code, text) = machine.get("/readyz");
        assert_eq!(code, 503, "{text}");
        assert_eq!(machine.status()["interfaces"][1]["attached"], false);
        // Another interface of the same name.
        machine.add_veth("eth0");
        running.log_until("the interface is there: enforcing on it");
        assert_eq!(machine.get("/readyz").0, 200);
        let metric = format!("poolguard_interface_attachments_total{{interface=\"eth0\"}} {times}");
        assert!(machine.get("/metrics").1.contains(&metric));
    }
    running.stop();
}

#[test]
fn an_interface_that_is_renamed_stays_filtered() {
    let machine = Machine::new();
    let running = machine.start();
    machine.namespace.rename("eth0", "wan0");
    assert_eq!(machine.get("/readyz").0, 200);
    let interface = &machine.status()["interfaces"][1];
    assert_eq!(interface["attached"], true);
    assert_eq!(
        interface["problem"],
        "is called wan0 now, and is filtered there"
    );
    running.stop();
}

#[test]
fn a_pin_that_somebody_removed_opens_nothing() {
    let machine = Machine::new();
    let running = machine.start();
    for pin in fs::read_dir(machine.pins().join("links/native")).unwrap() {
        fs::remove_file(pin.unwrap().path()).unwrap();
    }
    assert_eq!(machine.get("/readyz").0, 200);
    assert!(machine.poolguard("reload").status.success());
    let pins = fs::read_dir(machine.pins().join("links/native")).unwrap();
    assert_eq!(pins.count(), 2, "they are there again");
    running.stop();
}

/// The program is attached, and decides by tables that are not in force any more.
#[test]
fn an_interface_with_the_program_of_an_earlier_generation_is_not_ready() {
    let machine = Machine::new();
    let running = machine.start();
    let pins = fs::read_dir(machine.pins().join("links/native")).unwrap();
    let mut pins = pins.map(|pin| pin.unwrap().path());
    let link = pins
        .find(|pin| pin.to_str().unwrap().ends_with("eth1"))
        .unwrap();
    // It is kept while another one takes its place, and put back.
    let earlier = machine.pins().join("earlier");
    let program = pinned_link(&link)["prog_id"].to_string();
    let pin = format!("prog pin id {program} {}", earlier.display());
    lab::command("bpftool", &pin);
    assert!(machine.poolguard("reload").status.success());
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));

    let mut program = Xdp::from_pin(&earlier, XdpAttachType::Interface).unwrap();
    fs::remove_file(&earlier).unwrap();
    let opened = XdpLink::try_from(FdLink::from(PinnedLink::from_pin(&link).unwrap())).unwrap();
    program.attach_to_link(opened).unwrap();
    let why = "the program there is not of the generation in force: `poolguard reload` replaces it";
    let refused = format!("not as configured on eth1: {why}\n");
    assert_eq!(machine.get("/readyz"), (503, refused));
    let status = machine.status();
    let of_eth1 = &status["interfaces"][0];
    assert_eq!(of_eth1["attached"], true);
    assert_eq!(
        (&of_eth1["outdated"], &of_eth1["problem"]),
        (&true.into(), &why.into())
    );
    assert_eq!(status["interfaces"][1]["outdated"], false);

    assert!(machine.poolguard("reload").status.success());
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    running.stop();
}

#[test]
fn what_a_controller_leaves_goes_on_and_is_taken_over() {
    let machine = Machine::new();
    let programs = || {
        let shown = machine.namespace.ip("-details link show");
        shown.matches("prog/xdp").count()
    };
    let running = machine.start_with("run");
    assert!(machine.poolguard("reload").status.success());
    let log = running.stop();
    assert!(log.contains("STILL ENFORCING"), "{log}");
    assert_eq!(programs(), 2);

    let mut running = machine.start_with("run");
    running.log_until("an earlier run was still attached: taken over");
    let (_, text) = machine.get("/metrics");
    assert_eq!(metric(&text, "poolguard_config_generation"), 3);
    assert_eq!(metric(&text, "poolguard_config_reloads_total"), 1);
    running.kill();
    assert_eq!(programs(), 2);

    // A configuration that is refused changes nothing about it.
    machine.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = machine.poolguard("run --strict");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(
        line.contains("what an earlier run left attached goes on filtering"),
        "{line}"
    );
    assert_eq!(programs(), 2);

    let output = machine.poolguard("detach");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(programs(), 0);
    assert!(!machine.pins().exists());
    let again = machine.poolguard("detach --json");
    let told: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(told, serde_json::json!({ "detached": false, "cut": [] }));
}

#[test]
fn a_running_controller_detaches_when_it_is_told_to() {
    let machine = Machine::new();
    let running = machine.start_with("run");
    let output = machine.poolguard("detach");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "detached: nothing is enforced any more\n"
    );
    let log = running.ended();
    assert!(log.contains("`poolguard detach`: detaching"), "{log}");
    assert!(!machine.pins().exists());
}

#[test]
fn pins_that_are_not_poolguards_are_refused_or_replaced() {
    let machine = Machine::new();
    let running = machine.start_with("run");
    running.kill();
    let pins = machine.pins();
    let maps = pins.join("maps-1");

    // Of another layout, and half-written ones.
    fs::rename(&maps, pins.join("maps-0")).unwrap();
    fs::create_dir(pins.join("generation-7")).unwrap();
    let mut running = machine.start_with("run");
    let log = running.log_until("counters of another version of poolguard are removed");
    assert!(log.contains("maps-0"), "{log}");
    running.kill();
    for gone in ["maps-0", "generation-7"] {
        assert!(!pins.join(gone).exists(), "{gone}");
    }

    // One of the maps is missing.
    fs::remove_file(maps.join("flows")).unwrap();
    let mut running = machine.start_with("run");
    running.log_until("incomplete or not poolguard's: counting starts over");
    assert_eq!(machine.status()["generation"], 1);
    running.kill();

    // Another map in the place of the counters.
    let (books, counters) = (maps.join("books"), maps.join("counters-1"));
    fs::remove_file(&counters).unwrap();
    let other = [books.to_str().unwrap(), counters.to_str().unwrap()];
    let pin = format!("map pin pinned {} {}", other[0], other[1]);
    lab::command("bpftool", &pin);
    let mut running = machine.start_with("run");
    running.log_until("incomplete or not poolguard's: counting starts over");
    running.kill();

    // A map among the links.
    let foreign = pins.join("links/native/1-lo");
    let pin = format!("map pin pinned {} {}", other[0], foreign.display());
    lab::command("bpftool", &pin);
    let output = machine.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(line.contains("1-lo: not a link of poolguard's"), "{line}");
    fs::remove_file(foreign).unwrap();
    assert!(machine.poolguard("detach").status.success());
}

#[test]
fn a_start_that_fails_leaves_a_running_one_alone() {
    let machine = Machine::new();
    let running = machine.start();
    // Without its socket the first one cannot be asked whether it runs.
    fs::remove_file(format!("/run/poolguard/{}.sock", machine.instance)).unwrap();
    let output = machine.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains("is running already"));
    assert_eq!(machine.get("/readyz").0, 200, "the first one goes on");
    running.stop();
}

#[test]
fn an_exemption_ends_on_time_also_when_an_interface_is_gone() {
    let machine = Machine::new();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let exempted = format!(
        "{CONFIG}\n[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\n[[customer]]\nname = \"acme\"\n\
         prefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\nexpires = {soon}\n"
    );
    machine.configure(&exempted);
    let mut running = machine.start();
    assert_eq!(machine.status()["exemptions"]["ipv4"], 1);
    machine.namespace.ip("link delete eth0");
    // The controller says when it is done, and nobody waits by the clock.
    let log = running.log_until("exemptions have expired and no longer exempt");
    assert!(jiff::Timestamp::now() >= soon);
    assert!(log.contains("acme"), "{log}");
    let status = machine.status();
    assert_eq!(status["exemptions"]["ipv4"], 0);
    assert_eq!(status["generation"], 2);
    assert_eq!(status["interfaces"][0]["attached"], true);
    assert_eq!(status["interfaces"][1]["attached"], false);
    running.stop();
}

#[test]
fn an_error_is_told_to_machines_as_well() {
    let machine = Machine::without_interfaces();
    let output = machine.poolguard("status --json");
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("is not running"),
        "{told}"
    );
}

#[test]
fn scrapes_are_whole_while_reloads_go_on() {
    let machine = Machine::new();
    let running = machine.start();
    let families = |text: &str| text.lines().filter(|l| l.starts_with("# TYPE")).count();
    let (_, first) = machine.get("/metrics");
    let wanted = families(&first);
    assert!(wanted >= 20, "{first}");
    let reloading = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            for _ in 0..5 {
                assert!(machine.poolguard("reload").status.success());
            }
            reloading.store(false, Ordering::Relaxed);
        });
        let mut scrapes = 0;
        while reloading.load(Ordering::Relaxed) && !reloads.is_finished() {
            let (status, text) = machine.get("/metrics");
            assert_eq!((status, families(&text)), (200, wanted));
            scrapes += 1;
        }
        reloads.join().unwrap();
        assert!(scrapes > 0);
    });
    assert_eq!(machine.status()["generation"], 6);
    running.stop();
}
