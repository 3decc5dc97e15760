//! Files that a pattern leaves out, and that somebody may have meant it to name.
//!
//! Nobody is told of a customer whose file is not read, so what looks like a mistake is
//! a warning: a name in another case, with another ending, or that is not UTF-8.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use super::{
    files::{Files, file_name_is_hidden},
    report::Diagnostic,
    text::Place,
    words::quoted,
};

/// So many files of a pattern are named. The others are counted.
const SHOWN: usize = 10;

/// Why a pattern leaves a file out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    NotUtf8,
    Case,
    Ending,
}

/// Warnings about a pattern: that its directory is not there, and what it nearly matches
/// among the files that are not read.
pub(super) fn warnings(
    files: &dyn Files,
    pattern: &Pattern,
    written: &str,
    place: &Place,
    has_matched: bool,
    is_read: impl Fn(&Path) -> bool,
) -> Vec<Diagnostic> {
    let beside = files.beside(pattern);
    let mut warnings = Vec::new();
    // A directory without files in it is a box's before its first customer: the package
    // comes with one. Files that are gone since are a change, and said by that.
    if !has_matched && beside.is_none() {
        let message = format!(
            "{} matches nothing: there is no such directory",
            quoted(written)
        );
        let help = "make the directory, or correct the pattern: it is relative to this file";
        warnings.push(Diagnostic::warning(place, message).help(help));
    }
    let mut missed: Vec<_> = beside
        .into_iter()
        .flatten()
        .filter(|path| !file_name_is_hidden(path) && !is_read(path))
        .filter_map(|path| Some((miss(pattern, &path)?, path)))
        .collect();
    missed.sort_by(|(_, a), (_, b)| a.cmp(b));
    let more = missed.len().saturating_sub(SHOWN);
    warnings.extend(missed.iter().take(SHOWN).map(|(miss, path)| {
        let name = quoted(&path.to_string_lossy());
        let message = match miss {
            Miss::NotUtf8 => format!("{name} is not read: its name is not UTF-8"),
            Miss::Case => format!("{name} is not read: the pattern is in another case"),
            Miss::Ending => format!("{name} is not read: its ending is not the pattern's"),
        };
        let help = "rename it if it is meant, or move it to another directory";
        Diagnostic::warning(place, message).help(help)
    }));
    if more > 0 {
        let message = format!("{more} more files that {} nearly matches", quoted(written));
        let help = "they are shown once those above are renamed or moved";
        warnings.push(Diagnostic::warning(place, message).help(help));
    }
    warnings
}

/// In which way a pattern nearly matches a file in one of its directories.
fn miss(pattern: &Pattern, path: &Path) -> Option<Miss> {
    let wanted = Path::new(pattern.as_str()).file_name()?.to_str()?;
    let name = path.file_name()?;
    let shown = name.to_string_lossy();
    let is_like = |wanted: &str| {
        let in_any_case = MatchOptions {
            case_sensitive: false,
            ..MatchOptions::new()
        };
        Pattern::new(wanted).is_ok_and(|pattern| pattern.matches_with(&shown, in_any_case))
    };
    let stem = wanted.rsplit_once('.').map(|(stem, _)| stem);
    let has_other_ending =
        stem.is_some_and(|stem| is_like(&format!("{stem}.*")) || is_like(&format!("{stem}~")));
    match (name.to_str(), is_like(wanted)) {
        (None, is_like) if is_like || has_other_ending => Some(Miss::NotUtf8),
        (Some(_), true) => Some(Miss::Case),
        (Some(_), false) if has_other_ending => Some(Miss::Ending),
        _ => None,
    }
}
