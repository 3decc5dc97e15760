//! What came of it.

use std::fmt;

use serde::Serialize;

use super::traffic::Tally;

/// One fault.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What went wrong.
    pub fault: &'static str,
    /// How often.
    pub times: u64,
    /// Frames meanwhile that are to pass.
    pub permitted: u64,
    /// Frames meanwhile that are not to pass.
    pub forbidden: u64,
    /// Frames that passed and should not have.
    pub leaked: u64,
    /// Frames that should have passed and did not.
    pub lost: u64,
    /// Counters that went back.
    pub counters_back: u64,
    /// What else was measured.
    pub note: String,
}

impl Row {
    pub(super) fn new(times: u64, tally: Tally) -> Self {
        Self {
            fault: "",
            times,
            permitted: tally.permitted,
            forbidden: tally.forbidden,
            leaked: tally.leaked,
            lost: tally.lost,
            counters_back: 0,
            note: String::new(),
        }
    }

    /// How much is not as it should be.
    pub fn wrong(&self) -> u64 {
        self.leaked + self.lost + self.counters_back
    }
}

/// Above the rows, in Markdown.
pub const HEAD: &str = "\
| fault | times | permitted | forbidden | leaked | lost | counters back | |
|---|--:|--:|--:|--:|--:|--:|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fault,
            times,
            permitted,
            forbidden,
            leaked,
            lost,
            counters_back,
            note,
        } = self;
        write!(
            f,
            "| {fault} | {times} | {permitted} | {forbidden} | {leaked} | {lost} | \
             {counters_back} | {note} |"
        )
    }
}
