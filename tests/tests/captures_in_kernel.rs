//! The XDP program agrees with the oracle and the decision function on every frame
//! of the captures in `tests/captures`. Needs root.

use poolguard_tests::{agreement::Witnesses, captures::repository::agree};

#[test]
fn the_program_agrees_with_both() {
    agree(Witnesses::HostAndKernel);
}
