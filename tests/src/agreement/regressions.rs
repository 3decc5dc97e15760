//! What they once disagreed on.

use crate::generate::{Scenario, Step, scenario::load};

/// A disagreement of the past.
#[derive(Debug)]
pub struct Regression {
    /// What it was about.
    pub story: &'static str,
    /// The configuration.
    pub config: &'static str,
    /// What happens.
    pub steps: &'static [Event],
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A frame arrives at an interface.
    Frame(&'static str, &'static str),
    /// So many seconds pass.
    Wait(u64),
}

/// All of them.
pub const REGRESSIONS: &[Regression] = &[];

impl Regression {
    /// To be shown to all.
    pub fn scenario(&self) -> Scenario {
        let steps = self.steps.iter().map(|event| match event {
            Event::Wait(seconds) => Step::Wait(*seconds),
            Event::Frame(interface, hex) => Step::Frame {
                interface: (*interface).to_owned(),
                bytes: bytes(hex),
                first: None,
                shapes: vec!["regression"],
            },
        });
        Scenario {
            text: self.config.to_owned(),
            config: load(self.config),
            steps: steps.collect(),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
