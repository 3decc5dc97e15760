//! A disk that may never answer, asked by somebody who has other things to do.

use std::{
    io,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use crate::threads;

/// How long the disk may take while nothing moves.
const PATIENCE: Duration = Duration::from_secs(10);

/// A disk that is asked in threads of their own, one after the other. As long as one of
/// them has not come back nobody else waits: whatever is asked fails at once.
#[derive(Clone, Debug)]
pub(crate) struct SlowDisk {
    patience: Duration,
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many questions nobody waits for any longer.
    stuck: AtomicUsize,
    /// Whether one of them was answered after all.
    came_back: AtomicBool,
}

impl Default for SlowDisk {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            known: Arc::default(),
        }
    }
}

/// What moves while a question is answered: whoever writes a lot may take long.
pub(crate) type Moved = Arc<AtomicU64>;

const WAITED_FOR: u8 = 0;
const GIVEN_UP: u8 = 1;
const OVER: u8 = 2;

/// A question. It is over with this value, also where a panic ends it.
struct Question {
    state: Arc<AtomicU8>,
    known: Arc<Known>,
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.state.swap(OVER, Ordering::SeqCst) == GIVEN_UP {
            self.known.came_back.store(true, Ordering::SeqCst);
            self.known.stuck.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl SlowDisk {
    pub(crate) fn with_patience(patience: Duration) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// Asks, and waits for the answer as long as `moved` goes on or time is left.
    ///
    /// # Errors
    ///
    /// When the disk does not answer in time, or has not answered somebody before.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        moved: &Moved,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        if self.is_stuck() {
            return Err(self.no_answer());
        }
        let state = Arc::new(AtomicU8::new(WAITED_FOR));
        let asked = Question {
            state: Arc::clone(&state),
            known: Arc::clone(&self.known),
        };
        let (answer, answered) = channel();
        let thread = threads::begin(move || {
            let done = question();
            drop(asked);
            let _unheard = answer.send(done);
        });
        let mut before = moved.load(Ordering::Relaxed);
        loop {
            match answered.recv_timeout(self.patience) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    match thread.and_then(|thread| thread.join().err()) {
                        None => unreachable!("it answers before it ends"),
                        Some(panic) => resume_unwind(panic),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = moved.load(Ordering::Relaxed);
            if now == std::mem::replace(&mut before, now) && self.gives_up(&state) {
                return Err(self.no_answer());
            }
        }
    }

    /// Waits no longer, unless the answer comes this very moment.
    fn gives_up(&self, question: &AtomicU8) -> bool {
        self.known.stuck.fetch_add(1, Ordering::SeqCst);
        let waited_for =
            question.compare_exchange(WAITED_FOR, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst);
        if waited_for.is_err() {
            self.known.stuck.fetch_sub(1, Ordering::SeqCst);
        }
        waited_for.is_ok()
    }

    /// Whether somebody waits for an answer in vain.
    pub(crate) fn is_stuck(&self) -> bool {
        self.known.stuck.load(Ordering::SeqCst) > 0
    }

    /// Whether something was done since this was last asked that was taken for not done.
    pub(crate) fn came_back(&self) -> bool {
        !self.is_stuck() && self.known.came_back.swap(false, Ordering::SeqCst)
    }

    fn no_answer(&self) -> io::Error {
        let why = format!(
            "the disk has not answered for {} seconds, and nothing waits for it (`findmnt -T` shows \
             what is mounted there)",
            self.patience.as_secs()
        );
        io::Error::new(io::ErrorKind::TimedOut, why)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{sync::mpsc::channel, thread};

    use super::*;

    #[test]
    fn one_that_does_not_answer_is_waited_for_once() {
        let disk = SlowDisk::with_patience(Duration::from_millis(20));
        let moved = Moved::default();
        assert_eq!(disk.ask(&moved, || 7).unwrap(), 7);
        let (release, released) = channel::<()>();
        let (done, is_done) = channel();
        let hangs = move || {
            released.recv().unwrap();
            // Whoever is told of the end finds it.
            done.send(()).unwrap();
        };
        let error = disk.ask(&moved, hangs).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let patient = SlowDisk {
            patience: Duration::from_secs(3_600),
            ..disk.clone()
        };
        // At once: an hour would be noticed.
        patient.ask(&moved, || 7).unwrap_err();
        assert!(disk.is_stuck() && !disk.came_back());
        release.send(()).unwrap();
        is_done.recv().unwrap();
        while disk.is_stuck() {
            thread::yield_now();
        }
        assert!(disk.came_back() && !disk.came_back());
        assert_eq!(patient.ask(&moved, || 7).unwrap(), 7);
    }

    #[test]
    fn one_that_is_at_work_is_waited_for() {
        // So much longer than a step of the work that no busy machine makes a difference.
        let disk = SlowDisk::with_patience(Duration::from_millis(600));
        let moved = Moved::default();
        let at_work = Arc::clone(&moved);
        let works = move || {
            for _ in 0..60 {
                at_work.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        };
        disk.ask(&moved, works).unwrap();
        assert!(!disk.came_back());
    }
}
