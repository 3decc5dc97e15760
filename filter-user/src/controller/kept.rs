//! What a controller leaves to the next one, should it die.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compile::Slots,
    dataplane::{Dataplane, DataplaneError},
};

/// What goes with the counters: whose they are, and the counts that the
/// controller keeps itself. `reloads` and `failures` are counters as well, and do
/// not go back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) slots: Slots,
    pub(super) counting_since: Timestamp,
    pub(super) generation: u64,
    pub(super) reloads: u64,
    pub(super) reload_failures: u64,
    pub(super) attachments: BTreeMap<String, u64>,
}

impl Kept {
    /// Where counting begins.
    fn new(now: Timestamp) -> Self {
        Self {
            slots: Slots::default(),
            counting_since: now,
            generation: 0,
            reloads: 0,
            reload_failures: 0,
            attachments: BTreeMap::new(),
        }
    }

    /// What the controller before this one has left, if there was one. Counters
    /// of which nobody knows whose they are are begun anew.
    pub(super) fn read(dataplane: &mut Dataplane, now: Timestamp) -> Result<Self, DataplaneError> {
        let notes = dataplane.notes()?;
        if notes.is_empty() {
            return Ok(Self::new(now));
        }
        match serde_json::from_slice(&notes) {
            Ok(kept) => Ok(kept),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the notes of an earlier run make no sense: counting begins anew. What is \
                     attached goes on filtering"
                );
                dataplane.forget_counters()?;
                Ok(Self::new(now))
            }
        }
    }

    pub(super) fn write(&self, dataplane: &mut Dataplane) -> Result<(), DataplaneError> {
        let notes = serde_json::to_vec(self).unwrap_or_default();
        dataplane.write_notes(&notes)
    }
}
