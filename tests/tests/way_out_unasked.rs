//! The way out on a box that has run out of descriptors: what cannot be asked for is not
//! gone. Apart from others, which need descriptors. Needs root.

use std::collections::BTreeSet;

use dataplane::{Dataplane as _, ExitState, Way};
use jiff::Timestamp;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use poolguard_tests::{
    configs::{self, CUSTOMERS},
    kernel::must,
    wire::Wire,
};

#[test]
fn a_filter_that_cannot_be_asked_for_is_not_taken_for_gone() {
    let mut wire = Wire::new();
    wire.appliance.apparatus.without_tcx();
    must(
        wire.appliance
            .enforce(&configs::base(), Timestamp::UNIX_EPOCH),
    );
    let state = |wire: &Wire| {
        let readings = wire.appliance.apparatus.readings();
        move || readings.way_out(CUSTOMERS)
    };
    let attached = ExitState::Attached(Way::Clsact);
    let ask = state(&wire);
    assert_eq!(wire.appliance.inside.run(ask), attached);

    let ask = state(&wire);
    let dataplane = wire.appliance.apparatus.dataplane();
    let without = wire.appliance.inside.run(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("can be asked for");
        setrlimit(Resource::RLIMIT_NOFILE, 0, hard).expect("can be lowered");
        let without = (ask(), dataplane.reconcile(&BTreeSet::new()).map(drop));
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("can be raised again");
        without
    });
    assert_eq!(without.0, attached);
    // Interfaces cannot be asked for either.
    assert!(without.1.is_err());

    let ask = state(&wire);
    assert_eq!(wire.appliance.reconcile(), [""; 0]);
    assert_eq!(wire.appliance.inside.run(ask), attached);
}
