//! The XDP program agrees with the oracle and the decision function. Needs root.
//!
//! `POOLGUARD_SEED` sets the number of the first configuration.

use poolguard_tests::agreement::{Witnesses, campaign::agree, regressions::agree_on_the_past};

#[test]
fn the_program_agrees_with_both() {
    agree(Witnesses::HostAndKernel, 40, 3_000);
}

#[test]
fn the_program_agrees_on_what_they_once_disagreed_on() {
    agree_on_the_past(Witnesses::HostAndKernel);
}
