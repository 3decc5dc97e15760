//! What stands beside the filter and can fail by itself: the log, disks, other
//! controllers, the clock, bpffs.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lab::{Machine, Namespace, Process, poolguard};

use super::{
    faults::{Fault, Plan, keeps_nothing, must, reload, remount_bpffs},
    report::Row,
    site::{CONFIGURATIONS, Site},
    traffic,
};

/// All of them.
pub(super) const BESIDE: [Fault; 7] = [
    ("log that nobody reads", unread_log),
    ("configuration on a disk that does not answer", dead_disk),
    ("state directory that does not answer", dead_state),
    ("start of the same instance in another namespace", elsewhere),
    ("start before the clock is set", early_clock),
    ("trial that cannot go back for a while", stuck_trial),
    ("start with a limit on the size of files", small_files),
];

/// `poolguard` as a script starts it, whose `$0` is a path.
fn by_script(machine: &Machine, script: &str, path: &Path, words: &str) -> Command {
    let mut command = machine.program(Path::new("sh"));
    command.args(["-ec", script]).arg(path).arg(poolguard());
    command.args(machine.which(words));
    command.args(words.split_whitespace());
    command.env("STATE_DIRECTORY", machine.state());
    command
}

/// As long as nobody reads a full pipe, nothing can be written to it.
fn unread_log(site: &mut Site, plan: &Plan) -> Row {
    const FULL: &str = "rm -f \"$0\"; mkfifo \"$0\"; exec 3<>\"$0\"\n\
                        head -c 65536 /dev/zero >&3; exec \"$@\" 2>&3";
    let Site { machine, ends } = site;
    let pipe = machine.directory.join("unread");
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            let command = by_script(machine, FULL, &pipe, "run");
            let running = machine.start_command(command);
            reload(machine, true);
            machine.configure("[[");
            reload(machine, false);
            machine.configure(CONFIGURATIONS[0]);
            // It ends nevertheless.
            running.stop();
        }
    });
    Row::new(plan.refusals, tally)
}

/// What is kept is larger than the process may make a file.
fn small_files(site: &mut Site, plan: &Plan) -> Row {
    const LIMIT: &str = "exec prlimit --fsize=256 -- \"$@\"";
    let Site { machine, ends } = site;
    let nothing = machine.directory.join("nothing");
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            machine.configure(&format!("{}# another text\n", CONFIGURATIONS[0]));
            let command = by_script(machine, LIMIT, &nothing, "run");
            let mut running = machine.start_command(command);
            running.log_until("cannot be kept");
            keeps_nothing(machine);
            reload(machine, true);
            running.kill();
            machine.configure(CONFIGURATIONS[0]);
            machine.start_with("run").kill();
        }
    });
    Row::new(2 * plan.refusals, tally)
}

/// A file system that never answers, until it is dropped.
struct Dead<'a> {
    server: Child,
    machine: &'a Machine,
    place: &'a Path,
}

impl<'a> Dead<'a> {
    fn over(machine: &'a Machine, place: &'a Path) -> Self {
        let script = "exec 3<>/dev/fuse\n\
                      mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead \"$0\"\n\
                      echo mounted; exec sleep infinity";
        let mut command = machine.program(Path::new("sh"));
        command.args(["-ec", script]).arg(place);
        let mut server = command.stdout(Stdio::piped()).spawn().expect("sh");
        let mut said = [0; 8];
        let stdout = server.stdout.as_mut().expect("it is piped");
        stdout.read_exact(&mut said).expect("it is mounted");
        Self {
            server,
            machine,
            place,
        }
    }
}

impl Drop for Dead<'_> {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _gone = self.server.wait();
        let mut umount = self.machine.program(Path::new("umount"));
        must(umount.arg("-l").arg(self.place));
    }
}

/// For how long a disk is waited for here.
const RUN: &str = "run --disk-patience 1s";

fn dead_disk(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let place = machine.directory.join("dead");
    fs::create_dir_all(&place).expect("can be made");
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            let running = machine.start_with(RUN);
            let dead = Dead::over(machine, &place);
            let included = format!("include = [\"dead/*.toml\"]\n{}", CONFIGURATIONS[0]);
            machine.configure(&included);
            reload(machine, false);
            running.kill();
            // A start that cannot read its files goes on with the last good ones.
            let mut running = machine.start_with(RUN);
            running.log_until("the files are NOT in force");
            drop(dead);
            machine.configure(CONFIGURATIONS[0]);
            reload(machine, true);
            running.kill();
        }
    });
    Row::new(2 * plan.refusals, tally)
}

fn dead_state(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let state = machine.state();
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            let mut running = machine.start_with(RUN);
            let dead = Dead::over(machine, &state);
            keeps_nothing(machine);
            reload(machine, true);
            running.log_until("the state directory does not answer");
            running.kill();
            let mut running = machine.start_with(RUN);
            running.log_until("UNCONFIRMED");
            drop(dead);
            running.log_until("the state directory answers again");
            reload(machine, true);
            running.kill();
        }
    });
    Row::new(2 * plan.refusals, tally)
}

/// Interfaces have the same names and the same numbers there.
fn elsewhere(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let other = Namespace::new();
    for interface in ["eth0", "eth1"] {
        other.join(interface, &machine.outside, &format!("other-{interface}"));
    }
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            for words in ["run", "run --force", "detach"] {
                let mut command = machine.command(words);
                let run = || Process::run(words, &mut command, Duration::from_secs(60));
                let ended = other.run(run).expect("it is refused");
                let says = "filters in another network namespace";
                assert!(ended.stderr.contains(says), "{words}: {}", ended.stderr);
            }
        }
    });
    Row::new(3 * plan.refusals, tally)
}

/// The service starts before NTP: the clock is two days ahead, and set right later.
fn early_clock(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let file = machine.directory.join("clock");
    let set = |offset: &str| fs::write(&file, offset).expect("can be written");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let passing = format!(
        "{}\n[[customer]]\nname = \"passing\"\nprefixes = [\"203.0.113.200/32\"]\n\
         allow_inbound = [80]\nexpires = {soon}\n",
        CONFIGURATIONS[0]
    );
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.clocks {
            machine.configure(&passing);
            set("+2d");
            let mut command = machine.command("run --force");
            command
                .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
                .env("FAKETIME_TIMESTAMP_FILE", &file)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            let mut running = machine.start_command(command);
            assert_eq!(machine.status()["exemptions"]["ipv4"], 1);
            set("+0");
            running.log_until("the clock went back to before the end of exemptions");
            assert_eq!(machine.status()["exemptions"]["ipv4"], 2);
            running.kill();
        }
    });
    machine.configure(CONFIGURATIONS[0]);
    machine.start_with("run --force").kill();
    Row::new(plan.clocks, tally)
}

/// Nothing can be pinned when the trial is over.
fn stuck_trial(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            let mut running = machine.start_with("run");
            machine.configure(CONFIGURATIONS[1]);
            let output = machine.poolguard("reload --confirm 2s");
            assert!(output.status.success(), "{output:?}");
            remount_bpffs(machine, "ro");
            running.log_until("not confirmed in time, and still in force");
            remount_bpffs(machine, "rw");
            running.log_until("the configuration before it is in force again");
            running.kill();
            machine.configure(CONFIGURATIONS[0]);
            let running = machine.start_with("run");
            reload(machine, true);
            running.kill();
        }
    });
    Row::new(plan.refusals, tally)
}
