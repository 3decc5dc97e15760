//! The oracle and the decision function agree.
//!
//! `POOLGUARD_SEED` sets the number of the first configuration.

use poolguard_tests::agreement::{Witnesses, campaign::agree, regressions::agree_on_the_past};

#[test]
fn the_decision_function_agrees_with_the_oracle() {
    agree(Witnesses::Host, 400, 250);
}

#[test]
fn they_agree_on_what_they_once_disagreed_on() {
    agree_on_the_past(Witnesses::Host);
}
