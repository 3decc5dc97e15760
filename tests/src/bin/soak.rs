//! `soak MINUTES [SEED]`: random frames on every core until the time is up.
//!
//! Run it as `cargo xtask soak`. Exit status 1 on any disagreement.

use std::{
    env,
    process::ExitCode,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use poolguard_tests::agreement::{
    Campaign, Census, Events, Plan, Witnesses,
    campaign::{self, Failure},
};

/// Loading takes the kernel as long as a hundred thousand frames do, and reading all
/// counters as long as several.
#[cfg(feature = "kernel")]
const IN_THE_KERNEL: Round = Round {
    witnesses: Witnesses::HostAndKernel,
    configurations: 1,
    events: 100_000,
    drawn: Events::AtHand,
    batch: 256,
};

/// Time passes on the host alone.
const ON_THE_HOST: Round = Round {
    witnesses: Witnesses::Host,
    configurations: 8,
    events: 250,
    drawn: Events::Fresh,
    batch: 1,
};

/// After so many disagreements there is no use in going on.
const ENOUGH: usize = 5;

/// So many configurations with that many events, before the others' turn.
struct Round {
    witnesses: Witnesses,
    configurations: usize,
    events: usize,
    drawn: Events,
    batch: usize,
}

/// What became of a round.
type Report = (Census, Option<Box<Failure>>);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(minutes)), Ok(seed)) = (arguments.next(), arguments.next().transpose()) else {
        eprintln!("usage: soak MINUTES [SEED]");
        return ExitCode::from(2);
    };
    let seed = seed.unwrap_or_else(campaign::seed);
    println!("--minutes {minutes} --seed {seed}");
    let start = Instant::now();
    let end = start + Duration::from_secs(60 * minutes);
    let (sender, reports) = channel();
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
    let workers: Vec<_> = (0..cores)
        .map(|core| {
            let sender = sender.clone();
            thread::spawn(move || work(seed.wrapping_add(core), cores, end, &sender))
        })
        .collect();
    drop(sender);
    let (census, failures) = listen(&reports, start);
    drop(reports);
    // Each takes its pins away before it ends.
    let crashes = workers.into_iter().map(|worker| worker.join());
    let crashes = crashes.filter(Result::is_err).count();
    let amiss = census.out_of_proportion();
    println!("{census}\n{failures} disagreements, {crashes} crashes");
    for line in &amiss {
        println!("out of proportion: {line}");
    }
    if failures + crashes == 0 && census.frames > 0 && amiss.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One core's share, until the end or until nobody listens any more.
fn work(seed: u64, stride: u64, end: Instant, reports: &Sender<Report>) {
    let campaign = |round: Round| {
        let plan = Plan {
            seed,
            events: round.events,
            drawn: round.drawn,
            batch: round.batch,
            witnesses: round.witnesses,
        };
        (Campaign::every(plan, stride), round.configurations)
    };
    let mut campaigns = vec![campaign(ON_THE_HOST)];
    #[cfg(feature = "kernel")]
    campaigns.push(campaign(IN_THE_KERNEL));
    while Instant::now() < end {
        for (campaign, configurations) in &mut campaigns {
            let outcome = campaign.run(*configurations);
            let census = std::mem::take(&mut campaign.census);
            if reports.send((census, outcome.err())).is_err() {
                return;
            }
        }
    }
}

/// Sums up, and says every minute how far it is.
fn listen(reports: &Receiver<Report>, start: Instant) -> (Census, usize) {
    const MINUTE: Duration = Duration::from_secs(60);
    let mut census = Census::default();
    let mut failures = 0;
    let mut next = start + MINUTE;
    while failures < ENOUGH {
        match reports.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok((more, failure)) => {
                census.add(&more);
                if let Some(failure) = failure {
                    failures += 1;
                    println!("DISAGREEMENT\n{failure}");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= next {
            let minutes = start.elapsed().as_secs() / 60;
            println!(
                "{minutes} min: {} frames, {failures} disagreements",
                census.frames
            );
            next += MINUTE;
        }
    }
    (census, failures)
}
