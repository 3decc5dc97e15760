//! The faults, one after the other.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use lab::{Machine, Running, last_line};

use super::{
    beside::BESIDE,
    boot::{NIGHTS, boots},
    report::Row,
    site::{CONFIGURATIONS, EXEMPTED, Ends, FORBIDDEN, Site},
    traffic,
};

/// How often each fault is brought about.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// SIGKILL and another start.
    pub kills: u64,
    /// Reloads that succeed.
    pub reloads: u64,
    /// Each kind of reload that fails.
    pub refusals: u64,
    /// The network's interface deleted and re-created.
    pub replugs: u64,
    /// Times that the clock is set, either way.
    pub clocks: u64,
    /// Connections to the control socket, and to `/metrics`.
    pub connections: u64,
    /// Everything together.
    pub rounds: u64,
}

impl Plan {
    /// What `cargo xtask test` has time for.
    pub const SHORT: Self = Self {
        kills: 3,
        reloads: 4,
        refusals: 1,
        replugs: 2,
        clocks: 1,
        connections: 100,
        rounds: 1,
    };

    /// What `cargo xtask chaos` does.
    pub const WHOLE: Self = Self {
        kills: 200,
        reloads: 1_000,
        refusals: 10,
        replugs: 50,
        clocks: 10,
        connections: 1_000,
        rounds: 20,
    };
}

/// A fault, and what brings it about.
pub(super) type Fault = (&'static str, fn(&mut Site, &Plan) -> Row);

/// All of them.
const FAULTS: [Fault; 12] = [
    ("SIGKILL and another start", kills),
    ("reload, to and fro", reloads),
    ("reload of a file that is no TOML", |site, plan| {
        refused(site, plan, "[[")
    }),
    ("reload of a wrong prefix", |site, plan| {
        let wrong = CONFIGURATIONS[0].replace("203.0.113.8/29", "203.0.113.9/29");
        refused(site, plan, &wrong)
    }),
    ("reload of more ports than fit", |site, plan| {
        let ports: Vec<u16> = (1..=64).collect();
        let many = format!("{}\n[ports]\nforbidden = {ports:?}\n", CONFIGURATIONS[0]);
        refused(site, plan, &many)
    }),
    (
        "reload without descriptors, at every step",
        without_descriptors,
    ),
    ("reload and start on a read-only bpffs", read_only_bpffs),
    ("state directory full, and read-only", unwritable_state),
    ("clock set forward and back", clock),
    ("control socket flooded", flooded),
    ("slow scrapes", slow_scrapes),
    ("killed, reloaded and scraped at once", together),
];

/// Those during which a verdict changes, or no program is attached for a while.
/// What passes meanwhile is not wrong; how long that is, is measured.
const GAPS: [Fault; 4] = [
    ("temporary exemption added, and over", exempted),
    ("interface deleted and re-created", replugged),
    (
        "interface re-created while bpffs is read-only",
        replugged_without_pins,
    ),
    ("link detached behind its back", unlinked),
];

/// Brings about every fault that has `words` in its name, and tells of each as it is over.
pub fn inject(plan: &Plan, words: &str, mut tell: impl FnMut(Row)) {
    let mut site = Site::new();
    // Whatever comes, comes to a filter that enforces.
    site.machine.start_with("run").kill();
    let faults = FAULTS.into_iter().chain(BESIDE).chain(GAPS);
    for (name, fault) in faults.filter(|(name, _)| name.contains(words)) {
        site.machine.configure(CONFIGURATIONS[0]);
        let row = fault(&mut site, plan);
        tell(Row { fault: name, ..row });
    }
    for night in NIGHTS.iter().filter(|night| night.name.contains(words)) {
        let row = boots(&mut site, plan, night);
        tell(Row {
            fault: night.name,
            ..row
        });
    }
    let detached = site.machine.poolguard("detach");
    assert!(detached.status.success(), "{detached:?}");
}

/// What a controller has counted.
type Counts = BTreeMap<String, u64>;

fn counts(machine: &Machine) -> Counts {
    let (code, text) = machine.get("/metrics");
    assert_eq!(code, 200, "{text}");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| {
            name.split('{')
                .next()
                .is_some_and(|n| n.ends_with("_total"))
        })
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a whole number")))
        .collect()
}

/// How many counters are less than they were, or gone.
fn went_back(before: &Counts, after: &Counts) -> u64 {
    let is_back = |(name, count): &(&String, &u64)| after.get(*name) < Some(*count);
    before.iter().filter(is_back).count() as u64
}

fn kills(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let mut back = 0;
    let (starts, tally) = traffic::during(ends, || {
        let mut running = machine.start_with("run");
        let mut starts = Vec::new();
        for _ in 0..plan.kills {
            let before = counts(machine);
            running.kill();
            let start = Instant::now();
            running = machine.start_with("run");
            starts.push(start.elapsed());
            back += went_back(&before, &counts(machine));
        }
        running.kill();
        starts
    });
    Row {
        counters_back: back,
        note: format!("a start takes {}", spread(starts)),
        ..Row::new(plan.kills, tally)
    }
}

fn reloads(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let mut back = 0;
    let (durations, tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        let mut before = counts(machine);
        let mut durations = Vec::new();
        for number in 0..plan.reloads {
            machine.configure(CONFIGURATIONS[1 - (number % 2) as usize]);
            let start = Instant::now();
            reload(machine, true);
            durations.push(start.elapsed());
            let after = counts(machine);
            back += went_back(&before, &after);
            before = after;
        }
        running.kill();
        durations
    });
    Row {
        counters_back: back,
        note: format!("a reload takes {}", spread(durations)),
        ..Row::new(plan.reloads, tally)
    }
}

/// Asks for what would have to be kept, which is refused where nothing can be.
pub(super) fn keeps_nothing(machine: &Machine) {
    for wish in [
        "exempt add 203.0.113.99 80 --expires 1h --reason chaos",
        "reload --confirm 1h",
    ] {
        let output = machine.poolguard(wish);
        assert_eq!(output.status.code(), Some(1), "{wish}: {output:?}");
    }
}

#[track_caller]
pub(super) fn reload(machine: &Machine, succeeds: bool) {
    let output = machine.poolguard("reload");
    assert_eq!(output.status.success(), succeeds, "{output:?}");
}

/// Reloads a configuration that cannot be, and then one that can.
fn refused(site: &mut Site, plan: &Plan, text: &str) -> Row {
    let Site { machine, ends } = site;
    let ((), tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        for _ in 0..plan.refusals {
            machine.configure(text);
            reload(machine, false);
            machine.configure(CONFIGURATIONS[0]);
            reload(machine, true);
        }
        running.kill();
    });
    Row::new(plan.refusals, tally)
}

/// Every map, program and file of a reload takes a descriptor: with one more each
/// time, it fails at one step after the other.
fn without_descriptors(site: &mut Site, _: &Plan) -> Row {
    let Site { machine, ends } = site;
    let (errors, tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        let descriptors = || {
            let directory = format!("/proc/{}/fd", running.pid());
            fs::read_dir(directory).expect("it runs").count()
        };
        // The question itself takes two: the connection, and the configuration.
        let fewest = descriptors() + 2;
        let mut errors = Vec::new();
        for limit in fewest.. {
            allow_descriptors(&running, limit);
            let output = machine.poolguard("reload");
            if output.status.success() {
                break;
            }
            let error = last_line(&output);
            assert!(error.contains("LimitNOFILE="), "what to do: {error}");
            errors.push(error);
        }
        allow_descriptors(&running, 4_096);
        reload(machine, true);
        running.kill();
        errors
    });
    let times = errors.len() as u64;
    let kinds: std::collections::BTreeSet<_> = errors.into_iter().collect();
    Row {
        note: format!("{} different refusals", kinds.len()),
        ..Row::new(times, tally)
    }
}

fn allow_descriptors(running: &Running<'_>, limit: usize) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &running.pid().to_string()]);
    command.arg(format!("--nofile={limit}:4096"));
    must(&mut command);
}

fn read_only_bpffs(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let ((), tally) = traffic::during(ends, || {
        for _ in 0..plan.refusals {
            let running = machine.start_with("run");
            remount_bpffs(machine, "ro");
            reload(machine, false);
            running.kill();
            let output = machine.poolguard("run");
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            remount_bpffs(machine, "rw");
        }
    });
    Row::new(2 * plan.refusals, tally)
}

/// What has to be kept cannot be kept: then it is not done at all.
fn unwritable_state(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let shell = |script: &str| must(machine.program(Path::new("sh")).args(["-ec", script]));
    let state = machine.state();
    let state = state.display();
    shell(&format!("mount -t tmpfs -o size=64k tmpfs {state}"));
    let ((), tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        for _ in 0..plan.refusals {
            for (breaks, mends) in [
                (
                    format!("head -c 1M /dev/zero > {state}/full || true"),
                    format!("rm {state}/full"),
                ),
                (
                    format!("mount -o remount,ro {state}"),
                    format!("mount -o remount,rw {state}"),
                ),
            ] {
                shell(&breaks);
                keeps_nothing(machine);
                reload(machine, true);
                shell(&mends);
            }
        }
        running.kill();
    });
    shell(&format!("umount {state}"));
    Row::new(2 * plan.refusals, tally)
}

/// Debian's `faketime` shows the controller another clock.
fn clock(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let file = machine.directory.join("clock");
    let set = |offset: &str| fs::write(&file, offset).expect("can be written");
    set("+0");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let passing = format!(
        "{}\n[[customer]]\nname = \"passing\"\nprefixes = [\"203.0.113.200/32\"]\n\
         allow_inbound = [80]\nexpires = {soon}\n",
        CONFIGURATIONS[0]
    );
    let ((), tally) = traffic::during(ends, || {
        machine.configure(&passing);
        let mut command = machine.command("run");
        command
            .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
            .env("FAKETIME_TIMESTAMP_FILE", &file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let mut running = machine.start_command(command);
        for _ in 0..plan.clocks {
            assert_eq!(machine.status()["exemptions"]["ipv4"], 2);
            set("+2d");
            running.log_until("exemptions have expired");
            assert_eq!(machine.status()["exemptions"]["ipv4"], 1);
            set("-2d");
            reload(machine, true);
            assert_eq!(machine.status()["exemptions"]["ipv4"], 2);
            set("+0");
            reload(machine, true);
        }
        running.kill();
    });
    Row::new(2 * plan.clocks, tally)
}

fn flooded(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let socket = format!("/run/poolguard/{}.sock", machine.instance);
    let (connected, tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        let flood: Vec<UnixStream> = (0..plan.connections)
            .filter_map(|number| {
                let mut stream = UnixStream::connect(&socket).ok()?;
                let half: &[u8] = match number % 3 {
                    0 => b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n",
                    1 => b"POST /relo",
                    _ => &[0xff; 4_096],
                };
                stream.write_all(half).ok().map(|()| stream)
            })
            .collect();
        reload(machine, true);
        machine.status();
        running.kill();
        flood.len() as u64
    });
    Row::new(connected, tally)
}

fn slow_scrapes(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let ((connected, waited), tally) = traffic::during(ends, || {
        let running = machine.start_with("run");
        let slow = scrape_slowly(machine, plan.connections);
        reload(machine, true);
        machine.status();
        let start = Instant::now();
        counts(machine);
        let waited = start.elapsed();
        running.kill();
        (slow.len() as u64, waited)
    });
    Row {
        note: format!("an honest scrape among them took {} ms", waited.as_millis()),
        ..Row::new(connected, tally)
    }
}

/// Connections to `/metrics` that never end their question.
fn scrape_slowly(machine: &Machine, connections: u64) -> Vec<TcpStream> {
    machine.namespace.run(|| {
        let address = ([127, 0, 0, 1], 9188).into();
        let connect = |_| {
            // Beyond the kernel's queue one gets in when another has been sent away.
            let patience = Duration::from_secs(20);
            let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
            stream.write_all(b"GET /metr").ok().map(|()| stream)
        };
        (0..connections).filter_map(connect).collect()
    })
}

fn together(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let ((), tally) = traffic::during(ends, || {
        let mut running = machine.start_with("run");
        for _ in 0..plan.rounds {
            let slow = scrape_slowly(machine, plan.connections / 10);
            running = std::thread::scope(|scope| {
                let reloads = scope.spawn(|| {
                    for configuration in CONFIGURATIONS.iter().cycle().take(6) {
                        machine.configure(configuration);
                        // Nobody may be there to be asked.
                        machine.poolguard("reload");
                    }
                });
                running.kill();
                let another = machine.start_with("run");
                reloads.join().expect("the reloads go on");
                another
            });
            drop(slow);
            machine.configure(CONFIGURATIONS[0]);
            reload(machine, true);
        }
        running.kill();
    });
    Row::new(plan.rounds, tally)
}

/// A customer's port is open when `exempt add` returns, and closed when the
/// exemption is over.
fn exempted(site: &mut Site, plan: &Plan) -> Row {
    let Site { machine, ends } = site;
    let mut late = Vec::new();
    let mut tally = traffic::during(ends, || ()).1;
    for _ in 0..plan.refusals {
        let running = machine.start_with("run");
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
        let add = format!("exempt add 203.0.113.9 8080 --expires {end} --reason chaos");
        let output = machine.poolguard(&add);
        assert!(output.status.success(), "{output:?}");
        assert!(jiff::Timestamp::now() < end, "it was added in time");
        tally.lost += u64::from(!ends.passes(EXEMPTED));
        while ends.passes(EXEMPTED) {}
        let after = jiff::Timestamp::now().duration_since(end);
        late.push(after.try_into().expect("not before it is over"));
        running.kill();
    }
    Row {
        note: format!("closed {} after its end", spread(late)),
        ..Row::new(plan.refusals, tally)
    }
}

fn replugged(site: &mut Site, plan: &Plan) -> Row {
    let mut leaked = 0;
    let mut gaps = Vec::new();
    for _ in 0..plan.replugs {
        let machine = &site.machine;
        let mut running = machine.start_with("run");
        machine.namespace.ip("link delete eth0");
        running.log_until("the interface or its link is gone");
        let start = Instant::now();
        machine.add_veth("eth0");
        running.log_until("the interface is there: enforcing on it");
        gaps.push(start.elapsed());
        running.kill();
        site.plug_in();
        leaked += until_enforced(&mut site.ends).1;
    }
    let ((), tally) = traffic::during(&mut site.ends, || ());
    Row {
        note: format!(
            "enforcing {} after `ip link add` was run; {leaked} forbidden frames passed",
            spread(gaps)
        ),
        ..Row::new(plan.replugs, tally)
    }
}

/// Nothing is attached that cannot be pinned; and what is tried does not try itself again.
fn replugged_without_pins(site: &mut Site, plan: &Plan) -> Row {
    const CANNOT: &str = "the interface cannot be attached to as configured";
    let mut leaked = 0;
    let mut gaps = Vec::new();
    for _ in 0..plan.refusals {
        let machine = &site.machine;
        let mut running = machine.start_with("run");
        remount_bpffs(machine, "ro");
        machine.namespace.ip("link delete eth0");
        running.log_until("the interface or its link is gone");
        machine.add_veth("eth0");
        running.log_until(CANNOT);
        // The other one is filtered all the time.
        let customers = machine.namespace.ip("-details link show eth1");
        assert!(customers.contains("prog/xdp"), "{customers}");
        let (code, text) = machine.get("/readyz");
        assert!(code == 503 && text.contains("eth0"), "{text}");
        remount_bpffs(machine, "rw");
        let start = Instant::now();
        running.log_until("the interface is there: enforcing on it");
        gaps.push(start.elapsed());
        running.kill();
        site.plug_in();
        leaked += until_enforced(&mut site.ends).1;
    }
    let ((), tally) = traffic::during(&mut site.ends, || ());
    Row {
        note: format!(
            "enforcing {} after it can be pinned; {leaked} forbidden frames passed",
            spread(gaps)
        ),
        ..Row::new(plan.refusals, tally)
    }
}

pub(super) fn remount_bpffs(machine: &Machine, how: &str) {
    let mut mount = machine.program(Path::new("mount"));
    must(mount.args(["-o", &format!("remount,{how}"), "/sys/fs/bpf"]));
}

fn unlinked(site: &mut Site, plan: &Plan) -> Row {
    let mut leaked = 0;
    let mut gaps = Vec::new();
    for _ in 0..plan.refusals {
        let mut running = site.machine.start_with("run");
        let pin = site.machine.link_pin("eth0");
        let mut bpftool = site.machine.program(Path::new("bpftool"));
        must(bpftool.args(["link", "detach", "pinned"]).arg(pin));
        let (gap, passed) = until_enforced(&mut site.ends);
        gaps.push(gap);
        leaked += passed;
        // Only now is the link pinned as well.
        running.log_until("the interface is there: enforcing on it");
        running.kill();
    }
    let ((), tally) = traffic::during(&mut site.ends, || ());
    Row {
        note: format!(
            "enforcing again after {}; {leaked} forbidden frames passed",
            spread(gaps)
        ),
        ..Row::new(plan.refusals, tally)
    }
}

/// Sends a frame that is not to pass, again and again, until it does not. Says
/// how long that took, and how many passed.
fn until_enforced(ends: &mut Ends) -> (Duration, u64) {
    let start = Instant::now();
    let mut leaked = 0;
    while ends.passes(FORBIDDEN) {
        leaked += 1;
    }
    (start.elapsed(), leaked)
}

pub(super) fn must(command: &mut Command) {
    let output = command.output().expect("can be run");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// The median and the longest.
pub(super) fn spread(mut durations: Vec<Duration>) -> String {
    durations.sort();
    let mut text = String::new();
    let median = durations[durations.len() / 2].as_secs_f64() * 1e3;
    let longest = durations[durations.len() - 1].as_secs_f64() * 1e3;
    let _infallible = write!(text, "{median:.0} ms (median; {longest:.0} ms at most)");
    text
}
