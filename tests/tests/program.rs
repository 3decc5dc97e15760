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

/// The same under `forwarding = "wire"`: where the kernel would get a frame, it goes
/// to the other end.
mod by_wire {
    use super::{fixtures, kernel};

    macro_rules! tell {
        ($($chapter:ident)*) => {
            $(
                #[test]
                fn $chapter() {
                    kernel::tell_all_by_wire(fixtures::$chapter());
                }
            )*
        };
    }

    super::chapters!(tell);
}

/// The same at the way out to the customers, for what the network sends.
mod on_the_way_out {
    use super::{fixtures, kernel};

    macro_rules! tell {
        ($($chapter:ident)*) => {
            $(
                #[test]
                fn $chapter() {
                    kernel::tell_all_on_the_way_out(fixtures::$chapter());
                }
            )*
        };
    }

    super::chapters!(tell);
}
