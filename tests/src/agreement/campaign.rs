//! Many configurations, many frames each.

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    Census, Trial, Witnesses,
    smaller::{Draft, Reproduction},
};
use crate::generate::{event, setup};

/// How much is to be shown to whom.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first configuration's number; the others follow.
    pub seed: u64,
    /// So many events under each configuration.
    pub events: usize,
    /// Who is asked besides the oracle.
    pub witnesses: Witnesses,
}

/// Goes from configuration to configuration. Each has a number, from which it
/// and its frames follow: what went wrong under one can be shown again alone.
#[derive(Clone, Debug)]
pub struct Campaign {
    plan: Plan,
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
        let draft = draft(seed, self.plan);
        let scenario = draft.scenario();
        let mut trial = Trial::new(&scenario.config, self.plan.witnesses);
        let outcome = trial.run(&scenario, &mut self.census);
        drop(trial);
        outcome.map_err(|found| {
            Box::new(Failure {
                seed,
                reproduction: draft.reduce(found, self.plan.witnesses),
            })
        })
    }
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

fn draft(seed: u64, plan: Plan) -> Draft {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let may_wait = plan.witnesses == Witnesses::Host;
    let setup = setup().boxed().new_tree(&mut runner).unwrap();
    let event = event(may_wait).boxed();
    let events = (0..plan.events).map(|_| event.new_tree(&mut runner).unwrap());
    Draft {
        setup,
        events: events.collect(),
    }
}
