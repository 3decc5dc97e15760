//! Every story through the XDP program in the kernel. Needs root.

use poolguard_tests::{chapters, kernel, test_each};

chapters!(test_each, kernel::tell_all);

/// The same under `forwarding = "wire"`: where the kernel would get a frame, it goes
/// to the other end.
mod by_wire {
    use super::{chapters, kernel, test_each};

    chapters!(test_each, kernel::tell_all_by_wire);
}

/// The same at the way out to the customers, for what the network sends.
mod on_the_way_out {
    use super::{chapters, kernel, test_each};

    chapters!(test_each, kernel::tell_all_on_the_way_out);
}
