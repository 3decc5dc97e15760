//! The decision function and the oracle, under any configuration, with any
//! frames in any order from both sides.
//!
//! The verdict, its reason, every counter and the number of flows remembered
//! have to agree. The bytes are a [`script`], or [`generate`](crate::generate)
//! takes them for its choices.

use arbitrary::{Arbitrary as _, Unstructured};

use crate::{
    agreement::{Census, Trial, Witnesses},
    generate::{Event, Scenario, Setup, script},
};

/// Fails where they disagree, with a script to keep.
pub fn run(data: &[u8]) {
    let Some(scenario) = scenario(data) else {
        return;
    };
    let mut trial = Trial::new(&scenario.config, Witnesses::Host);
    if let Err(disagreement) = trial.run(&scenario, &mut Census::default()) {
        let script = script::write(&scenario);
        panic!("{disagreement}\nTo keep, in tests/regressions/decision:\n\n{script}");
    }
}

/// `None` where there are too few bytes to begin with.
fn scenario(data: &[u8]) -> Option<Scenario> {
    if script::is_script(data) {
        return Some(script::read(std::str::from_utf8(data).ok()?));
    }
    let choices = Unstructured::new(data);
    let (setup, events) = <(Setup, Vec<Event>)>::arbitrary_take_rest(choices).ok()?;
    Some(Scenario::new(&setup, &events))
}
