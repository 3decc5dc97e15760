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
        report(text, errors, mistakes);
    }
    table.into_inner()
}

fn report(text: &Arc<Text>, mut errors: Vec<Error>, mistakes: &mut Mistakes) {
    let swallowed = first_swallowed(text, &errors).map(|index| {
        // All that follows an open bracket is read as its content. One mistake
        // is enough to say so.
        errors.truncate(index + 1);
        errors.remove(index)
    });
    let lost = errors.iter().find(|error| !is_local(error));
    let from = lost.or(swallowed.as_ref()).map_or(usize::MAX, start);
    let lines = errors.iter().map(|error| text.line_at(start(error)));
    let damage = Damage {
        lines: lines.collect::<BTreeSet<_>>(),
        from,
    };
    errors.retain(|error| start(error) <= from || error.message() != DUPLICATE);
    let mut syntax: Vec<_> = errors.iter().map(|error| diagnose(text, error)).collect();
    syntax.extend(swallowed.map(|error| diagnose_swallowed(text, &error)));
    // One word can be wrong in several ways.
    syntax.dedup_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    mistakes.push_damage(text, damage, syntax);
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

const DUPLICATE: &str = "duplicate key";

/// Mistakes that the parser is known to recover from within their line.
/// Whatever else it reports, its idea of the rest of the file is not trusted.
const LOCAL: [&str; 15] = [
    "`_` may only",
    DUPLICATE,
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

fn is_local(error: &Error) -> bool {
    LOCAL.iter().any(|local| error.message().starts_with(local))
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
    let content = text.content();
    let span = error.span().unwrap_or_default();
    let word = word_around(content, span.start);
    let unquoted = &content[word.clone()];
    if unquoted.parse::<IpNet>().is_ok() || unquoted.parse::<IpAddr>().is_ok() {
        let around = [
            content[..word.start].chars().next_back(),
            content[word.end..].chars().next(),
        ];
        let message = match around.iter().flatten().any(|&c| c == '"' || c == '\'') {
            true => "a quote is missing here or before",
            false => "an address without quotes",
        };
        return Diagnostic::error(&Place::new(text, word), message)
            .help(format!("write \"{unquoted}\""));
    }
    let offending = content.get(span.clone()).unwrap_or_default();
    let message = error.message().trim_end_matches(", expected nothing");
    Diagnostic::error(&Place::new(text, span), message).help(help(error.message(), offending))
}

/// What to write instead, by how the parser's message starts.
const HELP: [(&str, &str); 13] = [
    ("carriage return", "end each line with a newline"),
    ("extra comma", "remove the comma"),
    (
        "invalid basic string, expected `\"`",
        "end the text with a double quote",
    ),
    ("invalid boolean", "write true or false, in lower case"),
    ("invalid comment character", "remove the control character"),
    (
        "invalid date",
        "write a date that exists, such as 2027-01-31",
    ),
    (
        "invalid time",
        "write a time that exists, such as 2027-01-31T18:00:00Z",
    ),
    ("key with no value", "write `key = value`"),
    ("missing comma", "write a comma between the elements"),
    ("unclosed array table", "write `]]` after the name"),
    ("unclosed table", "write `]` after the name"),
    ("unexpected leading zero", "write the number without it"),
    ("unexpected key or value", "begin a new line here"),
];

fn help(message: &str, offending: &str) -> String {
    if message == DUPLICATE {
        return format!("give {} once", quoted(offending));
    }
    if message.starts_with("string values must be quoted") {
        return match offending.to_ascii_lowercase().as_str() {
            "" => "write a value after the `=`".to_owned(),
            "yes" | "on" => "write true".to_owned(),
            "no" | "off" => "write false".to_owned(),
            _ => format!("write \"{}\"", offending.escape_debug()),
        };
    }
    let known = HELP.iter().find(|(start, _)| message.starts_with(start));
    known
        .map_or(
            "see https://toml.io for what can be written here",
            |(_, help)| help,
        )
        .to_owned()
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
