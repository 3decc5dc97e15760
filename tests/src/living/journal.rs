//! The journal of a box, as it is written.

use super::debian::Debian;

/// The lines that are about poolguard, from some moment on.
pub(super) struct Journal<'a> {
    debian: &'a Debian,
    query: String,
    /// How many lines have been read.
    read: usize,
}

impl<'a> Journal<'a> {
    pub(super) fn from_now_on(debian: &'a Debian) -> Self {
        debian.says("journalctl --sync");
        let last = debian.says("journalctl --lines=1 --show-cursor --quiet");
        let (_, cursor) = last.rsplit_once("-- cursor: ").expect("a cursor");
        Self {
            debian,
            query: format!(
                "journalctl --unit=poolguard --output=cat --quiet --after-cursor={cursor}"
            ),
            read: 0,
        }
    }

    /// Reads on to a line with these words.
    pub(super) fn until(&mut self, words: &str) {
        let mut read = self.read;
        self.debian.until(words, || {
            let lines = self.debian.says(&self.query);
            let mut lines = lines.lines().enumerate().skip(self.read);
            let found = lines.find(|(_, line)| line.contains(words));
            found.inspect(|(number, _)| read = number + 1).is_some()
        });
        self.read = read;
    }
}
