//! That what is to outlive this controller is still on disk: somebody may have tidied up
//! the state directory. What can be written again from memory is.

use dataplane::Dataplane;

use super::{
    Controller, Standing, archive::CONFIRMED, confirmation, exemptions, last_use, refusals,
};
use crate::state::StateError;

impl<D: Dataplane> Controller<D> {
    /// Writes again what is gone, and all of it where the disk comes back: what it was asked
    /// for last may have been done after all.
    pub fn look_after_state(&mut self) {
        self.is_state_behind |= self.state.came_back();
        if self.is_state_behind {
            self.is_state_behind = self.write_all().is_err();
        }
        let kept_exemptions = self.kept_exemptions();
        if kept_exemptions.is_worth_keeping() && self.state.is_gone(exemptions::FILE) {
            let written = kept_exemptions.write(&self.state);
            self.log_again(exemptions::FILE, written);
        }
        if !self.refusals.is_empty() && self.state.is_gone(refusals::FILE) {
            let written = self.refusals.write(&self.state);
            self.log_again(refusals::FILE, written);
        }
        if self.uses.is_worth_keeping()
            && self.uses.was_written()
            && self.state.is_gone(last_use::FILE)
        {
            let written = self.uses.write(&self.state);
            self.log_again(last_use::FILE, written);
        }
        if self.is_kept && self.state.is_gone(CONFIRMED) {
            // The texts of a million customers are not kept in memory as well.
            self.is_kept = false;
            tracing::error!(
                file = %self.state.file(CONFIRMED).display(), traffic = self.traffic(),
                "the configuration in force is not kept any more, somebody removed it: the next \
                 start has nothing to compare the files with. `poolguard reload` keeps it again"
            );
        }
        let has_record = matches!(
            self.standing,
            Standing::OnTrial(_) | Standing::RolledBack { .. }
        );
        if has_record && self.state.is_gone(confirmation::FILE) {
            let written = self.keep(&self.intent.config, &self.standing);
            self.log_again(confirmation::FILE, written);
        }
        let is_stuck = self.state.is_stuck();
        if is_stuck && !self.is_state_stuck {
            tracing::error!(
                directory = %self.state.file("").display(), traffic = self.traffic(),
                "the state directory does not answer: nothing is kept for the next start, and what \
                 has to be kept is refused. The filter does not wait for it (`findmnt -T`)"
            );
        }
        self.is_state_stuck = is_stuck;
    }

    /// Writes all that is in memory, as it is in force.
    fn write_all(&self) -> Result<(), StateError> {
        let refusals = match self.refusals.is_empty() {
            true => self.state.remove(refusals::FILE),
            false => self.refusals.write(&self.state),
        };
        let exemptions = self.kept_exemptions().write(&self.state);
        let record = self.keep(&self.intent.config, &self.standing);
        let written = refusals.and(exemptions).and(record);
        match &written {
            Ok(()) => tracing::warn!(
                "the state directory answers again: what the next start needs is written once more, \
                 as it is in force"
            ),
            Err(error) => tracing::error!(
                traffic = self.traffic(), %error,
                "what is on disk may not be what is in force, and a restart goes by what is on disk: \
                 correct this. Tried again every few seconds"
            ),
        }
        written
    }

    fn log_again(&mut self, name: &'static str, written: Result<(), StateError>) {
        let file = self.state.file(name);
        match written {
            Ok(()) => {
                self.unwritten.remove(name);
                tracing::warn!(
                    file = %file.display(),
                    "somebody removed what the next start needs: written again, as it is in force"
                );
            }
            Err(error) => {
                let text = error.to_string();
                if self.unwritten.insert(name, text.clone()) != Some(text) {
                    tracing::error!(
                        file = %file.display(), traffic = self.traffic(), %error,
                        "somebody removed what the next start needs, and it cannot be written \
                         again: it is lost with this process. Correct this. Tried again every few \
                         seconds"
                    );
                }
            }
        }
    }
}
