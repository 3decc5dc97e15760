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

    /// What an interface with the program is doing, at a `place` in words: "" or " here".
    pub fn doing(&self, place: &str) -> String {
        match self {
            Self::Whole => format!("enforcing{place}"),
            Self::Except(pools) => format!("enforcing{place}, but {}", only_counting(pools)),
            Self::Monitor => format!("counting{place}, and dropping nothing (MONITOR MODE)"),
        }
    }

    /// What a generation still does to frames on interfaces.
    pub fn still_on(&self, interfaces: &str) -> String {
        match self {
            Self::Whole => format!("still filters {interfaces}"),
            Self::Except(pools) => {
                format!("still filters {interfaces} ({})", only_counting(pools))
            }
            Self::Monitor => {
                format!("still counts on {interfaces} (MONITOR MODE: nothing is dropped)")
            }
        }
    }

    /// A line for whoever asks whether all is well; none where all that is forbidden is
    /// dropped.
    pub fn reservation(&self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Except(pools) => Some(format!(
                "{}: nothing is dropped there",
                only_counting(pools)
            )),
            Self::Monitor => Some("MONITOR MODE: nothing is dropped".to_owned()),
        }
    }
}

/// As `status` shows it.
impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("enforce"),
            Self::Except(pools) => write!(f, "enforce, but {}", only_counting(pools)),
            Self::Monitor => f.write_str("MONITOR MODE (nothing is dropped)"),
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
        let all = |enforcement: &Enforcement| {
            let mut said = vec![
                enforcement.to_string(),
                enforcement.doing(" here"),
                enforcement.still_on("eth0"),
            ];
            said.extend(enforcement.reservation());
            said
        };
        let whole = Enforcement::of(false, pools(0));
        assert_eq!(whole, Enforcement::Whole);
        assert_eq!(
            all(&whole),
            ["enforce", "enforcing here", "still filters eth0"]
        );
        let monitor = Enforcement::of(true, pools(2));
        assert_eq!(monitor, Enforcement::Monitor);
        assert_eq!(all(&monitor).len(), 4);
        for said in all(&monitor) {
            assert!(
                !said.contains("enforc") && !said.contains("filters"),
                "{said}"
            );
            assert!(said.contains("MONITOR MODE"), "{said}");
            assert!(said.contains("nothing"), "{said}");
        }
        let except = Enforcement::of(false, pools(25));
        assert_eq!(all(&except).len(), 4);
        for said in all(&except) {
            assert!(said.contains("MONITOR MODE in pool-0, pool-1"), "{said}");
            assert!(said.contains("and 5 more"), "{said}");
        }
    }
}
