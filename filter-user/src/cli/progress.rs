//! What a command is at, for whoever waits for it at a terminal.

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use super::print_error;

/// Who waits for less is not told.
const SECOND: Duration = Duration::from_secs(1);

/// Does something. Where standard error is a terminal, it is said there what,
/// and for how long already, from the first second on.
pub(super) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    thread::scope(move |scope| {
        let (_at_work, ended) = channel();
        scope.spawn(move || show(what, &ended));
        work()
    })
}

/// Until the other end is dropped.
fn show(what: &str, ended: &Receiver<()>) {
    const TO_AN_EMPTY_LINE: &str = "\r\x1b[K";
    let start = Instant::now();
    let mut is_shown = false;
    while ended.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout) {
        let seconds = start.elapsed().as_secs();
        print_error(&format!("{TO_AN_EMPTY_LINE}{what}: {seconds} s"));
        is_shown = true;
    }
    if is_shown {
        print_error(TO_AN_EMPTY_LINE);
    }
}
