//! What was shown, and what became of it.

use std::{collections::BTreeMap, fmt};

use filter_common::{DropReason, Outcome};

use crate::oracle::Answer;

/// Counts of frames by shape, outcome and reason.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Configurations.
    pub configurations: u64,
    /// Times that time passed.
    pub waits: u64,
    /// All frames.
    pub frames: u64,
    /// Those that were shown to the kernel too.
    pub kernel_frames: u64,
    shapes: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
}

impl Census {
    pub(super) fn frame(&mut self, shapes: &[&'static str], answer: &Answer) {
        self.frames += 1;
        for shape in shapes {
            *self.shapes.entry(shape).or_default() += 1;
        }
        *self.outcomes.entry(answer.outcome).or_default() += 1;
        if let Some(reason) = answer.reason {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.configurations += other.configurations;
        self.waits += other.waits;
        self.frames += other.frames;
        self.kernel_frames += other.kernel_frames;
        for (mine, others) in [
            (&mut self.shapes, &other.shapes),
            (&mut self.outcomes, &other.outcomes),
            (&mut self.reasons, &other.reasons),
        ] {
            for (name, n) in others {
                *mine.entry(name).or_default() += n;
            }
        }
    }

    /// The outcomes and reasons that never occurred.
    pub fn missing(&self) -> Vec<&'static str> {
        let outcomes = EVERY_OUTCOME.iter().map(|outcome| outcome.name());
        let outcomes = outcomes.filter(|name| !self.outcomes.contains_key(name));
        let reasons = DropReason::ALL.iter().map(|reason| reason.name());
        let reasons = reasons.filter(|name| !self.reasons.contains_key(name));
        outcomes.chain(reasons).collect()
    }
}

const EVERY_OUTCOME: [Outcome; 10] = [
    Outcome::NotIp,
    Outcome::Fragment,
    Outcome::NoPorts,
    Outcome::Unwatched,
    Outcome::Allowed,
    Outcome::MailServer,
    Outcome::Exempted,
    Outcome::Return,
    Outcome::WouldDrop,
    Outcome::Drop,
];

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} frames ({} of them through the kernel) and {} waits under {} configurations",
            self.frames, self.kernel_frames, self.waits, self.configurations
        )?;
        for (title, counts) in [
            ("outcomes", &self.outcomes),
            ("reasons to drop", &self.reasons),
            ("shapes", &self.shapes),
        ] {
            writeln!(f, "{title}:")?;
            for (name, n) in counts {
                let share = *n as f64 * 100.0 / self.frames as f64;
                writeln!(f, "  {name:<34} {n:>12}  {share:5.1} %")?;
            }
        }
        Ok(())
    }
}
