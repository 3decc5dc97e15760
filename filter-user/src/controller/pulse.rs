//! Whether the control loop goes round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Clock;

/// How long the control loop may be at one thing. With 256 interfaces a reload keeps the
/// verifier busy for more than a minute.
pub(super) const STANDSTILL: Duration = Duration::from_secs(120);

/// When the control loop last went round, for others to see.
#[derive(Clone, Debug)]
pub struct Pulse {
    clock: Clock,
    /// In milliseconds of the clock.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// One that has just beaten.
    pub fn new(clock: Clock) -> Self {
        let pulse = Self {
            clock,
            last: Arc::default(),
        };
        pulse.beat();
        pulse
    }

    /// The control loop goes round.
    pub fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// For how long it has not.
    pub fn still_for(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.passed().as_millis()).unwrap_or(u64::MAX)
    }
}
