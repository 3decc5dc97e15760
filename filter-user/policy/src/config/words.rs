//! How messages quote and list.

use std::path::Path;

/// A path, whatever a stranger has called it: on one line, and doing nothing to a terminal.
pub fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for c in path.to_string_lossy().chars() {
        match is_unprintable(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// As much of `text` as fits into a message, in backquotes.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == LONGEST {
            shown.push('…');
            break;
        }
        match is_unprintable(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    format!("`{shown}`")
}

/// Whether a character does something to the text around it, wherever that is
/// printed, rather than be seen: controls (what Unicode calls Cc), separators of
/// lines and paragraphs (Zl, Zp), what turns round the direction of writing (UAX
/// #9), and the byte order mark.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a text can be printed in a line, and leaves the text around it as it is.
pub fn is_line(text: &str) -> bool {
    !text.chars().any(is_unprintable)
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn list(items: &[String], conjunction: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

/// The one of `known` that `written` was probably meant to be.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let tolerance = (written.len() / 3).max(1);
    known
        .into_iter()
        .filter(|known| !written.is_empty() && known.len().abs_diff(written.len()) <= known.len())
        .map(|known| match known.starts_with(written) {
            true => (0, known),
            false => (strsim::osa_distance(written, known), known),
        })
        .filter(|&(distance, _)| distance <= tolerance)
        .min()
        .map(|(_, known)| known)
}
