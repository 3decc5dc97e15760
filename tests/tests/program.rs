//! Every story through the XDP program in the kernel. Needs root.

use poolguard_tests::{chapters, fixtures, kernel};

macro_rules! tell {
    ($($chapter:ident)*) => {
        $(
            #[test]
            fn $chapter() {
                kernel::tell_all(fixtures::$chapter());
            }
        )*
    };
}

chapters!(tell);
