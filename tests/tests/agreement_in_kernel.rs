//! The XDP program agrees with the oracle and the decision function. Needs root.
//!
//! `POOLGUARD_SEED` sets the number of the first configuration, and
//! `POOLGUARD_CONFIGURATIONS` how many there are: the kernel verifies the program
//! for each, which takes long where the processor is emulated.

use std::env;

use poolguard_tests::agreement::{Witnesses, campaign::agree, regressions::agree_on_the_past};

/// Unless the environment has another number.
const CONFIGURATIONS: usize = 40;
const FRAMES: usize = 3_000;

#[test]
fn the_program_agrees_with_both() {
    let configurations = env::var("POOLGUARD_CONFIGURATIONS").map_or(CONFIGURATIONS, |number| {
        number
            .parse()
            .expect("POOLGUARD_CONFIGURATIONS is a number")
    });
    agree(Witnesses::HostAndKernel, configurations, FRAMES);
}

#[test]
fn the_program_agrees_on_what_they_once_disagreed_on() {
    agree_on_the_past(Witnesses::HostAndKernel);
}
