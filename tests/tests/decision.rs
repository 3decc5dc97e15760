//! Every story through the decision function, on the host.

use std::path::Path;

use filter_user::disk::Disk;
use poolguard_tests::{chapters, configs, fixtures, host, test_each};

chapters!(test_each, host::tell_all);

/// The stories of static customers are all about pools and customers that the
/// example has as well.
#[test]
fn the_example_configuration_exempts_whom_it_says() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/poolguard.toml");
    let mut stories = fixtures::forbidden_ports_of_static_customers_open_by_exemption();
    stories.retain(|story| story.config == configs::base());
    assert!(!stories.is_empty());
    for story in stories {
        let generation = host::load_file(&Disk::default(), &example, story.now);
        host::tell_under(&story, &generation).unwrap_or_else(|complaints| panic!("{complaints}"));
    }
}
