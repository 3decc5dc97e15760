//! What a box forwards and drops, with one processor and with all of them.
//!
//! Four boxes with poolguard on both interfaces: a router, one whose way out is not
//! filtered, a bridge, and one that is joined by a wire. Each interface has a queue for each processor, as those of a
//! network card do, and on each processor one thread generates the frames of its
//! queue. What is said of the time of a frame in [`live`](super::live) holds here,
//! and what the kernel leaves to its own interrupt thread of a processor is added.
//!
//! Frames end at the far end as cheaply as they can: those of a wire in a program
//! that drops them, those of the kernel's as frames for somebody else.

use std::{fs, sync::Barrier, thread, time::Duration};

use filter_common::Family;
use lab::{Namespace, bridge, cable, command};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use poolguard_tests::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    kernel::Apparatus,
};

use super::{
    cases::{Case, Kind},
    customers::{Layout, configuration},
    plan::Plan,
    programs,
    results::{Medians, Row, Way},
    rounds::{median, own_time},
    router::{index_of, received, route},
    spec::Spec,
    subjects::{Subject, enforce},
};

/// So many customers there are where frames are forwarded: they carry a port that
/// nobody forbids, and nobody is looked up.
const FEW: u32 = 10;

/// How customers are spread.
const LAYOUT: Layout = Layout::Scattered;

/// So many frames are sent before anything is timed, to see what becomes of them.
const LOOKED_AT: u32 = 3200;

/// A box, and frames for it.
struct Contest {
    subject: Subject,
    case: Case,
    prefixes: u32,
    network: Namespace,
    cable: u32,
    customers: Namespace,
    /// Nanoseconds a frame, for each number of processors.
    times: Vec<Vec<f64>>,
    /// Keep the programs and the box.
    poolguard: Option<Apparatus>,
    _end: Option<programs::Apparatus>,
    inside: Namespace,
}

impl Drop for Contest {
    fn drop(&mut self) {
        // What was set for a wire is set back where it was set.
        let poolguard = self.poolguard.take();
        self.inside.run(|| drop(poolguard));
    }
}

impl Contest {
    fn new(
        object: &[u8],
        subject: Subject,
        kind: Kind,
        prefixes: u32,
        processors: &[usize],
    ) -> Self {
        let (network, inside, customers) = (Namespace::new(), Namespace::new(), Namespace::new());
        let queues = processors.len();
        let form = cable::Kind { queues, mtu: 1500 };
        for (interface, outside) in [(NETWORK, &network), (CUSTOMERS, &customers)] {
            cable::lay(form, (&inside, interface), (outside, "cable")).unwrap();
        }
        // A wire sends both ways, or not at all.
        network.run(|| command("ethtool", "-K cable gro on"));
        let mut end = None;
        let plain = Configuration {
            text: configuration(LAYOUT, prefixes),
        };
        let configuration = match subject {
            Subject::Router => {
                route(&inside);
                plain
            }
            Subject::RouterWayOutOpen => {
                route(&inside);
                plain.with(
                    "role = \"customer\"",
                    "role = \"customer\"\negress = \"off\"",
                )
            }
            Subject::Bridge => {
                bridge(&inside);
                plain
            }
            _ => {
                let end = end.insert(programs::Apparatus::load(object));
                customers.run(|| end.attach_floor("cable"));
                plain.by_wire()
            }
        };
        Self {
            subject,
            case: Case::new(kind, Family::V4).unwrap(),
            prefixes,
            cable: index_of(&network, "cable"),
            network,
            customers,
            times: vec![Vec::new(); processors.len()],
            poolguard: Some(enforce(&inside, &configuration)),
            _end: end,
            inside,
        }
    }

    fn spec(&self) -> Spec {
        Spec {
            interface: self.cable,
            ..self.case.spec(LAYOUT, self.prefixes)
        }
    }

    /// Sends frames from each processor and sees whether they come out at the other
    /// end, if they should.
    fn look(&self, senders: &mut [Sender]) {
        for sender in senders {
            sender.apparatus.write(self.spec());
            let before = received(&self.customers);
            self.network.run(|| {
                stay_on(sender.processor);
                sender.apparatus.send(&self.case.frame, LOOKED_AT);
            });
            let arrived = received(&self.customers) - before;
            let wanted = if self.case.passes {
                LOOKED_AT.into()
            } else {
                0
            };
            // The machine's own packets are frames, too.
            assert!(
                arrived.abs_diff(wanted) < 20,
                "{:?}: {:?}: {arrived} of {LOOKED_AT} frames came out",
                self.subject,
                self.case.kind
            );
        }
    }
}

/// What generates frames on one processor.
struct Sender {
    processor: usize,
    apparatus: programs::Apparatus,
}

/// Times every box with one processor, two, and so on.
pub fn measure(object: &[u8], plan: &Plan) -> Vec<Row> {
    let processors = all_processors();
    let most = plan.sizes.last().copied().unwrap_or(FEW);
    let wanted = [
        (Subject::Router, Kind::Unwatched, FEW),
        (Subject::RouterWayOutOpen, Kind::Unwatched, FEW),
        (Subject::Bridge, Kind::Unwatched, FEW),
        (Subject::Wire, Kind::Unwatched, FEW),
        (Subject::Wire, Kind::Dropped, FEW),
        (Subject::Wire, Kind::Dropped, most),
    ];
    let wanted = wanted
        .into_iter()
        .filter(|(_, kind, _)| plan.wants_kind(*kind));
    let mut contests: Vec<Contest> = wanted
        .map(|(subject, kind, prefixes)| Contest::new(object, subject, kind, prefixes, &processors))
        .collect();
    let mut senders: Vec<Sender> = processors
        .iter()
        .map(|&processor| Sender {
            processor,
            apparatus: programs::Apparatus::load(object),
        })
        .collect();
    for contest in &contests {
        contest.look(&mut senders);
    }
    let mut generator = vec![Vec::new(); senders.len()];
    for round in 1..=plan.live_rounds {
        eprintln!("box round {round} of {}", plan.live_rounds);
        for count in 1..=senders.len() {
            let senders = &mut senders[..count];
            if let Some(contest) = contests.first() {
                let nowhere = Spec {
                    interface: 0,
                    ..contest.spec()
                };
                let time = time(
                    senders,
                    &contest.network,
                    nowhere,
                    &contest.case,
                    plan.box_turn,
                );
                generator[count - 1].push(time);
            }
            for contest in &mut contests {
                let (network, case) = (&contest.network, &contest.case);
                let time = time(senders, network, contest.spec(), case, plan.box_turn);
                contest.times[count - 1].push(time);
            }
        }
    }
    rows(&contests, &generator)
}

fn rows(contests: &[Contest], generator: &[Vec<f64>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for contest in contests {
        for (number, (times, generator)) in contest.times.iter().zip(generator).enumerate() {
            let pairs = times.iter().zip(generator);
            let over: Vec<f64> = pairs.map(|(all, generator)| all - generator).collect();
            let medians = Medians {
                total: median(&over),
                floor: median(generator),
                over_floor: median(&over),
            };
            let tables = Some((LAYOUT, contest.prefixes));
            let row = Row::new(Way::Live, &contest.case, contest.subject, tables, medians);
            rows.push(row.on_processors(number as u32 + 1));
        }
    }
    rows
}

/// Nanoseconds a frame while all senders send at once: the mean of theirs, each by
/// the time of its own processor.
fn time(
    senders: &mut [Sender],
    network: &Namespace,
    spec: Spec,
    case: &Case,
    turn: Duration,
) -> f64 {
    let count = senders.len();
    let together = Barrier::new(count);
    let times: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = senders
            .iter_mut()
            .map(|sender| {
                let together = &together;
                scope.spawn(move || {
                    network.run(|| {
                        stay_on(sender.processor);
                        sender.apparatus.write(spec);
                        sender.time(&case.frame, turn, together)
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    times.iter().sum::<f64>() / count as f64
}

impl Sender {
    /// Nanoseconds a frame on this processor. The first turns are there for the
    /// caches, and to find how many frames make a turn; then everybody begins at once.
    fn time(&mut self, frame: &[u8], turn: Duration, together: &Barrier) -> f64 {
        let mut timed = |frames: u32| {
            let start = own_time() + interrupt_time(self.processor);
            self.apparatus.send(frame, frames);
            let end = own_time() + interrupt_time(self.processor);
            (end - start).as_nanos() as f64 / f64::from(frames)
        };
        let frames_in = |each: f64| (turn.as_nanos() as f64 / each).max(1.0) as u32;
        let mut each = timed(500);
        for _ in 0..3 {
            each = timed(frames_in(each));
        }
        together.wait();
        // Nobody sends alone while it counts: the first and the last of three turns
        // are for those who are faster or slower.
        let frames = frames_in(each);
        let [_, middle, _] = [timed(frames), timed(frames), timed(frames)];
        middle
    }
}

/// How much time the kernel's interrupt thread of a processor has had.
fn interrupt_time(processor: usize) -> Duration {
    thread_local! {
        static THREAD: std::cell::OnceCell<String> = const { std::cell::OnceCell::new() };
    }
    let nanoseconds = THREAD.with(|thread| {
        let path = thread.get_or_init(|| {
            let pid = command("pgrep", &format!("^ksoftirqd/{processor}$"));
            format!("/proc/{}/schedstat", pid.trim())
        });
        let text = fs::read_to_string(path).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    });
    Duration::from_nanos(nanoseconds)
}

/// Has a bridge join both interfaces as anybody's does, which knows where the frames are to go.
fn bridge(inside: &Namespace) {
    inside.ip("link add br0 up type bridge stp_state 0 mcast_snooping 0");
    for interface in [NETWORK, CUSTOMERS] {
        inside.ip(&format!("link set {interface} master br0"));
    }
    for interface in [NETWORK, CUSTOMERS] {
        bridge::until_forwarding(inside, interface);
    }
    let entry = format!("fdb replace 02:00:00:00:00:02 dev {CUSTOMERS} master static");
    inside.run(|| command("bridge", &entry));
}

/// Those that this process may run on.
fn all_processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count())
        .filter(|&processor| set.is_set(processor).unwrap())
        .collect()
}

fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}
