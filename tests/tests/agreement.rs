//! The oracle, the decision function and the XDP program agree.
//!
//! `POOLGUARD_SEED` sets the number of the first configuration.

use poolguard_tests::agreement::{
    Campaign, Census, Plan, Trial, Witnesses, campaign::seed, regressions::regressions,
};

fn agree(witnesses: Witnesses, configurations: usize, events: usize) {
    let mut campaign = Campaign::new(Plan {
        seed: seed(),
        events,
        witnesses,
    });
    if let Err(failure) = campaign.run(configurations) {
        panic!("{failure}");
    }
    println!("{}", campaign.census);
    assert_eq!(campaign.census.missing(), [""; 0], "never occurred");
}

fn agree_on_the_past(witnesses: Witnesses) {
    for (story, scenario) in regressions() {
        let mut trial = Trial::new(&scenario.config, witnesses);
        if let Err(disagreement) = trial.run(&scenario, &mut Census::default()) {
            panic!("{story}\n{disagreement}");
        }
    }
}

#[test]
fn the_decision_function_agrees_with_the_oracle() {
    agree(Witnesses::Host, 400, 250);
}

#[test]
fn they_agree_on_what_they_once_disagreed_on() {
    agree_on_the_past(Witnesses::Host);
}

#[cfg(feature = "kernel")]
#[test]
fn the_program_agrees_with_both() {
    agree(Witnesses::HostAndKernel, 40, 3_000);
}

#[cfg(feature = "kernel")]
#[test]
fn the_program_agrees_on_what_they_once_disagreed_on() {
    agree_on_the_past(Witnesses::HostAndKernel);
}
