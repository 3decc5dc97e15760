//! Many configurations, many frames each.

use std::time::UNIX_EPOCH;

use super::{
    Census, Disagreement, Trial, Witnesses,
    draw::{Draw, Events},
    smaller::Reproduction,
};
use crate::generate::Scenario;

/// How much is to be shown to whom.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first configuration's number; the others follow.
    pub seed: u64,
    /// So many events under each configuration.
    pub events: usize,
    /// Where they come from.
    pub drawn: Events,
    /// Counters are compared after every so many frames.
    pub batch: usize,
    /// Who is asked besides the oracle.
    pub witnesses: Witnesses,
}

/// Goes from configuration to configuration. Each has a number, from which it
/// and its frames follow: what went wrong under one can be shown again alone.
#[derive(Debug)]
pub struct Campaign {
    plan: Plan,
    draw: Draw,
    next: u64,
    /// So many configurations on at a time.
    stride: u64,
    /// What was shown so far.
    pub census: Census,
}

impl Campaign {
    /// Through all numbers from the plan's on.
    pub fn new(plan: Plan) -> Self {
        Self::every(plan, 1)
    }

    /// Through every so many of them.
    pub fn every(plan: Plan, stride: u64) -> Self {
        Self {
            plan,
            draw: Draw::new(plan.witnesses == Witnesses::Host, plan.drawn),
            next: plan.seed,
            stride,
            census: Census::default(),
        }
    }

    /// Goes through so many configurations.
    ///
    /// # Errors
    ///
    /// The first disagreement.
    pub fn run(&mut self, configurations: usize) -> Result<(), Box<Failure>> {
        (0..configurations).try_for_each(|_| self.step())
    }

    fn step(&mut self) -> Result<(), Box<Failure>> {
        let seed = self.next;
        self.next = seed.wrapping_add(self.stride);
        self.census.configurations += 1;
        let events = self.draw.events(seed, self.plan.events);
        let scenario = Scenario::new(&Draw::setup(seed), &events);
        drop(events);
        let trial = || Trial::new(&scenario.config, self.plan.witnesses);
        let outcome = trial().run_in_batches(&scenario, self.plan.batch, &mut self.census);
        outcome.map_err(|found| {
            // Which frame of the batch it was.
            let exactly = trial().run(&scenario, &mut Census::default());
            Box::new(self.reduce(seed, exactly.err().unwrap_or(found)))
        })
    }

    /// Draws everything again, as far as it takes, to keep it in proptest's
    /// hands: for all frames that would be a great deal.
    fn reduce(&self, seed: u64, found: Disagreement) -> Failure {
        // Every event is a step at least.
        let events = self.plan.events.min(found.step + 1);
        let draft = self.draw.draft(seed, events);
        Failure {
            seed,
            reproduction: draft.reduce(found, self.plan.witnesses),
        }
    }
}

/// A test: they agree under so many configurations, and all that can be decided
/// occurs.
///
/// # Panics
///
/// When they disagree, or something never occurred.
pub fn agree(witnesses: Witnesses, configurations: usize, events: usize) {
    let mut campaign = Campaign::new(Plan {
        seed: seed(),
        events,
        drawn: Events::Fresh,
        batch: 1,
        witnesses,
    });
    if let Err(failure) = campaign.run(configurations) {
        panic!("{failure}");
    }
    println!("{}", campaign.census);
    assert_eq!(campaign.census.missing(), [""; 0], "never occurred");
}

/// What they disagree on, and under which number.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The number of the configuration.
    pub seed: u64,
    /// How to see it again.
    pub reproduction: Reproduction,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, reproduction } = self;
        write!(f, "seed {seed}, {reproduction}")
    }
}

/// The number of the first configuration: that of the environment, else any.
pub fn seed() -> u64 {
    let seed = match std::env::var("POOLGUARD_SEED") {
        Ok(seed) => seed.parse().expect("POOLGUARD_SEED is a number"),
        Err(_) => UNIX_EPOCH.elapsed().map_or(0, |t| t.as_micros() as u64),
    };
    println!("POOLGUARD_SEED={seed}");
    seed
}

/// A scenario for two interfaces, in which nothing has to be remembered.
pub fn draw_for_the_wire(seed: u64, events: usize) -> Scenario {
    let events = Draw::new(false, Events::Fresh).events(seed, events);
    Scenario::new(&Draw::setup(seed).plain(), &events)
}
