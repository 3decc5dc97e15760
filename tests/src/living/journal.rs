//! The journal of a box, as it is written.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use super::debian::Debian;

/// How long a line may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that are about poolguard, from some moment on.
pub(super) struct Journal {
    reader: Child,
    lines: Receiver<String>,
}

impl Journal {
    pub(super) fn follow(debian: &Debian) -> Self {
        debian.says("journalctl --sync");
        let last = debian.says("journalctl --lines=1 --show-cursor --quiet");
        let (_, cursor) = last.rsplit_once("-- cursor: ").expect("a cursor");
        let mut command = debian.command(
            "journalctl --unit=poolguard --follow --no-tail --output=cat --quiet --after-cursor",
        );
        let mut reader = command.arg(cursor).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(reader.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    // Nobody wants to know any more.
                    break;
                }
            }
        });
        Self { reader, lines }
    }

    /// Reads on to a line with these words, and gives that back.
    pub(super) fn until(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut read = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {words:?} in the journal: {read:#?}");
            };
            if line.contains(words) {
                return line;
            }
            read.push(line);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _gone = self.reader.kill();
        let _gone = self.reader.wait();
    }
}
