//! What becomes of interfaces and wires without anybody's asking, for the log.

use std::collections::{BTreeMap, BTreeSet};

use api::enforcement::Enforcement;
use dataplane::{Dataplane, Event, Events};

use super::{Controller, Standing};

/// What the way out of an interface is called among what fails. No interface has blanks in
/// its name.
pub(super) fn way_out_of(interface: &str) -> String {
    format!("{interface} at the way out")
}

impl<D: Dataplane> Controller<D> {
    /// Takes note of what became of interfaces, but for those that were left `waiting`.
    /// Returns what had failed before, and why.
    pub(super) fn note_events(
        &mut self,
        events: &Events,
        waiting: &BTreeSet<String>,
    ) -> BTreeMap<String, String> {
        let failed_before = std::mem::take(&mut self.failing);
        let still = failed_before.iter();
        let still = still.filter(|(name, _)| waiting.contains(*name));
        self.failing = still
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect();
        self.put_off(events, waiting);
        for (interface, event) in events {
            match event {
                Event::Attached => {
                    let times = self.status.attachments.entry(interface.clone());
                    *times.or_default() += 1;
                }
                Event::Lost => {}
                Event::Failed(error) | Event::Unpinned(error) | Event::Unfit(error) => {
                    self.failing.insert(interface.clone(), error.to_string());
                }
                Event::Open(error) => {
                    self.failing
                        .insert(way_out_of(interface), error.to_string());
                }
            }
        }
        failed_before
    }

    /// Says what has become of interfaces, once `/readyz` and `status` say so as well:
    /// whoever reads a line may ask at once. What failed before for the same reason was said.
    pub(super) fn log_events(&self, events: &Events, failed_before: &BTreeMap<String, String>) {
        let enforcement = self.status.enforcement();
        let doing_here = enforcement.doing(" here");
        for (interface, event) in events {
            match event {
                Event::Attached => {
                    let doing = enforcement.doing(" on it");
                    tracing::info!(%interface, "the interface is there: {doing}");
                }
                Event::Lost => tracing::warn!(
                    %interface,
                    "the interface or its link is gone, NOT ENFORCING there: attached again as soon \
                     as it is back (`ip link show`)"
                ),
                Event::Failed(error) => {
                    let text = error.to_string();
                    if failed_before.get(interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the interface cannot be attached to as configured, NOT ENFORCING \
                             there unless by an earlier configuration. Tried again, after a minute at most"
                        );
                    }
                }
                Event::Unpinned(error) => {
                    let text = error.to_string();
                    if failed_before.get(interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the pin of the link is gone and cannot be made again: {doing_here}, but only \
                             for as long as this process runs. Do not stop it; tried again every few \
                             seconds"
                        );
                    }
                }
                Event::Open(error) => {
                    let text = error.to_string();
                    if failed_before.get(&way_out_of(interface)) != Some(&text) {
                        let arriving = match self.is_attached(interface) {
                            true => "What arrives here is",
                            false => "Nor is what arrives here",
                        };
                        tracing::error!(
                            %interface, %error,
                            "what this box sends there, and what arrived where nothing filters, is NOT \
                             JUDGED on its way out. {arriving}. Tried again every few seconds"
                        );
                    }
                }
                Event::Unfit(error) => {
                    let text = error.to_string();
                    if failed_before.get(interface) != Some(&text) {
                        tracing::error!(
                            %interface, %error,
                            "the end of a wire is not as a wire needs it: {doing_here}, but frames may \
                             be lost. Tried again every few seconds"
                        );
                    }
                }
            }
        }
    }

    fn is_attached(&self, interface: &str) -> bool {
        let interfaces = self.shared.latest().interfaces();
        let mut named = interfaces.iter().filter(|known| known.name == interface);
        named.any(|known| known.attached)
    }

    /// Lets those that failed wait, each time for longer.
    fn put_off(&mut self, events: &Events, waiting: &BTreeSet<String>) {
        let mut before = std::mem::take(&mut self.retries);
        let now = self.clock.passed();
        for (interface, event) in events {
            if let Event::Failed(_) = event {
                let mut retry = before.remove(interface).unwrap_or_default();
                retry.at = now + retry.backoff.failed();
                self.retries.insert(interface.clone(), retry);
            }
        }
        before.retain(|interface, _| waiting.contains(interface));
        self.retries.extend(before);
    }

    /// Says what has become of the wires since this was last asked.
    pub(super) fn log_wires(&mut self) {
        let mut before = std::mem::take(&mut self.cut);
        for status in self.shared.latest().interfaces() {
            let (interface, Some(wire)) = (status.name, status.wire) else {
                continue;
            };
            let (peer, was_cut) = (wire.peer, before.remove(&interface));
            match wire.problem {
                None if was_cut.is_some() => {
                    tracing::info!(%interface, %peer, "the wire forwards again");
                }
                None => {}
                Some(problem) => {
                    if was_cut.as_ref() != Some(&problem) {
                        tracing::warn!(
                            %interface, %peer,
                            "what is permitted here is NOT FORWARDED, or not all of it: {problem}"
                        );
                    }
                    self.cut.insert(interface, problem);
                }
            }
        }
    }

    /// Looks once more after what is left to itself, and says how that stands.
    pub fn leave(&mut self) {
        self.reconcile();
        self.keep_uses();
        let traffic = self.traffic();
        let unpinned = self.dataplane.unpinned();
        if matches!(self.standing, Standing::OnTrial(_)) {
            tracing::warn!(
                "stopped while a configuration is on trial: it goes back with the next start, not before"
            );
        }
        if !unpinned.is_empty() {
            tracing::error!(
                interfaces = ?unpinned,
                "stopped, and the filter ENDS here with this process, for want of pins: start again"
            );
        } else if self.dataplane.link_count() == 0 {
            tracing::warn!("stopped, and nothing is enforced: no interface has the filter");
        } else if self.status.enforcement() == Enforcement::Monitor {
            tracing::info!(
                traffic,
                "stopped, and STILL COUNTING, as MONITOR MODE does: it goes on by itself, and drops \
                 nothing, until the next start. `poolguard detach` takes it off"
            );
        } else {
            tracing::info!(
                traffic,
                "stopped, and STILL ENFORCING: the filter goes on by itself until the next start. \
                 `poolguard detach` takes it off"
            );
        }
    }
}
