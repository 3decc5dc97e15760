//! `bulk [ROWS [SEED]]`: a customer list of a million rows, and how long things
//! take with it; and with ten times and a hundred times of whatever there can be a lot of.
//!
//! Run it as `cargo xtask bulk`. Exit status 1 if a target is missed, a verdict
//! was wrong or a counter lost.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on has failed: a panic says where"
)]

mod growth;

use std::{
    env,
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use lab::{Machine, Port, Running};
use poolguard_tests::frames::tcp;

const REPETITIONS: usize = 5;

const CONFIG: &str = r#"
customer_lists = ["customers.csv"]
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "four"
kind = "static"
prefixes = ["10.0.0.0/8"]
[[pool]]
name = "six"
kind = "static"
prefixes = ["2001:db8::/32"]
"#;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Ok(rows), Ok(seed)) = (
        arguments.next().unwrap_or(Ok(1_000_000)),
        arguments.next().unwrap_or(Ok(1)),
    ) else {
        eprintln!("usage: bulk [ROWS [SEED]]");
        return ExitCode::from(2);
    };
    let mut results = Results::default();
    measure(&List { rows, seed }, &mut results);
    growth::measure(&mut results);
    println!("{rows} rows, seed {seed}\n\n{}", results.table);
    match results.missed {
        0 => ExitCode::SUCCESS,
        missed => {
            println!("{missed} missed");
            ExitCode::FAILURE
        }
    }
}

/// What was measured, against what was to be reached.
#[derive(Default)]
struct Results {
    table: String,
    missed: usize,
}

impl Results {
    fn note(&mut self, what: &str, measured: &str, target: &str, is_reached: bool) {
        if self.table.is_empty() {
            self.table
                .push_str("| | measured | target |\n|---|--:|--:|\n");
        }
        // Some take minutes.
        eprintln!("{what}: {measured}");
        let mark = if is_reached { "" } else { " MISSED" };
        writeln!(self.table, "| {what} | {measured}{mark} | {target} |").unwrap();
        self.missed += usize::from(!is_reached);
    }

    fn time(&mut self, what: &str, mut times: Vec<Duration>, target: Duration) {
        times.sort_unstable();
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        let measured = format!("{} ms; {} ms at most", median.as_millis(), most.as_millis());
        let target_text = format!("{} ms", target.as_millis());
        self.note(what, &measured, &target_text, median <= target);
    }
}

/// Half of the rows are IPv4 addresses, scattered over a /8, and half are IPv6
/// /56s, scattered over a /32.
struct List {
    rows: u64,
    seed: u64,
}

impl List {
    /// One of 2^24 places. An odd factor takes no two numbers to the same.
    fn place(&self, number: u64) -> u32 {
        let scattered = number.wrapping_mul(0x9e37_79b1).wrapping_add(self.seed);
        (scattered & 0x00ff_ffff) as u32
    }

    fn v4(&self, number: u64) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 | self.place(number))
    }

    fn v6(&self, number: u64) -> Ipv6Addr {
        let network = u128::from(self.place(number)) << 72;
        Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | network)
    }

    /// As text; one row in twenty is another one in each `version`.
    fn text(&self, version: u64) -> String {
        const PORTS: [&str; 6] = ["443", "25", "25 443", "80 443", "443/tcp", "25 80 443/tcp"];
        const EXPIRES: [&str; 4] = ["", "", "2099-12-31", "2098-06-30"];
        let mut text = String::from("prefix,allow_inbound,allow_smtp_out,customer,expires\n");
        for number in 0..self.rows / 2 {
            let draw = number
                .wrapping_mul(0x2545_f491_4f6c_dd1d)
                .wrapping_add(self.seed)
                >> 24;
            let other = if number % 20 == 19 { version } else { 0 };
            // The first ones are sent frames to.
            let choice = if number < 10 {
                0
            } else {
                (draw + other) as usize
            };
            let ports = PORTS[choice % PORTS.len()];
            let smtp_out = if choice % 5 == 1 { "true" } else { "" };
            let expires = EXPIRES[choice % EXPIRES.len()];
            let (v4, v6) = (self.v4(number), self.v6(number));
            writeln!(text, "{v4},{ports},{smtp_out},customer-{number},{expires}").unwrap();
            writeln!(
                text,
                "{v6}/56,{ports},{smtp_out},customer-{number},{expires}"
            )
            .unwrap();
        }
        text
    }
}

fn measure(list: &List, results: &mut Results) {
    let machine = Machine::new();
    machine.configure(CONFIG);
    let file = machine.directory.join("customers.csv");
    let write = |version| fs::write(&file, list.text(version)).unwrap();
    write(0);

    let check = || {
        let start = Instant::now();
        let output = machine.poolguard("check");
        assert!(output.status.success(), "{output:?}");
        start.elapsed()
    };
    let times = (0..REPETITIONS).map(|_| check()).collect();
    results.time("`check`", times, Duration::from_secs(3));

    let start = Instant::now();
    let running = machine.start();
    results.time(
        "start, with nothing kept",
        vec![start.elapsed()],
        Duration::from_secs(5),
    );
    reload_under_traffic(list, &machine, &running, write, results);
    exempt(&machine, results);
    let mebibytes = peak_memory(&running) >> 10;
    let measured = format!("{mebibytes} MiB");
    results.note(
        "memory of the controller, at its peak",
        &measured,
        "400 MiB",
        mebibytes <= 400,
    );
    for table in machine.status()["tables"].as_array().unwrap() {
        let mebibytes = table["bytes"].as_u64().unwrap() >> 20;
        if mebibytes > 0 {
            let name = table["table"].as_str().unwrap();
            let measured = format!("{mebibytes} MiB");
            results.note(
                &format!("table `{name}`"),
                &measured,
                "1024 MiB",
                mebibytes <= 1024,
            );
        }
    }
    running.stop();
    let again = || {
        let start = Instant::now();
        let running = machine.start();
        (start.elapsed(), running)
    };
    let times = (0..REPETITIONS).map(|_| {
        let (time, running) = again();
        running.stop();
        time
    });
    results.time(
        "start with the files that were in force",
        times.collect(),
        Duration::from_secs(5),
    );
    let spoilt = fs::read_to_string(&file).unwrap() + "203.0.113.300,,,spoilt,\n";
    fs::write(&file, spoilt).unwrap();
    let times = (0..REPETITIONS).map(|_| {
        let (time, mut running) = again();
        running.log_until("the files are NOT in force");
        running.stop();
        time
    });
    results.time(
        "start with the last good configuration",
        times.collect(),
        Duration::from_secs(5),
    );
}

/// Frames that are to pass and frames that are not go on while the list is
/// reloaded, each time with other rows; afterwards all of them have been counted
/// as what they are.
fn reload_under_traffic(
    list: &List,
    machine: &Machine,
    running: &Running<'_>,
    write: impl Fn(u64),
    results: &mut Results,
) {
    let mut frames = [Vec::new(), Vec::new()];
    for number in 0..10 {
        let four = (IpAddr::from([192, 0, 2, 9]), IpAddr::from(list.v4(number)));
        let six = (
            "2001:db9::9".parse().unwrap(),
            IpAddr::from(list.v6(number)),
        );
        for (source, destination) in [four, six] {
            for (frames, port) in frames.iter_mut().zip([443, 109]) {
                let frame = tcp((source, 40_000), (destination, port)).arrival();
                frames.push(frame.bytes);
            }
        }
    }
    let port = Port::open(&machine.outside, "eth0");
    let counted = || {
        let text = machine.get("/metrics").1;
        [
            "poolguard_exempted_packets_total{",
            "poolguard_dropped_packets_total{",
        ]
        .map(|name| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            values.sum::<u64>()
        })
    };
    let before = counted();
    let is_done = AtomicBool::new(false);
    let cpu_before = cpu_time(running);
    let (times, sent) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(port, &frames, &is_done));
        let times: Vec<_> = (1..=REPETITIONS as u64)
            .map(|version| {
                write(version);
                let start = Instant::now();
                let output = machine.poolguard("reload");
                assert!(output.status.success(), "{output:?}");
                start.elapsed()
            })
            .collect();
        is_done.store(true, Ordering::Relaxed);
        (times, sender.join().unwrap())
    });
    results.time("`reload`", times, Duration::from_secs(3));
    let each = (cpu_time(running) - cpu_before) / REPETITIONS as u32;
    results.time(
        "time on a CPU that a reload takes",
        vec![each],
        Duration::from_secs(3),
    );
    thread::sleep(Duration::from_millis(200));
    let after = counted();
    let wrong: Vec<u64> = (0..2)
        .map(|kind| (after[kind] - before[kind]).abs_diff(sent[kind]))
        .collect();
    let total = sent[0] + sent[1];
    results.note(
        &format!("wrong or uncounted of {total} frames meanwhile"),
        &(wrong[0] + wrong[1]).to_string(),
        "0",
        wrong == [0, 0] && total > 1_000,
    );
}

/// Sends all frames again and again; how many of each kind.
fn send(mut port: Port, frames: &[Vec<Vec<u8>>; 2], is_done: &AtomicBool) -> [u64; 2] {
    let mut sent = [0; 2];
    while !is_done.load(Ordering::Relaxed) {
        for (sent, frames) in sent.iter_mut().zip(frames) {
            for frame in frames {
                port.send(frame);
                *sent += 1;
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    sent
}

/// The command has its answer when the exemption is in force.
fn exempt(machine: &Machine, results: &mut Results) {
    let timed = |words: &str| {
        let start = Instant::now();
        let output = machine.poolguard(words);
        assert!(output.status.success(), "{words}: {output:?}");
        start.elapsed()
    };
    let prefixes = [
        "10.255.1.2",
        "10.77.0.0/24",
        "2001:db8:fff:1::/64",
        "2001:db8:77::9",
    ];
    let target = Duration::from_millis(100);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for round in 0..REPETITIONS {
        for (number, prefix) in prefixes.iter().enumerate() {
            let words = format!("exempt add {prefix} 443 --smtp-out --expires 1h --reason bulk");
            added.push(timed(&words));
            let id = round * prefixes.len() + number + 1;
            removed.push(timed(&format!("exempt remove {id}")));
        }
    }
    results.time("`exempt add`", added, target);
    results.time("`exempt remove`", removed, target);
}

/// How long the controller has been on a CPU: what it takes where other programs
/// do not get in the way.
fn cpu_time(running: &Running<'_>) -> Duration {
    const TICKS_A_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap();
    // After the name of the program, which may hold anything.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// In KiB.
fn peak_memory(running: &Running<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
