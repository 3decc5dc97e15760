//! The text of a configuration file, and places in it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One file, as it was read.
#[derive(Debug)]
pub(super) struct Text {
    path: PathBuf,
    content: String,
    /// Where each line starts.
    lines: Vec<usize>,
    /// How many files were read before this one.
    order: usize,
}

/// What an editor may put before the first line. It is no part of it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl Text {
    pub(super) fn new(path: &Path, content: String, order: usize) -> Self {
        let first = match content.starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        let next = content.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(first).chain(next).collect();
        Self {
            path: path.to_owned(),
            content,
            lines,
            order,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn content(&self) -> &str {
        &self.content
    }

    pub(super) fn order(&self) -> usize {
        self.order
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    /// A line, by its number from 1, without what ends it.
    pub(super) fn line(&self, number: usize) -> &str {
        &self.content[self.line_span(number)]
    }

    /// The number of the line, from 1, that holds the byte at `offset`.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset).max(1)
    }

    /// The parts of a line before and after the byte at `offset`.
    pub(super) fn split_line_at(&self, offset: usize) -> (&str, &str) {
        let offset = self.content.floor_char_boundary(offset);
        let line = self.line_span(self.line_at(offset));
        let offset = offset.clamp(line.start, line.end);
        (
            &self.content[line.start..offset],
            &self.content[offset..line.end],
        )
    }

    /// The bytes of a line, without what ends it.
    fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.lines[line - 1];
        let end = self.lines.get(line).copied();
        let line = &self.content[start..end.unwrap_or(self.content.len())];
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }
}

/// A stretch of text in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    text: Arc<Text>,
    span: Range<usize>,
}

impl Place {
    /// The part of `span` that is in its first line: what a caret can point at.
    pub(super) fn new(text: &Arc<Text>, span: Range<usize>) -> Self {
        let content = text.content();
        let mut start = content.floor_char_boundary(span.start);
        let end = content.ceil_char_boundary(span.end);
        if start == end {
            // What is missing at the end of the file is missing in its last line.
            start = start.min(content.trim_end().len());
        }
        let line = text.line_span(text.line_at(start));
        let start = start.clamp(line.start, line.end);
        Self {
            text: Arc::clone(text),
            span: start..end.clamp(start, line.end),
        }
    }

    /// A whole line, without the blanks around it.
    pub(super) fn of_line(text: &Arc<Text>, number: usize) -> Self {
        let line = text.line(number);
        let first = line.len() - line.trim_start().len();
        Self::within_line(text, number, first..line.trim_end().len().max(first))
    }

    /// A part of a line.
    pub(super) fn within_line(text: &Arc<Text>, number: usize, span: Range<usize>) -> Self {
        let start = text.line_span(number).start;
        Self {
            text: Arc::clone(text),
            span: start + span.start..start + span.end,
        }
    }

    pub(super) fn text(&self) -> &Arc<Text> {
        &self.text
    }

    pub(super) fn start(&self) -> usize {
        self.span.start
    }

    /// What is written there.
    pub(super) fn excerpt(&self) -> &str {
        &self.text.content[self.span.clone()]
    }

    /// From 1.
    pub(super) fn line(&self) -> usize {
        self.text.line_at(self.span.start)
    }

    /// In characters, from 1.
    pub(super) fn column(&self) -> usize {
        let line = self.text.line_span(self.line());
        let before = &self.text.content[line.start..self.span.start];
        before.chars().count() + 1
    }

    /// The whole line, and the place within it.
    pub(super) fn line_and_span(&self) -> (&str, Range<usize>) {
        let line = self.text.line_span(self.line());
        let span = self.span.start - line.start..self.span.end - line.start;
        (&self.text.content[line], span)
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// Whether something else is written there, of which this is a guess.
    pub(super) guessed: bool,
}
