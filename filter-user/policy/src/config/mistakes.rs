//! The mistakes found so far, and which parts of a damaged file to believe.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    report::{Diagnostic, Report, Severity},
    text::{Place, Text},
};

/// Collects mistakes while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    diagnostics: Vec<Diagnostic>,
    damage: BTreeMap<usize, Damage>,
    /// Files that were read in part or not at all.
    lost: Vec<Arc<Text>>,
    /// Whether there are files of which nothing is known.
    lost_unseen: bool,
    /// How many lines of each customer list there is something to say about.
    lines: BTreeMap<(usize, Severity), (Arc<Text>, usize)>,
}

/// So many lines of a customer list are shown with what is wrong with them, and
/// as many with warnings. The others are counted: what is wrong with thousands
/// of lines is mostly the same.
const SHOWN: usize = 20;

/// Where a file is not TOML. What the parser makes of such places is a guess,
/// and mistakes in a guess would only confuse.
#[derive(Debug)]
pub(super) struct Damage {
    /// Lines that cannot be read.
    pub(super) lines: BTreeSet<usize>,
    /// From here on the parser may have taken one thing for another.
    pub(super) from: usize,
}

impl Damage {
    fn spares(&self, place: &Place) -> bool {
        place.start() < self.from && !self.lines.contains(&place.line())
    }
}

impl Mistakes {
    /// Adds a mistake, or a warning, in what was read.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let believed = diagnostic.place().is_none_or(|place| {
            let damage = self.damage.get(&place.text().order());
            damage.is_none_or(|damage| damage.spares(place))
        });
        if believed {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Counts a line of a customer list about which there is something to say,
    /// and tells whether it is to be said.
    pub(super) fn admit(&mut self, text: &Arc<Text>, severity: Severity) -> bool {
        let lines = self.lines.entry((text.order(), severity));
        let (_, lines) = lines.or_insert_with(|| (Arc::clone(text), 0));
        *lines += 1;
        *lines <= SHOWN
    }

    /// Whether there is a mistake among what was added, or at least a warning.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.diagnostics.iter().map(Diagnostic::severity).min()
    }

    /// Adds a complaint about what is not in `text`, unless it may be in a part
    /// that cannot be read.
    pub(super) fn push_missing(&mut self, text: &Text, diagnostic: Diagnostic) {
        if !self.damage.contains_key(&text.order()) {
            self.push(diagnostic);
        }
    }

    /// Adds the reason why a file cannot be read; `text` is what there is of it.
    pub(super) fn push_unreadable(&mut self, text: Option<&Arc<Text>>, diagnostic: Diagnostic) {
        match text {
            Some(text) => self.lost.push(Arc::clone(text)),
            None => self.lost_unseen = true,
        }
        self.diagnostics.push(diagnostic);
    }

    /// Adds what keeps `text` from being TOML.
    pub(super) fn push_damage(
        &mut self,
        text: &Arc<Text>,
        damage: Damage,
        syntax: Vec<Diagnostic>,
    ) {
        self.lost.push(Arc::clone(text));
        self.diagnostics.extend(syntax);
        self.damage.insert(text.order(), damage);
    }

    /// Whether there may be more of what is written with `word` than was read.
    pub(super) fn may_lack(&self, word: &str) -> bool {
        self.lost_unseen || self.lost.iter().any(|text| text.content().contains(word))
    }

    pub(super) fn into_report(mut self) -> Report {
        for (&(_, severity), (text, lines)) in &self.lines {
            let Some(more) = lines.checked_sub(SHOWN).filter(|&more| more > 0) else {
                continue;
            };
            let message = match severity {
                Severity::Error => format!("as much is wrong with {more} more lines of this file"),
                Severity::Warning => format!("warnings about {more} more lines of this file"),
            };
            let diagnostic = Diagnostic::after_all_of(severity, text, message);
            let help = "they are shown once those above are mended";
            self.diagnostics.push(diagnostic.help(help));
        }
        Report::new(self.diagnostics)
    }
}
