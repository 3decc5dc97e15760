//! What is left of a disagreement when everything that it does not take is gone.

use std::fmt;

use proptest::strategy::ValueTree;

use super::{Census, Disagreement, Trial, Witnesses};
use crate::generate::{Event, Scenario, Setup, script};

/// How often a smaller scenario is tried.
const fn attempts(witnesses: Witnesses) -> usize {
    match witnesses {
        Witnesses::Host => 2_000,
        // Each takes as long as loading the program, up to a second.
        #[cfg(feature = "kernel")]
        Witnesses::HostAndKernel => 150,
    }
}

/// A scenario, still in the hands of proptest.
pub struct Draft {
    pub(super) setup: Box<dyn ValueTree<Value = Setup>>,
    pub(super) events: Vec<Box<dyn ValueTree<Value = Event>>>,
}

impl Draft {
    /// As it is now.
    pub fn scenario(&self) -> Scenario {
        let events: Vec<Event> = self.events.iter().map(|event| event.current()).collect();
        Scenario::new(&self.setup.current(), &events)
    }

    fn disagreement(&self, witnesses: Witnesses) -> Option<Disagreement> {
        disagreement(&self.scenario(), witnesses)
    }

    /// Makes it smaller as long as they go on to disagree.
    pub fn reduce(mut self, found: Disagreement, witnesses: Witnesses) -> Reproduction {
        let mut attempts = attempts(witnesses);
        self.keep_last(witnesses);
        self.drop_events(witnesses, &mut attempts);
        while self.simplify_something(witnesses, &mut attempts) {}
        let mut reproduction = Reproduction {
            scenario: self.scenario(),
            disagreement: self.disagreement(witnesses).unwrap_or(found),
        };
        reproduction.drop_steps(witnesses);
        reproduction
    }

    /// Keeps no more than the last few events if they suffice: most frames are judged
    /// without regard to those before them.
    fn keep_last(&mut self, witnesses: Witnesses) {
        for few in [1, 16, 256] {
            let rest = self.events.len().saturating_sub(few);
            let before: Vec<_> = self.events.drain(..rest).collect();
            if self.disagreement(witnesses).is_some() {
                return;
            }
            self.events.splice(0..0, before);
        }
    }

    /// Leaves out half of the events, then a quarter, then less.
    fn drop_events(&mut self, witnesses: Witnesses, attempts: &mut usize) {
        let mut size = self.events.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < self.events.len() && *attempts > 0 {
                *attempts -= 1;
                let end = (start + size).min(self.events.len());
                let removed: Vec<_> = self.events.drain(start..end).collect();
                if self.disagreement(witnesses).is_none() {
                    self.events.splice(start..start, removed);
                    start = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// One round over the configuration and all events; whether that helped.
    fn simplify_something(&mut self, witnesses: Witnesses, attempts: &mut usize) -> bool {
        let mut helped = false;
        for part in 0..=self.events.len() {
            helped |= self.simplify(part, witnesses, attempts);
        }
        helped && *attempts > 0
    }

    /// Simplifies part 0, the configuration, or an event.
    fn simplify(&mut self, part: usize, witnesses: Witnesses, attempts: &mut usize) -> bool {
        let mut helped = false;
        let mut more = self.step(part, true);
        while more {
            *attempts = attempts.saturating_sub(1);
            let still = self.disagreement(witnesses).is_some();
            helped |= still;
            more = self.step(part, still && *attempts > 0);
        }
        helped
    }

    fn step(&mut self, part: usize, simplify: bool) -> bool {
        match (part.checked_sub(1), simplify) {
            (None, true) => self.setup.simplify(),
            (None, false) => self.setup.complicate(),
            (Some(event), true) => self.events[event].simplify(),
            (Some(event), false) => self.events[event].complicate(),
        }
    }
}

/// The smallest scenario that was found, to be kept among the
/// [`regressions`](super::regressions).
#[derive(Clone, Debug)]
pub struct Reproduction {
    /// The scenario.
    pub scenario: Scenario,
    /// What they disagree on in it.
    pub disagreement: Disagreement,
}

impl Reproduction {
    /// An event that is left out changes what later ones answer to. Bytes stay
    /// as they are: without these, too, the rest may go on to be disagreed on.
    fn drop_steps(&mut self, witnesses: Witnesses) {
        let last = self.disagreement.step + 1;
        self.scenario.steps.truncate(last);
        for step in (0..self.scenario.steps.len()).rev() {
            let removed = self.scenario.steps.remove(step);
            match disagreement(&self.scenario, witnesses) {
                Some(found) => self.disagreement = found,
                None => self.scenario.steps.insert(step, removed),
            }
        }
    }
}

fn disagreement(scenario: &Scenario, witnesses: Witnesses) -> Option<Disagreement> {
    let mut trial = Trial::new(&scenario.config, witnesses);
    trial.run(scenario, &mut Census::default()).err()
}

impl fmt::Display for Reproduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.disagreement)?;
        writeln!(f, "To keep, in tests/regressions/decision:\n")?;
        f.write_str(&script::write(&self.scenario))
    }
}
