//! One line of CSV to its fields.
//!
//! RFC 4180, a record a line, and no other way to write one: readers of CSV
//! differ about everything else, and what they make of it is not what somebody
//! meant. The csv-core crate, for one, takes a CR for the end of a record, and a
//! double quote in the middle of a field for text; and it does not tell where a
//! field was, which messages have to point at.

use std::{borrow::Cow, ops::Range};

use thiserror::Error;

use super::spreadsheet;
use crate::config::{reader::Wrong, words::is_unprintable};

/// What begins a line that says nothing.
pub(super) const COMMENT: char = '#';

/// The fields of one line.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    fields: Vec<Field<'a>>,
}

/// A field without the blanks around it.
#[derive(Debug)]
pub(super) struct Field<'a> {
    /// What it says, without quotes around it.
    pub(super) written: Cow<'a, str>,
    /// Where it is in its line, quotes and all.
    pub(super) span: Range<usize>,
}

/// A line that has no fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) cause: Cause,
    /// Where in the line.
    pub(super) span: Range<usize>,
}

/// Why a line has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Cause {
    #[error("a carriage return (CR) within a line")]
    CarriageReturn,
    #[error("a NUL byte")]
    Nul,
    #[error("a byte order mark that does not begin the file")]
    ByteOrderMark,
    #[error("a control character, U+{:04X}", u32::from(*.0))]
    Unprintable(char),
    #[error("a double quote without the one that ends it")]
    Unclosed,
    #[error("a double quote in a field that does not begin with one")]
    WithinField,
    #[error("a blank between a comma and the double quote that begins a field")]
    BlankBefore,
    #[error("text between the double quote that ends a field and the next comma")]
    TextBehind,
    #[error("an error value of a spreadsheet, where a comment or a row should begin")]
    ErrorValue,
}

impl Broken {
    /// What is wrong with the line, one of whose fields is known by `is_field`.
    pub(super) fn explain(&self, line: &str, is_field: impl Fn(&str) -> bool) -> Wrong<()> {
        let otherwise = match self.cause {
            // Another separator, perhaps.
            Cause::TextBehind => spreadsheet::separated_otherwise(line, is_field),
            _ => None,
        };
        otherwise.unwrap_or_else(|| Wrong::new(self.cause.to_string(), self.cause.help()))
    }
}

impl Cause {
    fn help(self) -> &'static str {
        match self {
            Self::CarriageReturn => {
                "end each line with LF, or with CR and LF, and with nothing else"
            }
            Self::Nul => "save the file as UTF-8: one in UTF-16 has a NUL for every letter",
            Self::ByteOrderMark => {
                "remove it: it is left over where one file was put behind another"
            }
            Self::Unprintable(_) => "remove it: nobody can see it",
            Self::Unclosed => {
                "a field ends on its line; a double quote within quotes is written twice"
            }
            Self::WithinField => {
                "write the whole field in double quotes, and those within it twice: \"Joe \"\"J\"\" Inc\""
            }
            Self::BlankBefore => "remove the blank",
            Self::TextBehind => "a double quote within quotes is written twice",
            Self::ErrorValue => {
                "correct the formula and export the list again; a comment begins with `# `"
            }
        }
    }
}

impl<'a> Fields<'a> {
    /// Splits a line, given without what ends it. A comment has no fields.
    pub(super) fn split(&mut self, line: &'a str) -> Result<(), Broken> {
        self.fields.clear();
        check_characters(line)?;
        if let Some(comment) = line.trim_start().strip_prefix(COMMENT) {
            return check_comment(line, comment);
        }
        let mut start = 0;
        loop {
            let (field, end) = match line.as_bytes().get(start) {
                Some(b'"') => quoted(line, start)?,
                _ => plain(line, start)?,
            };
            self.fields.push(field);
            if end == line.len() {
                return Ok(());
            }
            start = end + 1;
        }
    }

    /// Whether they say nothing: the line is blank, or a comment, or a row that a
    /// spreadsheet did not leave out.
    pub(super) fn are_empty(&self) -> bool {
        self.iter().all(|field| field.written.is_empty())
    }

    /// How many there are, without empty ones at the end: spreadsheets fill rows up.
    pub(super) fn used(&self) -> usize {
        let last = self
            .fields
            .iter()
            .rposition(|field| !field.written.is_empty());
        last.map_or(0, |last| last + 1)
    }

    pub(super) fn count(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter()
    }

    pub(super) fn written(&self, number: usize) -> &str {
        &self.fields[number].written
    }
}

/// Whatever is in a list may be printed later. Nearly all lines are plain ASCII.
fn check_characters(line: &str) -> Result<(), Broken> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    if line.bytes().all(is_plain) {
        return Ok(());
    }
    let mut characters = line.char_indices();
    match characters.find(|&(_, c)| c != '\t' && is_unprintable(c)) {
        None => Ok(()),
        Some((at, c)) => Err(Broken {
            cause: match c {
                '\r' => Cause::CarriageReturn,
                '\0' => Cause::Nul,
                '\u{feff}' => Cause::ByteOrderMark,
                c => Cause::Unprintable(c),
            },
            span: at..at + c.len_utf8(),
        }),
    }
}

/// `#REF!` in a row's first cell must not turn the row into a comment.
fn check_comment(line: &str, comment: &str) -> Result<(), Broken> {
    let start = line.len() - comment.len() - COMMENT.len_utf8();
    let end = line[start..]
        .find(',')
        .map_or(line.len(), |comma| start + comma);
    let cell = line[start..end].trim_end();
    match is_error_value(cell) {
        false => Ok(()),
        true => Err(Broken {
            cause: Cause::ErrorValue,
            span: start..start + cell.len(),
        }),
    }
}

/// Whether a spreadsheet writes this where a formula has failed: `#REF!`, `#NAME?`,
/// `#N/A`, in the words of any language.
pub(super) fn is_error_value(cell: &str) -> bool {
    let Some(word) = cell.strip_prefix(COMMENT) else {
        return false;
    };
    let is_letter = |c: char| c.is_uppercase();
    match word.strip_suffix(['!', '?']) {
        Some(word) => {
            let is_upper = |c: char| is_letter(c) || c.is_ascii_digit() || "/_¡¿".contains(c);
            word.contains(is_letter) && word.chars().all(is_upper)
        }
        // Not available: N/A, N/D, N/B, Н/Д, and NV.
        None => match word.split_once('/') {
            Some(halves) => [halves.0, halves.1].iter().all(|half| {
                let mut letters = half.chars();
                letters.next().is_some_and(is_letter) && letters.next().is_none()
            }),
            None => word == "NV",
        },
    }
}

/// A field without quotes from `start` on, and where it ends.
fn plain(line: &str, start: usize) -> Result<(Field<'_>, usize), Broken> {
    let rest = &line[start..];
    let mut bytes = rest.bytes();
    let end = bytes.position(|byte| matches!(byte, b',' | b'"'));
    let end = end.map_or(line.len(), |end| start + end);
    let field = &line[start..end];
    let written = field.trim();
    if line.as_bytes().get(end) == Some(&b'"') {
        return Err(Broken {
            cause: match written {
                "" => Cause::BlankBefore,
                _ => Cause::WithinField,
            },
            span: end..end + 1,
        });
    }
    let first = start + field.len() - field.trim_start().len();
    let field = Field {
        written: Cow::Borrowed(written),
        // A field of blanks is where it begins.
        span: match written {
            "" => start..start,
            _ => first..first + written.len(),
        },
    };
    Ok((field, end))
}

/// A field in quotes, of which the first is at `start`, and where it ends.
fn quoted(line: &str, start: usize) -> Result<(Field<'_>, usize), Broken> {
    let mut close = start;
    let mut has_quotes = false;
    loop {
        let Some(length) = line[close + 1..].find('"') else {
            return Err(Broken {
                cause: Cause::Unclosed,
                span: start..start + 1,
            });
        };
        close += 1 + length;
        if line.as_bytes().get(close + 1) != Some(&b'"') {
            break;
        }
        has_quotes = true;
        close += 1;
    }
    let behind = &line[close + 1..];
    let end = behind.find(',').unwrap_or(behind.len());
    let text = behind[..end].trim();
    if !text.is_empty() {
        let at = line.len() - behind.trim_start().len();
        return Err(Broken {
            cause: Cause::TextBehind,
            span: at..at + text.len(),
        });
    }
    let written = line[start + 1..close].trim();
    let field = Field {
        written: match has_quotes {
            true => Cow::Owned(written.replace("\"\"", "\"")),
            false => Cow::Borrowed(written),
        },
        span: start..close + 1,
    };
    Ok((field, close + 1 + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_values() {
        let values = [
            "#N/A",
            "#REF!",
            "#NAME?",
            "#VALUE!",
            "#DIV/0!",
            "#NUM!",
            "#NULL!",
            "#SPILL!",
            "#BUSY!",
            "#GETTING_DATA!",
            "#NV",
            "#BEZUG!",
            "#WERT!",
            "#¡REF!",
            "#¿NOMBRE?",
            "#Н/Д",
            "#ССЫЛКА!",
            "#N/D",
            "#N/B",
        ];
        for value in values {
            assert!(is_error_value(value), "{value}");
        }
        let comments = [
            "#",
            "##",
            "# N/A",
            "#acme",
            "#acme!",
            "#!",
            "#/",
            "#203.0.113.1",
            "#NOC",
            "N/A",
            "#1/2",
            "#N/A yet",
            "#A/B/C",
            "########",
        ];
        for comment in comments {
            assert!(!is_error_value(comment), "{comment}");
        }
    }
}
