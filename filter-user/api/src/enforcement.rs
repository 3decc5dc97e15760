//! How much of what the rules forbid is dropped, in the words that everything uses.

use std::fmt;

use policy::listing::some_of;

/// How much of what the rules forbid is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Whole,
    /// All but what is forbidden by these pools, which are in monitor mode.
    Except(Vec<String>),
    /// Nothing: the whole box is in monitor mode.
    Monitor,
}

impl Enforcement {
    /// That of a box, or of pools in it.
    pub fn of(monitor: bool, monitored_pools: Vec<String>) -> Self {
        match (monitor, monitored_pools.is_empty()) {
            (true, _) => Self::Monitor,
            (false, true) => Self::Whole,
            (false, false) => Self::Except(monitored_pools),
        }
    }

    /// What an interface with the program is doing.
    pub fn doing(&self) -> String {
        match self {
            Self::Whole => "enforcing".to_owned(),
            Self::Except(pools) => format!("enforcing, but {}", only_counting(pools)),
            Self::Monitor => "monitor mode: counting, and dropping nothing".to_owned(),
        }
    }

    /// A note for sentences that end in where it filters; empty where it drops all.
    pub fn reserve(&self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Except(pools) => format!(" ({})", only_counting(pools)),
            Self::Monitor => " (MONITOR MODE: nothing is dropped)".to_owned(),
        }
    }
}

/// As `status` shows it.
impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("enforce"),
            Self::Except(pools) => write!(f, "enforce, but {}", only_counting(pools)),
            Self::Monitor => f.write_str("monitor, nothing is dropped"),
        }
    }
}

fn only_counting(pools: &[String]) -> String {
    format!("MONITOR MODE in {}", some_of(pools.to_vec()).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitor_mode_is_never_called_enforcing_and_never_left_out() {
        let pools = |n: usize| (0..n).map(|n| format!("pool-{n}")).collect::<Vec<_>>();
        let whole = Enforcement::of(false, pools(0));
        assert_eq!(whole, Enforcement::Whole);
        assert_eq!(
            [whole.to_string(), whole.doing(), whole.reserve()],
            ["enforce", "enforcing", ""]
        );
        let monitor = Enforcement::of(true, pools(2));
        assert_eq!(monitor, Enforcement::Monitor);
        for said in [monitor.to_string(), monitor.doing(), monitor.reserve()] {
            assert!(!said.contains("enforc"), "{said}");
            assert!(said.to_lowercase().contains("monitor"), "{said}");
            assert!(said.contains("nothing"), "{said}");
        }
        let except = Enforcement::of(false, pools(25));
        for said in [except.to_string(), except.doing(), except.reserve()] {
            assert!(said.contains("MONITOR MODE in pool-0, pool-1"), "{said}");
            assert!(said.contains("and 5 more"), "{said}");
        }
    }
}
