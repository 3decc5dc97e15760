//! How long to wait before something is tried once more that did not work.

use std::time::Duration;

/// As long as between two looks at the links.
const FIRST: Duration = Duration::from_secs(5);

/// Somebody may have repaired it: nobody waits for longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that grow: each is twice as long as the one before, up to a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    last: Duration,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(FIRST, LONGEST);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits = [5, 10, 20, 40, 60, 60].map(Duration::from_secs);
        assert_eq!(waits.map(|_| backoff.failed()), waits);
    }
}
