//! Every story through the decision function, on the host.

use poolguard_tests::{chapters, fixtures, host};

macro_rules! tell {
    ($($chapter:ident)*) => {
        $(
            #[test]
            fn $chapter() {
                host::tell_all(fixtures::$chapter());
            }
        )*
    };
}

chapters!(tell);
