//! How much is measured.

use std::time::Duration;

use super::{cases::Case, customers::Layout};

/// What there is to measure, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often it is everybody's turn to decide.
    pub decision_rounds: usize,
    /// How long a turn takes.
    pub turn: Duration,
    /// How customers are spread.
    pub layouts: &'static [Layout],
    /// How many customers there are in each family.
    pub sizes: &'static [u32],
    /// This case alone.
    pub only: Option<String>,
}

impl Plan {
    /// Under ten minutes.
    pub fn whole() -> Self {
        Self {
            decision_rounds: 15,
            turn: Duration::from_millis(4),
            layouts: &Layout::ALL,
            sizes: &[10, 1_000, 10_000, 100_000, 1_000_000],
            only: None,
        }
    }

    /// Under a minute.
    pub fn quick() -> Self {
        Self {
            decision_rounds: 5,
            turn: Duration::from_millis(3),
            layouts: &[Layout::Dense],
            sizes: &[10, 1_000_000],
            only: None,
        }
    }

    /// The cases, in both families.
    ///
    /// # Panics
    ///
    /// When there is no such case.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Case::all();
        if let Some(only) = &self.only {
            cases.retain(|case| case.kind.name() == only);
            assert!(!cases.is_empty(), "there is no case {only:?}");
        }
        cases
    }
}
