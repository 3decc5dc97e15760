//! What grows with what there is: each measured at what is usual, at ten times and at a
//! hundred times that.

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use lab::Machine;

use crate::Results;

/// Something that there can be a lot of.
struct Subject {
    name: &'static str,
    usual: u32,
    /// Makes a box with so many.
    make: fn(&Machine, u32),
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        name: "included files",
        usual: 10,
        make: files,
    },
    Subject {
        name: "customers",
        usual: 1_000,
        make: customers,
    },
    Subject {
        name: "temporary exemptions",
        usual: 200,
        make: |machine, number| exemptions(machine, number, 10),
    },
    // 1,023 are the most that there can be.
    Subject {
        name: "pools",
        usual: 10,
        make: |machine, number| machine.configure(&pools(number, 1)),
    },
];

/// What takes longer the more there is.
const MEASURED: [&str; 5] = ["check", "start", "reload", "exempt add", "status"];

const TIMES: [u32; 3] = [1, 10, 100];
const REPETITIONS: usize = 3;

/// What takes no longer than that need not be in proportion.
const SHORT: Duration = Duration::from_millis(50);
/// For ten times as much: ten, and what a busy machine makes of that.
const LINEAR: f64 = 15.0;

pub(crate) fn measure(results: &mut Results) {
    for subject in &SUBJECTS {
        let measured = TIMES.map(|times| times_with(subject.make, subject.usual * times));
        for (at, what) in MEASURED.into_iter().enumerate() {
            let [one, ten, hundred] = measured.map(|times| times[at]);
            let is_linear = hundred <= SHORT || hundred.as_secs_f64() <= LINEAR * ten.as_secs_f64();
            let text = [one, ten, hundred].map(|time| time.as_millis().to_string());
            results.note(
                &format!(
                    "`{what}` with {}, {}, {} {}",
                    subject.usual,
                    subject.usual * 10,
                    subject.usual * 100,
                    subject.name
                ),
                &format!("{} ms", text.join(", ")),
                "in proportion",
                is_linear,
            );
        }
    }
    // As many pools as there can be, of ten prefixes each.
    let times = times_with(|machine, number| exemptions(machine, number, 1_000), 20_000);
    let added = times[3];
    results.note(
        "`exempt add` among 20000 in 1000 pools of 10 prefixes",
        &format!("{} ms", added.as_millis()),
        "100 ms",
        added <= Duration::from_millis(100),
    );
}

/// The median of each of [`MEASURED`].
fn times_with(make: fn(&Machine, u32), number: u32) -> [Duration; 5] {
    let machine = Machine::new();
    make(&machine, number);
    let timed = |words: &str| {
        let start = Instant::now();
        let output = machine.poolguard(words);
        assert!(output.status.success(), "{words}: {output:?}");
        start.elapsed()
    };
    let check = median(|| timed("check"));
    let began = Instant::now();
    let running = machine.start();
    let start = began.elapsed();
    let reload = median(|| timed("reload"));
    let add = "exempt add 10.255.255.1 443 --expires 1h --reason bulk";
    let exempt = median(|| timed(add));
    let status = median(|| timed("status"));
    running.stop();
    [check, start, reload, exempt, status]
}

fn median(measured: impl Fn() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..REPETITIONS).map(|_| measured()).collect();
    times.sort_unstable();
    times[REPETITIONS / 2]
}

const BOX: &str = "[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
                   [[interface]]\nname = \"eth0\"\nrole = \"network\"\n\
                   [mail]\nservers = [\"192.0.2.25\"]\n";

/// Pool 0 has 10.255.0.0/16, the others /24s before it.
fn pools(number: u32, prefixes: u32) -> String {
    let mut text = BOX.to_owned();
    for pool in 0..number {
        let networks = (0..prefixes).map(|prefix| match (pool, prefix) {
            (0, 0) => "\"10.255.0.0/16\"".to_owned(),
            _ => format!("\"{}/24\"", address((pool * prefixes + prefix) << 8)),
        });
        let networks = networks.collect::<Vec<_>>().join(", ");
        writeln!(
            text,
            "[[pool]]\nname = \"pool-{pool}\"\nkind = \"static\"\nprefixes = [{networks}]"
        )
        .expect("a string");
    }
    text
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + number)
}

/// A pool for all customers.
fn one_pool(before: &str) -> String {
    format!(
        "{before}{BOX}[[pool]]\nname = \"all\"\nkind = \"static\"\nprefixes = [\"10.0.0.0/8\"]\n"
    )
}

fn files(machine: &Machine, number: u32) {
    let directory = machine.directory.join("customers.d");
    fs::create_dir(&directory).expect("can be made");
    for file in 0..number {
        let text = format!(
            "[[customer]]\nname = \"customer-{file}\"\nprefixes = [\"{}\"]\nallow_inbound = [25]\n",
            address(file)
        );
        let name = format!("{file}.toml");
        fs::write(directory.join(name), text).expect("can be written");
    }
    machine.configure(&one_pool("include = [\"customers.d/*.toml\"]\n"));
}

fn customers(machine: &Machine, number: u32) {
    let mut text = String::from("prefix,customer,allow_inbound\n");
    for customer in 0..number {
        writeln!(text, "{},customer-{customer},25", address(customer)).expect("a string");
    }
    fs::write(machine.directory.join("customers.csv"), text).expect("can be written");
    machine.configure(&one_pool("customer_lists = [\"customers.csv\"]\n"));
}

/// As a controller before this one has kept them.
fn exemptions(machine: &Machine, number: u32, of_pools: u32) {
    machine.configure(&pools(of_pools, 10));
    let given = (1..=number).map(|id| {
        serde_json::json!({
            "id": id, "prefix": format!("{}/32", address(0x00ff_0000 + id)), "ports": ["443"],
            "smtp_out": false, "expires": "2099-12-31T00:00:00Z", "reason": "bulk",
            "added": "2026-01-01T00:00:00Z", "added_by": 0,
        })
    });
    let kept = serde_json::json!({
        "version": 1, "next_id": number + 1, "exemptions": given.collect::<Vec<_>>(),
    });
    let file = machine.state_file("exemptions.json");
    fs::create_dir_all(file.parent().expect("a directory")).expect("can be made");
    fs::write(file, kept.to_string()).expect("can be written");
}
