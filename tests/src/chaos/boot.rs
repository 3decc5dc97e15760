//! Boots with everything that a night can leave: a file that was spoilt or refused,
//! an interface that cannot be had, metrics and state that are in the way.
//!
//! A boot leaves nothing of the filter. What passes before the controller is ready
//! is not wrong, and is counted; from then on every frame has a known fate.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use lab::{Machine, Running};

use super::{
    faults::{Plan, must, reload, spread},
    report::Row,
    site::{CONFIGURATIONS, Site},
    traffic,
};

/// What a night has left, and how the controller starts with it.
pub(super) struct Night {
    pub(super) name: &'static str,
    /// Spoils something. What it gives back stays until the box is up.
    spoil: fn(&Machine) -> Option<TcpListener>,
    /// Words that the log has to have.
    says: &'static str,
    /// Makes it good again, for the next boot.
    restore: fn(&Machine),
}

const NOT_IN_FORCE: &str = "the files are NOT in force, a reload would refuse them";
const UNUSABLE: &str = "what an earlier run left cannot be used";

const UNCONFIRMED: &str = "UNCONFIRMED: what is in force could be compared with nothing";

/// All of them.
pub(super) const NIGHTS: [Night; 15] = [
    Night {
        name: "boot with a file that is no TOML",
        spoil: |machine| configure(machine, "[["),
        says: NOT_IN_FORCE,
        restore: nothing,
    },
    Night {
        name: "boot with a file that a reload refused",
        spoil: |machine| {
            let running = machine.start_with("run");
            configure(machine, &format!("enforcement = \"monitor\"\n{}", usual()));
            reload(machine, false);
            running.kill();
            None
        },
        says: NOT_IN_FORCE,
        restore: nothing,
    },
    Night {
        name: "boot with a file that changes too much",
        spoil: |machine| {
            configure(
                machine,
                &usual().replace("2001:db8:100::/40", "2001:db8::/32"),
            )
        },
        says: NOT_IN_FORCE,
        restore: nothing,
    },
    Night {
        name: "boot with an interface left out",
        spoil: |machine| configure(machine, &usual().replace("\"eth0\"", "\"etho\"")),
        says: NOT_IN_FORCE,
        restore: nothing,
    },
    Night {
        name: "boot with a role turned round",
        spoil: |machine| configure(machine, &usual().replace("\"network\"", "\"customer\"")),
        says: NOT_IN_FORCE,
        restore: nothing,
    },
    Night {
        name: "boot with an interface that cannot be had",
        spoil: |machine| {
            let more = "[[interface]]\nname = \"br9\"\nrole = \"network\"\n";
            machine.namespace.ip("link add br9 type bridge");
            configure(machine, &format!("{}{more}", usual()))
        },
        says: "cannot be attached to as configured, NOT ENFORCING there",
        restore: |machine| {
            machine.namespace.ip("link delete br9");
        },
    },
    Night {
        name: "boot with the metrics' address in use",
        spoil: |machine| {
            let listener = machine
                .namespace
                .run(|| TcpListener::bind("127.0.0.1:9188"));
            Some(listener.expect("nobody has it"))
        },
        says: "are NOT SERVED",
        restore: nothing,
    },
    Night {
        name: "boot with a read-only state directory",
        spoil: |machine| {
            let state = machine.state();
            let state = state.display();
            shell(machine, &format!("mount --bind {state} {state}"));
            shell(machine, &format!("mount -o remount,bind,ro {state}"));
            configure(machine, &format!("{}# another text\n", usual()))
        },
        says: "the configuration in force cannot be kept",
        restore: |machine| shell(machine, &format!("umount {}", machine.state().display())),
    },
    Night {
        name: "boot with exemptions that make no sense",
        spoil: |machine| {
            let file = machine.state_file("exemptions.json");
            fs::write(file, "{ \"version\": 1,").expect("can be written");
            None
        },
        says: UNUSABLE,
        restore: nothing,
    },
    Night {
        name: "boot with the kept configuration damaged",
        spoil: |machine| {
            fs::write(machine.state_file("confirmed.tar"), "damaged").expect("can be written");
            None
        },
        says: UNUSABLE,
        restore: nothing,
    },
    Night {
        name: "boot with a flipped bit in the kept configuration",
        spoil: |machine| {
            replace_in_kept(machine, b"203.0.113.8/29", b"203.0.113.0/29");
            None
        },
        says: "its sum says",
        restore: nothing,
    },
    Night {
        name: "boot with the kept configuration of another poolguard",
        spoil: |machine| {
            replace_in_kept(machine, b"role", b"rule");
            // One that writes no sums.
            replace_in_kept(machine, b"\"sha256\"", b"\"sha25_\"");
            configure(machine, &format!("{}# another text\n", usual()))
        },
        says: UNCONFIRMED,
        restore: nothing,
    },
    Night {
        name: "boot after a trial of which nobody knows the end",
        spoil: |machine| {
            on_trial(machine, &format!("enforcement = \"monitor\"\n{}", usual()));
            fs::write(machine.state_file("unconfirmed.json"), "").expect("can be written");
            None
        },
        says: "until when it was on trial is not known",
        restore: nothing,
    },
    Night {
        name: "boot after a trial with nothing to go back to",
        spoil: |machine| {
            on_trial(machine, &format!("{}# on trial\n", usual()));
            fs::remove_file(machine.state_file("confirmed.tar")).expect("is there");
            configure(machine, "[[")
        },
        says: UNCONFIRMED,
        restore: nothing,
    },
    Night {
        name: "boot with a panic while the file is read",
        spoil: |machine| {
            fs::write(inject(machine), "reading the configuration").expect("can be written");
            None
        },
        says: NOT_IN_FORCE,
        restore: |machine| fs::remove_file(inject(machine)).expect("is there"),
    },
];

fn nothing(_: &Machine) {}

/// Puts one text in the place of another one in what is kept.
fn replace_in_kept<const N: usize>(machine: &Machine, text: &[u8; N], by: &[u8; N]) {
    let file = machine.state_file("confirmed.tar");
    let mut kept = fs::read(&file).expect("is kept");
    let at = kept.windows(N).position(|word| word == text);
    let at = at.expect("every configuration has it");
    kept[at..at + N].copy_from_slice(by);
    fs::write(file, kept).expect("can be written");
}

/// What the box enforces in these nights, with the limit that it has by default.
fn usual() -> String {
    CONFIGURATIONS[0].replace("max_change = \"100%\"", "max_change = \"10%\"")
}

fn configure(machine: &Machine, text: &str) -> Option<TcpListener> {
    machine.configure(text);
    None
}

/// A controller dies while this is on trial.
fn on_trial(machine: &Machine, text: &str) {
    let running = machine.start_with("run");
    machine.configure(text);
    let reloaded = machine.poolguard("reload --force --confirm 1h");
    assert!(reloaded.status.success(), "{reloaded:?}");
    running.kill();
}

fn inject(machine: &Machine) -> std::path::PathBuf {
    machine.directory.join("inject")
}

fn shell(machine: &Machine, script: &str) {
    must(machine.program(Path::new("sh")).args(["-ec", script]));
}

/// Brings it about: nights with this, and boots after them.
pub(super) fn boots(site: &mut Site, plan: &Plan, night: &Night) -> Row {
    let Site { machine, ends } = site;
    let (mut starts, mut tally) = (Vec::new(), traffic::Tally::default());
    for _ in 0..plan.refusals {
        machine.configure(&usual());
        machine.start_with("run --force").kill();
        let in_the_way = (night.spoil)(machine);
        // A reboot knows nothing of what is kept.
        let detached = machine.poolguard("detach --state-dir /nonexistent");
        assert!(detached.status.success(), "{detached:?}");
        let (mut running, start) = boot(machine);
        starts.push(start);
        running.log_until(night.says);
        let ((), more) = traffic::during(ends, || {
            drop(in_the_way);
            // Another start has no more to go by than the first.
            running.kill();
            let (again, start) = boot(machine);
            starts.push(start);
            again.kill();
        });
        tally.add(more);
        (night.restore)(machine);
    }
    Row {
        note: format!("a start takes {}", spread(starts)),
        ..Row::new(plan.refusals, tally)
    }
}

fn boot(machine: &Machine) -> (Running<'_>, Duration) {
    let mut command: Command = machine.command("run");
    command.env("POOLGUARD_INJECT_PANIC", inject(machine));
    let start = Instant::now();
    let running = machine.start_command(command);
    (running, start.elapsed())
}
