//! What time it is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

/// The time of day, which somebody may set, and the time that has passed, which
/// nobody can.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { begun: Instant },
    Manual(Arc<Mutex<Reading>>),
}

/// What a clock shows.
#[derive(Clone, Copy, Debug)]
struct Reading {
    now: Timestamp,
    passed: Duration,
}

/// What moves a clock by hand.
#[derive(Clone, Debug)]
pub struct Hand(Arc<Mutex<Reading>>);

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self(Source::System {
            begun: Instant::now(),
        })
    }

    /// One that stands still unless it is moved.
    pub fn manual(now: Timestamp) -> (Self, Hand) {
        let reading = Reading {
            now,
            passed: Duration::ZERO,
        };
        let reading = Arc::new(Mutex::new(reading));
        (Self(Source::Manual(Arc::clone(&reading))), Hand(reading))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => Timestamp::now(),
            Source::Manual(reading) => read(reading).now,
        }
    }

    /// How long this clock has been running, whatever it was set to.
    pub fn passed(&self) -> Duration {
        match &self.0 {
            Source::System { begun } => begun.elapsed(),
            Source::Manual(reading) => read(reading).passed,
        }
    }
}

impl Hand {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.passed += time;
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        reading.now = reading.now.saturating_add(time).unwrap_or(Timestamp::MAX);
    }

    /// Sets the time of day, in which no time passes.
    pub fn set(&self, now: Timestamp) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.now = now;
    }
}

fn read(reading: &Mutex<Reading>) -> Reading {
    *reading.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_clock_lets_no_time_pass() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        hand.advance(Duration::from_secs(60));
        assert_eq!(clock.now().as_second(), 60);
        hand.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert_eq!(clock.passed(), Duration::from_secs(60));
    }
}
