//! Monitor mode, of the box or of a pool, is called that wherever poolguard says what it
//! does, and never enforcing.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use lab::{CONFIG, Machine, metric};

/// A second pool beside the first.
const STATIC: &str = "[[pool]]\nname = \"business\"\nkind = \"static\"\n\
                      prefixes = [\"203.0.113.0/24\"]\nenforcement = \"monitor\"\n";

/// Everything that a controller says of what it does, from its start to its end, with an
/// interface that comes back meanwhile.
fn said(machine: &Machine) -> Vec<String> {
    let mut said = Vec::new();
    let mut running = machine.start_with("run");
    said.push(machine.get("/readyz").1);
    let status = machine.poolguard("status");
    assert!(status.status.success(), "{status:?}");
    let status = String::from_utf8(status.stdout).unwrap();
    said.push(status.lines().nth(1).unwrap().to_owned());
    machine.namespace.ip("link delete eth0");
    running.log_until("the interface or its link is gone");
    machine.add_veth("eth0");
    said.push(running.log_until("the interface is there"));
    machine.configure("[[");
    assert!(!machine.poolguard("reload").status.success());
    said.push(running.log_until("reload refused"));
    let log = running.stop();
    let stopped = log.lines().find(|line| line.contains("stopped, and"));
    said.push(stopped.unwrap_or_else(|| panic!("{log}")).to_owned());
    said
}

#[test]
fn a_box_in_monitor_mode_says_so_everywhere() {
    let machine = Machine::new();
    machine.configure(&format!("enforcement = \"monitor\"\n{CONFIG}{STATIC}"));
    let mut running = machine.start_with("run");
    let line = running.log_until("interface=eth1");
    assert!(
        line.contains("counting, and dropping nothing (MONITOR MODE)"),
        "{line}"
    );
    let (_, text) = machine.get("/metrics");
    assert_eq!(metric(&text, "poolguard_config_monitor"), 1);
    for pool in ["dialup", "business"] {
        let name = format!("poolguard_pool_monitored{{pool=\"{pool}\"}}");
        assert_eq!(metric(&text, &name), 1, "{pool}");
    }
    running.stop();
    for said in said(&machine) {
        assert!(said.contains("MONITOR MODE"), "{said}");
        for wrong in ["enforc", "ENFORC", "filters"] {
            assert!(!said.contains(wrong), "{said}");
        }
    }
}

#[test]
fn a_pool_in_monitor_mode_is_named_wherever_the_box_is_said_to_enforce() {
    let machine = Machine::new();
    machine.configure(&format!("{CONFIG}{STATIC}"));
    let mut running = machine.start_with("run");
    let line = running.log_until("interface=eth1");
    assert!(
        line.contains("enforcing, but MONITOR MODE in business"),
        "{line}"
    );
    let (_, text) = machine.get("/metrics");
    assert_eq!(metric(&text, "poolguard_config_monitor"), 0);
    assert_eq!(
        metric(&text, "poolguard_pool_monitored{pool=\"dialup\"}"),
        0
    );
    assert_eq!(
        metric(&text, "poolguard_pool_monitored{pool=\"business\"}"),
        1
    );
    running.stop();
    for said in said(&machine) {
        assert!(said.contains("MONITOR MODE in business"), "{said}");
    }
}

#[test]
fn a_box_without_monitor_mode_says_nothing_of_it() {
    let machine = Machine::new();
    for said in said(&machine) {
        assert!(!said.to_lowercase().contains("monitor"), "{said}");
    }
}
