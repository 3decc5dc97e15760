//! How much is measured.

use std::time::Duration;

use super::{
    cases::{Case, Kind},
    customers::Layout,
};

/// What there is to measure, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often it is everybody's turn to decide.
    pub decision_rounds: usize,
    /// How long a turn takes.
    pub turn: Duration,
    /// The same for live frames.
    pub live_rounds: usize,
    /// The same for live frames.
    pub live_turn: Duration,
    /// The same where there are boxes, of which there are few.
    pub box_turn: Duration,
    /// How customers are spread.
    pub layouts: &'static [Layout],
    /// The same where `dropped` is decided.
    pub layouts_of_drops: &'static [Layout],
    /// How many customers there are in each family.
    pub sizes: &'static [u32],
    /// This case alone.
    pub only: Option<String>,
}

impl Plan {
    /// Under ten minutes.
    pub fn whole() -> Self {
        Self {
            decision_rounds: 7,
            turn: Duration::from_millis(10),
            live_rounds: 7,
            live_turn: Duration::from_millis(10),
            box_turn: Duration::from_millis(20),
            layouts: &Layout::COMMON,
            layouts_of_drops: &Layout::ALL,
            sizes: &[10, 1_000, 10_000, 100_000, 1_000_000],
            only: None,
        }
    }

    /// Under a minute.
    pub fn quick() -> Self {
        Self {
            decision_rounds: 5,
            turn: Duration::from_millis(3),
            live_rounds: 5,
            live_turn: Duration::from_millis(4),
            box_turn: Duration::from_millis(10),
            layouts: &[Layout::Dense],
            layouts_of_drops: &[Layout::Dense],
            sizes: &[10, 100_000],
            only: None,
        }
    }

    /// Whether a case is measured.
    pub fn wants(&self, case: &Case) -> bool {
        self.wants_kind(case.kind)
    }

    /// Whether cases of a kind are measured.
    pub fn wants_kind(&self, kind: Kind) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| kind.name() == only)
    }

    /// The cases, in both families.
    ///
    /// # Panics
    ///
    /// When there is no such case.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Case::all();
        cases.retain(|case| self.wants(case));
        assert!(!cases.is_empty(), "there is no case {:?}", self.only);
        cases
    }
}
