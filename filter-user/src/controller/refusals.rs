//! What reloads have refused, so that no start takes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ApplyError,
    salvage::{Left, salvage},
};
use crate::state::{StateDirectory, StateError};

/// What that is called in the state directory.
pub(super) const FILE: &str = "refused.json";

/// So many are remembered, and the oldest is forgotten for one more.
const MOST: usize = 100;

/// The files that a reload refused, each kind once, the oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub(super) struct Refusals {
    refusals: Vec<Refusal>,
}

/// Files that were refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Refusal {
    /// [Of all their text](super::archive::fingerprint).
    fingerprint: String,
    at: Timestamp,
    error: String,
}

/// As it may be on disk.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    All { refusals: Vec<Refusal> },
    // A poolguard that remembered the last one.
    Last(Refusal),
}

impl From<Kept> for Refusals {
    fn from(kept: Kept) -> Self {
        let refusals = match kept {
            Kept::All { refusals } => refusals,
            Kept::Last(refusal) => vec![refusal],
        };
        Self { refusals }
    }
}

impl Refusals {
    /// Those that are kept.
    pub(super) fn read(state: &StateDirectory) -> Self {
        let meaning = "what reloads have refused is not remembered";
        let kept = salvage(state, FILE, meaning, || state.read(FILE));
        Left::whole(kept).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refusals.is_empty()
    }

    /// That these files were not refused.
    pub(super) fn check(&self, fingerprint: &str) -> Result<(), ApplyError> {
        let mut refusals = self.refusals.iter();
        match refusals.find(|refusal| refusal.fingerprint == fingerprint) {
            None => Ok(()),
            Some(Refusal { at, error, .. }) => Err(ApplyError::Refused {
                at: *at,
                error: error.clone(),
            }),
        }
    }

    /// Remembers one.
    pub(super) fn add(
        &mut self,
        state: &StateDirectory,
        fingerprint: String,
        at: Timestamp,
        error: String,
    ) -> Result<(), StateError> {
        self.refusals
            .retain(|other| other.fingerprint != fingerprint);
        self.refusals.push(Refusal {
            fingerprint,
            at,
            error,
        });
        let surplus = self.refusals.len().saturating_sub(MOST);
        self.refusals.drain(..surplus);
        self.write(state)
    }

    /// Keeps them in the place of those that were kept.
    pub(super) fn write(&self, state: &StateDirectory) -> Result<(), StateError> {
        state.write(FILE, self)
    }

    /// Forgets that these were refused: by now they were accepted.
    pub(super) fn forget(
        &mut self,
        state: &StateDirectory,
        fingerprint: &str,
    ) -> Result<(), StateError> {
        let before = self.refusals.len();
        self.refusals
            .retain(|other| other.fingerprint != fingerprint);
        match self.refusals.len() {
            left if left == before => Ok(()),
            0 => state.remove(FILE),
            _ => self.write(state),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn the_oldest_makes_room_and_what_is_accepted_is_forgotten() {
        let base = std::env::temp_dir().join(format!("refusals-{}", std::process::id()));
        let state = StateDirectory::new(&base, "east");
        let mut refusals = Refusals::read(&state);
        let now = Timestamp::UNIX_EPOCH;
        for number in (0..=MOST).chain([1]) {
            let error = "too much".to_owned();
            refusals
                .add(&state, number.to_string(), now, error)
                .unwrap();
        }
        let mut again = Refusals::read(&state);
        again.check("0").unwrap();
        for number in 1..=MOST {
            again.check(&number.to_string()).unwrap_err();
        }
        again.forget(&state, "2").unwrap();
        Refusals::read(&state).check("2").unwrap();
        for number in 1..=MOST {
            again.forget(&state, &number.to_string()).unwrap();
        }
        assert!(!state.file(FILE).exists());
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn what_a_poolguard_before_remembered_still_is() {
        let kept = r#"{ "fingerprint": "a", "at": "2026-06-15T12:00:00Z", "error": "too much" }"#;
        let refusals: Refusals = serde_json::from_str(kept).unwrap();
        refusals.check("a").unwrap_err();
        let kept = serde_json::to_string(&refusals).unwrap();
        let refusals: Refusals = serde_json::from_str(&kept).unwrap();
        refusals.check("a").unwrap_err();
    }
}
