//! Text to TOML, and what keeps it from being TOML.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use toml::de::{DeTable, Error};

use super::{
    mistakes::{Damage, Mistakes},
    report::Diagnostic,
    text::{Place, Text},
    words::quoted,
};

/// Parses as much of `text` as can be parsed.
pub(super) fn parse<'i>(text: &'i Arc<Text>, mistakes: &mut Mistakes) -> DeTable<'i> {
    let (table, mut errors) = DeTable::parse_recoverable(text.content());
    if !errors.is_empty() {
        errors.sort_by_key(start);
        let swallowed = first_swallowed(text, &errors);
        // All that follows an open bracket is read as its content. One mistake
        // is enough to say so.
        errors.truncate(swallowed.map_or(errors.len(), |index| index + 1));
        let damage = damage(text, &errors, swallowed);
        let mut syntax: Vec<_> = errors.iter().map(|error| diagnose(text, error)).collect();
        if let Some(last) = errors.last().filter(|_| swallowed.is_some()) {
            syntax.pop();
            syntax.push(diagnose_swallowed(text, last));
        }
        mistakes.push_damage(text, damage, syntax);
    }
    table.into_inner()
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// The first mistake that is one only because a list before it has no end.
fn first_swallowed(text: &Text, errors: &[Error]) -> Option<usize> {
    let is_open = |error: &Error| {
        let message = error.message();
        message.starts_with("unclosed array,") || message.starts_with("unclosed inline table")
    };
    let is_swallowed = |error: &Error| {
        let (before, after) = text.split_line_at(start(error));
        let line = format!("{before}{after}");
        let key = line.split('=').next().unwrap_or_default().trim();
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_';
        line.trim_start().starts_with('[')
            || (before.trim().is_empty() && line.contains('=') && key.chars().all(is_key))
    };
    match errors.iter().any(is_open) {
        true => errors.iter().position(is_swallowed),
        false => None,
    }
}

/// Mistakes that the parser is known to recover from within their line.
/// Whatever else it reports, its idea of the rest of the file is not trusted.
const LOCAL: [&str; 15] = [
    "`_` may only",
    "duplicate key",
    "extra comma in array",
    "integers with a radix",
    "invalid basic string",
    "invalid boolean",
    "invalid date",
    "invalid float",
    "invalid literal string",
    "invalid time",
    "missing comma between array elements",
    "missing escaped value",
    "string values must be quoted",
    "unexpected key or value",
    "unexpected leading zero",
];

fn damage(text: &Text, errors: &[Error], swallowed: Option<usize>) -> Damage {
    let is_local = |error: &Error| LOCAL.iter().any(|local| error.message().starts_with(local));
    let lost = errors
        .iter()
        .enumerate()
        .find(|&(index, error)| swallowed == Some(index) || !is_local(error));
    Damage {
        lines: errors
            .iter()
            .map(|error| text.line_at(start(error)))
            .collect::<BTreeSet<_>>(),
        from: lost.map_or(usize::MAX, |(_, error)| start(error)),
    }
}

fn diagnose_swallowed(text: &Arc<Text>, error: &Error) -> Diagnostic {
    let start = start(error);
    let (before, after) = text.split_line_at(start);
    let indent = before.len() - before.trim_start().len();
    let line = start - before.len() + indent..start + after.trim_end().len();
    Diagnostic::error(
        &Place::new(text, line),
        "a list before this line has no end",
    )
    .help("close it with `]`; what follows cannot be checked until then")
}

fn diagnose(text: &Arc<Text>, error: &Error) -> Diagnostic {
    let span = error.span().unwrap_or_default();
    let word = word_around(text.content(), span.start);
    let unquoted = &text.content()[word.clone()];
    if unquoted.parse::<IpNet>().is_ok() || unquoted.parse::<IpAddr>().is_ok() {
        return Diagnostic::error(&Place::new(text, word), "an address without quotes")
            .help(format!("write \"{unquoted}\""));
    }
    let message = error.message();
    let diagnostic = Diagnostic::error(&Place::new(text, span.clone()), message);
    let offending = text.content().get(span).unwrap_or_default();
    match message {
        "duplicate key" => diagnostic.help(format!("give {} once", quoted(offending))),
        message if message.starts_with("string values must be quoted") => match offending {
            "" => diagnostic.help("write a value after the `=`"),
            _ => diagnostic.help(format!("write \"{}\"", offending.escape_debug())),
        },
        message if message.starts_with("unclosed array table") => diagnostic.help("write `]]`"),
        message if message.starts_with("unclosed array") => diagnostic.help("write `]`"),
        message if message.starts_with("unclosed table") => diagnostic.help("write `]`"),
        _ => diagnostic,
    }
}

/// The stretch without blanks, brackets and commas that holds `offset`.
fn word_around(content: &str, offset: usize) -> std::ops::Range<usize> {
    let offset = content.floor_char_boundary(offset);
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '=' | '"' | '\'');
    let start = content[..offset].rfind(ends).map_or(0, |at| {
        at + content[at..].chars().next().map_or(0, char::len_utf8)
    });
    let end = content[offset..].find(ends);
    start..end.map_or(content.len(), |length| offset + length)
}
