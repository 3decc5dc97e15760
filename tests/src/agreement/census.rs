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
    /// How many frames the programs in the kernel were shown.
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

    /// The shapes that less than half or more than twice as many frames had as should, a
    /// line each, once there are enough frames to tell.
    pub fn out_of_proportion(&self) -> Vec<String> {
        if self.frames < TELLING {
            return Vec::new();
        }
        let share = |name| {
            let n = self.shapes.get(name).copied().unwrap_or_default();
            n as f64 * 100.0 / self.frames as f64
        };
        let shares = SHARES.iter().map(|(name, due)| (name, share(name), due));
        shares
            .filter(|(_, share, due)| !(*due / 2.0..=*due * 2.0).contains(share))
            .map(|(name, share, due)| format!("{name}: {share:.1} %, and not {due} %"))
            .collect()
    }
}

/// Shares are told from this many frames on.
const TELLING: u64 = 1_000_000;

/// What share of the frames has each shape, in percent. Whoever makes frames otherwise
/// than before sees here what became rarer.
const SHARES: [(&str, f64); 30] = [
    ("1 VLAN tag", 15.8),
    ("1 to 8 extension headers", 25.4),
    ("2 VLAN tags", 15.7),
    ("2 to 4 PPP zeros", 3.3),
    ("3 or 4 VLAN tags", 5.3),
    ("9 to 12 extension headers", 4.2),
    ("AH", 14.2),
    ("DCCP", 7.2),
    ("IPv4", 49.7),
    ("IPv4 options", 16.5),
    ("IPv6", 50.3),
    ("PPP address and control", 3.2),
    ("PPPoE", 19.9),
    ("SCTP", 7.2),
    ("TCP", 49.4),
    ("UDP", 24.9),
    ("UDP-Lite", 7.2),
    ("a damaged byte", 3.0),
    ("a length that lies", 9.1),
    ("an extension length that lies", 4.5),
    ("cut off", 4.0),
    ("fragment header", 14.1),
    ("in several buffers", 20.1),
    ("later fragment", 5.5),
    ("odd EtherType", 2.0),
    ("odd version or IHL", 3.0),
    ("old service tag", 17.5),
    ("padding", 33.3),
    ("short transport header", 9.8),
    ("too many PPP zeros", 0.7),
];

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
            "{} frames ({} judgements of them in the kernel) and {} waits under {} configurations",
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
