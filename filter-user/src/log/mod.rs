//! The log of the controller. The log decides nothing: whoever says something hands a
//! line over and goes on, and one thread writes to standard error. A reader that is slow
//! or dead, or a disk that is full, loses lines, which are counted.

mod queue;
mod ration;
mod standard_error;

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use queue::Queue;
use ration::{HeldBack, Ration};
use standard_error::StandardError;
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How long the end of the process waits for a reader of the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The lines of this process, once it has a log.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// From here on what is said goes to standard error by a thread of its own, in JSON or
/// for people. `POOLGUARD_LOG` takes the directives of tracing's `EnvFilter`.
///
/// # Errors
///
/// When there can be no thread.
pub fn begin(json: bool) -> io::Result<()> {
    let queue = QUEUE.get_or_init(Queue::default);
    let ration = Ration::new();
    let held_back = ration.clone();
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            let idle = || held_back.held_back(Instant::now()).iter().for_each(tell);
            queue.write_to(&mut StandardError, tell_lost, idle);
        })?;
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var("POOLGUARD_LOG")
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(|| Handover(queue))
        .with_ansi(io::stderr().is_terminal());
    if json {
        install(log.json().finish(), ration);
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        // The journal has its own clock.
        install(log.without_time().finish(), ration);
    } else {
        install(log.finish(), ration);
    }
    Ok(())
}

fn install(log: impl Subscriber + Send + Sync, ration: Ration) {
    log.with(ration).init();
}

/// How many lines were lost since the process began.
pub fn lines_lost() -> u64 {
    QUEUE.get().map_or(0, Queue::lost)
}

/// Prints to standard error, in its turn where there is a log.
pub fn print(text: &str) {
    match QUEUE.get() {
        Some(queue) => queue.add_last(text.as_bytes()),
        None => {
            let _unheard = io::Write::write_all(&mut StandardError, text.as_bytes());
        }
    }
}

/// Gives the last lines a moment to be read. The end of the process waits no longer.
pub fn end() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}

fn tell_lost(lines: u64) {
    tracing::warn!(
        lines,
        "{lines} lines lost: nobody read the log, or it could not be written. The filter did not \
         wait for it"
    );
}

fn tell(HeldBack { line, times }: &HeldBack) {
    tracing::warn!(
        times,
        line,
        "a line was repeated, and not written each time"
    );
}

/// Takes one line after the other, each in one piece.
struct Handover(&'static Queue);

impl io::Write for Handover {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
