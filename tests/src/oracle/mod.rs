//! A second implementation of the rules.
//!
//! It is written from the rules' own words, and shares no code with
//! `filter-common`: `link` and `network` read the frame with etherparse,
//! `directory` looks through the whole configuration for an address,
//! `flows` remembers, `rules` judges, and `answer` says which counters
//! move, by the names that they are exported under. Everything is as naive as it
//! can be: what is fast is in the other implementation.
//!
//! Where the rules' words leave a choice, a comment says which one was made.

mod answer;
pub(crate) mod directory;
mod flows;
mod link;
mod network;
pub(crate) mod reading;
mod rules;

use jiff::Timestamp;
use policy::config::{Config, Interface};

pub use answer::Answer;
pub use reading::{Cause, Reading, Transport, read};

use directory::Directory;
use flows::Flows;

/// A box, as the rules describe it.
#[derive(Debug)]
pub struct Oracle<'a> {
    directory: Directory<'a>,
    flows: Flows,
    now_seconds: u64,
}

impl<'a> Oracle<'a> {
    /// A box that was given this configuration at this moment.
    pub fn new(config: &'a Config, loaded: Timestamp) -> Self {
        Self {
            directory: Directory::new(config, loaded),
            flows: Flows::default(),
            now_seconds: 0,
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.now_seconds += seconds;
    }

    /// How many flows were ever remembered. Those that are too old to matter are
    /// still among them.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// What becomes of a frame that arrives now.
    pub fn arrive(&mut self, interface: &Interface, frame: &[u8]) -> Answer {
        let reading = read(frame);
        let opinion = rules::judge(
            &reading,
            interface,
            &self.directory,
            &mut self.flows,
            self.now_seconds,
        );
        answer::answer(
            &opinion,
            &reading,
            &self.directory,
            &interface.name,
            frame.len(),
        )
    }
}
