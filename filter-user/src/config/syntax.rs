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
        let damage = damage(text, &errors);
        if is_unclosed(&errors) {
            // All that follows an open bracket is read as its content.
            errors.truncate(1);
        }
        let syntax = errors.iter().map(|error| diagnose(text, error)).collect();
        mistakes.push_damage(text, damage, syntax);
    }
    table.into_inner()
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

fn is_unclosed(errors: &[Error]) -> bool {
    errors
        .iter()
        .any(|error| error.message().starts_with("unclosed"))
}

/// Mistakes that the parser is known to recover from within their line.
/// Whatever else it reports, its idea of the rest of the file is not trusted.
const LOCAL: [&str; 8] = [
    "duplicate key",
    "extra comma",
    "invalid basic string",
    "invalid boolean",
    "invalid date",
    "invalid float",
    "missing comma",
    "string values must be quoted",
];

fn damage(text: &Text, errors: &[Error]) -> Damage {
    let is_local = |error: &Error| LOCAL.iter().any(|local| error.message().starts_with(local));
    let lost = is_unclosed(errors) || !errors.iter().all(is_local);
    Damage {
        lines: errors
            .iter()
            .map(|error| text.line_at(start(error)))
            .collect::<BTreeSet<_>>(),
        from: match lost {
            true => errors.first().map_or(0, start),
            false => usize::MAX,
        },
    }
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
        message if message.starts_with("unclosed") => {
            diagnostic.help("what follows cannot be checked before this is mended")
        }
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
