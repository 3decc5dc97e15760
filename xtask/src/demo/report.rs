//! What the demo prints in the end.

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use super::{attempts::Attempt, filter::Counters, network};

/// What came of the attempts, and what moved.
pub(crate) struct Report {
    /// Each attempt with its outcomes without and with poolguard.
    pub(crate) attempts: Vec<(Attempt, String, String)>,
    /// The counters that moved.
    pub(crate) counters: Counters,
    /// The counters that had to move and did not.
    pub(crate) unmoved: Vec<String>,
    /// What `poolguard status` printed: JSON where that is what is wanted.
    pub(crate) status: String,
}

impl Report {
    /// How many attempts went other than the rules say, and counters that did
    /// not count.
    pub(crate) fn failures(&self) -> usize {
        let wrong = self.attempts.iter().filter(|row| verdict(row).is_err());
        wrong.count() + self.unmoved.len()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header([
                "attempt",
                "without poolguard",
                "with poolguard",
                "as the rules say",
            ]);
        if !table.is_tty() {
            table.set_width(150);
        }
        for row in &self.attempts {
            let (attempt, without, with) = row;
            let verdict = match verdict(row) {
                Ok(()) => format!("yes ({})", attempt.rule),
                Err(expected) => format!("NO ({}): {expected}", attempt.rule),
            };
            table.add_row([&attempt.what, without, with, &verdict]);
        }
        let mut counters = Table::new();
        counters
            .load_style(UTF8_FULL_CONDENSED)
            .set_header(["counter", "moved by"]);
        for (name, change) in &self.counters {
            counters.add_row([name, &change.to_string()]);
        }
        let mut text = format!(
            "{}\n{table}\n\n{counters}\n\n{}",
            network::DRAWING,
            self.status.trim_end()
        );
        for counter in &self.unmoved {
            text.push_str(&format!("\nNO: {counter} did not move"));
        }
        text.push_str(&match self.failures() {
            0 => format!(
                "\n\nAll {} attempts went as the rules say.",
                self.attempts.len()
            ),
            n => format!("\n\n{n} attempts or counters went OTHER than the rules say."),
        });
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Result<Value> {
        let attempts = self.attempts.iter().map(|row| {
            let (attempt, without, with) = row;
            json!({
                "attempt": attempt.what,
                "rule": attempt.rule,
                "without": without,
                "with": with,
                "expected_without": attempt.without,
                "expected_with": attempt.with,
                "as_the_rules_say": verdict(row).is_ok(),
            })
        });
        Ok(json!({
            "attempts": attempts.collect::<Vec<_>>(),
            "counters": self.counters,
            "unmoved": self.unmoved,
            "status": serde_json::from_str::<Value>(&self.status)?,
            "failures": self.failures(),
        }))
    }
}

/// Whether an attempt went as the rules say; else what they say.
fn verdict((attempt, without, with): &(Attempt, String, String)) -> Result<(), String> {
    let wrong = |outcome: &str, expected: &str, when: &str| {
        (outcome != expected).then(|| format!("{when}: {expected}"))
    };
    let wrong: Vec<_> = [
        wrong(without, &attempt.without, "without"),
        wrong(with, &attempt.with, "with"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}
