//! Lines that are said again and again. What fails every few seconds is said some times,
//! and then how often more it was.

use std::{
    fmt::{self, Write as _},
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt as _, fast::RandomState};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// How often a line with just the same text is written within a [`WINDOW`].
const SAME: u32 = 60;
/// How often a warning or an error of one kind is, whatever it is about.
const ALIKE: u32 = 300;
/// How long what was said counts. A line that was held back in one window is written once
/// in the next.
const WINDOW: Duration = Duration::from_secs(600);
/// How many different lines are remembered.
const REMEMBERED: usize = 4_096;
/// How much of a line is repeated when its number is told, in characters.
const REPEATED: usize = 300;

/// A layer that lets the log have only so much of each line.
#[derive(Clone, Debug)]
pub(super) struct Ration(Arc<Mutex<Said>>);

/// Lines that were held back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeldBack {
    pub(super) line: String,
    pub(super) times: u64,
}

#[derive(Debug)]
struct Said {
    lines: HashMap<u64, Line>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Line {
    since: Instant,
    written: u32,
    at_most: u32,
    held_back: u64,
    /// The text, of lines that were held back.
    text: String,
}

impl Ration {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Said {
            lines: HashMap::new(),
            hasher: RandomState::default(),
        })))
    }

    /// Whether a line is to be written. `alike` names the kind of those that are limited
    /// as a kind as well.
    fn admits(&self, text: &str, alike: Option<&str>, now: Instant) -> bool {
        let said = &mut *self.lock();
        let mut admits = |key: (&str, bool), at_most| {
            let hash = said.hasher.hash_one(key);
            if said.lines.len() >= REMEMBERED && !said.lines.contains_key(&hash) {
                // What was not held back is not missed.
                said.lines.retain(|_, line| line.held_back > 0);
            }
            let line = said.lines.entry(hash).or_insert_with(|| Line {
                since: now,
                written: 0,
                at_most,
                held_back: 0,
                text: String::new(),
            });
            if line.held_back == 0 && now.duration_since(line.since) >= WINDOW {
                (line.since, line.written, line.at_most) = (now, 0, at_most);
            }
            if line.written < line.at_most {
                line.written += 1;
                return true;
            }
            line.held_back += 1;
            if line.text.is_empty() {
                line.text = text.chars().take(REPEATED).collect();
            }
            false
        };
        let (same, kind) = ((text, true), alike.map(|kind| (kind, false)));
        admits(same, SAME) && kind.is_none_or(|kind| admits(kind, ALIKE))
    }

    /// What was held back in windows that are over, to be told now.
    pub(super) fn held_back(&self, now: Instant) -> Vec<HeldBack> {
        let mut told = Vec::new();
        let is_over = |line: &Line| now.duration_since(line.since) >= WINDOW;
        let lines = &mut self.lock().lines;
        lines.retain(|_, line| line.held_back > 0 || !is_over(line));
        for line in lines.values_mut().filter(|line| is_over(line)) {
            told.push(HeldBack {
                line: std::mem::take(&mut line.text),
                times: std::mem::take(&mut line.held_back),
            });
            (line.since, line.written, line.at_most) = (now, 0, 1);
        }
        told
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Ration {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let mut text = Text(String::new());
        event.record(&mut text);
        let is_failure = *metadata.level() <= Level::WARN;
        // The file and line of the source.
        let alike = is_failure.then(|| metadata.name());
        self.admits(&text.0, alike, Instant::now())
    }
}

/// The fields of a line, the message among them.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _written = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(ration: &Ration, times: u32, text: &str, now: Instant) -> u32 {
        let admitted = (0..times).filter(|_| ration.admits(text, None, now));
        u32::try_from(admitted.count()).unwrap_or_default()
    }

    #[test]
    fn a_line_that_is_repeated_for_ever_is_written_some_times_and_then_counted() {
        let (ration, start) = (Ration::new(), Instant::now());
        assert_eq!(admitted(&ration, SAME + 40, "a", start), SAME);
        // Another line is another line.
        assert_eq!(admitted(&ration, 1, "b", start), 1);
        assert_eq!(ration.held_back(start), []);
        let later = start + WINDOW;
        let held_back = |times| {
            let line = "a".to_owned();
            [HeldBack { line, times }]
        };
        assert_eq!(ration.held_back(later), held_back(40));
        // From here on once a window, and the rest in the number.
        assert_eq!(admitted(&ration, 5, "a", later), 1);
        assert_eq!(ration.held_back(later + WINDOW), held_back(4));
        // It has stopped, and begins again.
        let much_later = later + 3 * WINDOW;
        assert_eq!(ration.held_back(much_later), []);
        assert_eq!(admitted(&ration, SAME + 1, "a", much_later), SAME);
    }

    #[test]
    fn failures_of_one_kind_are_limited_whatever_they_are_about() {
        let (ration, now) = (Ration::new(), Instant::now());
        let kind = Some("event daemon.rs:1");
        let lines = 0..2 * ALIKE;
        let admitted = lines.filter(|n| ration.admits(&format!("failure {n}"), kind, now));
        assert_eq!(admitted.count(), ALIKE as usize);
        let told = ration.held_back(now + WINDOW);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].times, u64::from(ALIKE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (ration, now) = (Ration::new(), Instant::now());
        for number in 0..3 * REMEMBERED {
            assert!(ration.admits(&number.to_string(), None, now));
        }
        assert!(ration.lock().lines.len() <= REMEMBERED);
    }
}
