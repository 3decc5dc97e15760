//! That what is to outlive this controller is still on disk: somebody may have tidied up
//! the state directory. What can be written again from memory is.

use std::{fs, io};

use dataplane::Dataplane;

use super::{Controller, Standing, archive::CONFIRMED, confirmation, exemptions, refusals};
use crate::state::StateError;

impl<D: Dataplane> Controller<D> {
    /// Writes again what is gone.
    pub fn look_after_state(&mut self) {
        let kept_exemptions = self.kept_exemptions();
        if kept_exemptions.is_worth_keeping() && self.is_gone(exemptions::FILE) {
            let written = kept_exemptions.write(&self.state);
            self.log_again(exemptions::FILE, written);
        }
        if !self.refusals.is_empty() && self.is_gone(refusals::FILE) {
            let written = self.refusals.write(&self.state);
            self.log_again(refusals::FILE, written);
        }
        if self.is_kept && self.is_gone(CONFIRMED) {
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
        if has_record && self.is_gone(confirmation::FILE) {
            let written = self.keep(&self.intent.config, &self.standing);
            self.log_again(confirmation::FILE, written);
        }
    }

    fn is_gone(&self, name: &str) -> bool {
        let found = fs::symlink_metadata(self.state.file(name));
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
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
