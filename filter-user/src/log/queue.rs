//! Lines on their way out. Whoever says something never waits for whoever reads it.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// How much may wait to be written.
const LINES: usize = 16_384;
const BYTES: usize = 8 << 20;

/// How long the writer waits for a line before it looks whether there is something else
/// to say.
const IDLE: Duration = Duration::from_secs(60);

/// Lines that wait to be written by one thread. What there is no room for is lost, and
/// counted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A line is on its way out, and is not in `lines` any more.
    is_writing: bool,
    /// How many were lost since that was last said.
    unsaid: u64,
    /// Who writes. What it says itself always has room.
    writer: Option<ThreadId>,
    /// Nothing comes any more.
    is_closed: bool,
}

impl Queue {
    /// How many lines were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Adds a line, if there is room for it.
    pub(super) fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        let has_room = state.lines.len() < LINES && state.bytes + line.len() <= BYTES;
        if has_room || state.writer == Some(thread::current().id()) {
            self.push(&mut state, line);
        } else {
            self.lose(&mut state);
        }
    }

    /// Adds what is said before the end, for which there is always room.
    pub(super) fn add_last(&self, text: &[u8]) {
        self.push(&mut self.lock(), text);
    }

    /// Waits until all is written, but not for longer than `patience`. Says whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), patience, is_busy);
        let (_state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        !outcome.timed_out()
    }

    /// Lets the writer end once all is written.
    #[cfg(test)]
    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Writes line after line to `out`, for as long as there is a process. `say_lost` is
    /// told how many were lost as soon as a line has been written after them; `idle` is
    /// called about once a minute.
    pub(super) fn write_to(
        &self,
        out: &mut impl io::Write,
        mut say_lost: impl FnMut(u64),
        mut idle: impl FnMut(),
    ) {
        self.lock().writer = Some(thread::current().id());
        let mut is_torn = false;
        let mut last_idle = Instant::now();
        while let Some(line) = self.next(last_idle + IDLE) {
            if !line.is_empty() {
                let written = write_whole(out, &line, &mut is_torn);
                let unsaid = self.written(written.is_ok());
                if unsaid > 0 {
                    say_lost(unsaid);
                }
            }
            if last_idle.elapsed() >= IDLE {
                last_idle = Instant::now();
                idle();
            }
        }
    }

    /// The next line, or an empty one if none comes in time. Nothing at the end.
    fn next(&self, until: Instant) -> Option<Vec<u8>> {
        let patience = until.saturating_duration_since(Instant::now());
        let is_idle = |state: &mut State| state.lines.is_empty() && !state.is_closed;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), patience, is_idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(line) = state.lines.pop_front() else {
            return (!state.is_closed).then(Vec::new);
        };
        state.bytes -= line.len();
        state.is_writing = true;
        Some(line)
    }

    /// Takes note that a line was written, or lost. Says how many were lost before one
    /// that was written.
    fn written(&self, is_written: bool) -> u64 {
        let mut state = self.lock();
        state.is_writing = false;
        let unsaid = match is_written {
            true => std::mem::take(&mut state.unsaid),
            false => {
                self.lose(&mut state);
                0
            }
        };
        self.changed.notify_all();
        unsaid
    }

    fn push(&self, state: &mut State, line: &[u8]) {
        state.bytes += line.len();
        state.lines.push_back(line.to_owned());
        self.changed.notify_all();
    }

    fn lose(&self, state: &mut State) {
        state.unsaid += 1;
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line, on a line of its own also where half of one was written before it.
fn write_whole(out: &mut impl io::Write, line: &[u8], is_torn: &mut bool) -> io::Result<()> {
    if *is_torn {
        out.write_all(b"\n")?;
        *is_torn = false;
    }
    let mut left = line;
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                left = &left[length..];
                *is_torn = !left.is_empty();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader who takes a line only when told to, and then with that outcome.
    struct Reader {
        told: Receiver<io::Result<usize>>,
        at_it: Sender<()>,
        text: Vec<u8>,
    }

    impl io::Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _unheard = self.at_it.send(());
            let length = match self.told.recv() {
                Ok(told) => told?.min(bytes.len()),
                // Nobody tells it any more: it takes everything.
                Err(_) => bytes.len(),
            };
            self.text.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What came out of a queue that `play` fills, with a reader that it tells what to
    /// do and hears from.
    fn read(
        queue: &Queue,
        play: impl FnOnce(Sender<io::Result<usize>>, Receiver<()>),
    ) -> Vec<String> {
        let (tell, told) = channel();
        let (at_it, is_at_it) = channel();
        let text = Vec::new();
        let mut reader = Reader { told, at_it, text };
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let say_lost = |lines| queue.add(format!("{lines} lost\n").as_bytes());
                queue.write_to(&mut reader, say_lost, || {});
            });
            play(tell, is_at_it);
            queue.close();
            drop(writer.join());
        });
        let text = String::from_utf8_lossy(&reader.text).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_come_out_in_their_order_and_flush_waits_for_them() {
        let queue = Queue::default();
        let lines = read(&queue, |_, _| {
            for line in ["one\n", "two\n"] {
                queue.add(line.as_bytes());
            }
        });
        assert_eq!(lines, ["one", "two"]);
        assert!(queue.flush(Duration::ZERO));
        assert_eq!(queue.lost(), 0);
    }

    #[test]
    fn a_reader_that_reads_nothing_delays_nobody_and_what_is_lost_is_said() {
        let queue = Queue::default();
        let lines = read(&queue, |tell, is_at_it| {
            queue.add(b"first\n");
            is_at_it.recv().unwrap_or_default();
            for _ in 0..LINES + 5 {
                queue.add(b"more\n");
            }
            assert!(!queue.flush(Duration::from_millis(1)));
            assert_eq!(queue.lost(), 5);
            queue.add_last(b"last\n");
            drop(tell);
        });
        assert_eq!(lines.len(), 1 + LINES + 2);
        assert_eq!(lines[LINES + 1..], ["last", "5 lost"]);
    }

    #[test]
    fn a_line_that_is_too_long_for_the_queue_is_lost() {
        let queue = Queue::default();
        queue.add(&vec![b'x'; BYTES + 1]);
        assert_eq!(queue.lost(), 1);
        queue.add(b"short\n");
        let lines = read(&queue, |_, _| {});
        assert_eq!(lines, ["short", "1 lost"]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_half_a_line_ends() {
        let queue = Queue::default();
        let lines = read(&queue, |tell, _| {
            for line in ["abcdef\n", "lost\n", "whole\n"] {
                queue.add(line.as_bytes());
            }
            let full = || Err(io::ErrorKind::StorageFull.into());
            for outcome in [Ok(3), full(), full()] {
                let _heard = tell.send(outcome);
            }
            drop(tell);
        });
        assert_eq!(lines, ["abc", "whole", "2 lost"]);
        assert_eq!(queue.lost(), 2);
    }
}
