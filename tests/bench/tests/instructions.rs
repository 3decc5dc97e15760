//! How much there is to do for a frame. It does not vary, so a test can hold it.

use poolguard_bench::instructions;

#[test]
fn no_frame_takes_more_instructions_than_it_may() {
    let counts = instructions::count();
    assert_eq!(instructions::excesses(&counts), Vec::<String>::new());
}
