//! Customer lists: any bytes.
//!
//! Every line is a row, or a mistake with its number, or it says nothing. Without
//! the lines that are mistakes the list is accepted, and has a row for every other
//! line: what is wrong with one takes nothing else away.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use policy::config::{self, Config, Loaded, Memory, Report, Severity};

use super::configuration::print;
use crate::generate::setup::NOW;

/// Many addresses lie in the pool.
const MAIN: &str = r#"
customer_lists = ["list.csv"]
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "all"
kind = "static"
prefixes = ["10.0.0.0/8", "192.0.0.0/4", "2001::/16"]
"#;

/// Fails where a line is lost.
pub fn run(data: &[u8]) {
    match str::from_utf8(data) {
        Ok(text) => {
            account_for(text);
        }
        Err(_) => print(&load(data).expect_err("what is no text is accepted")),
    }
}

/// What is left of a list without the lines that are mistakes.
#[derive(Debug)]
pub struct Rest {
    /// The same lines, with the others empty.
    pub text: String,
    /// What that comes to.
    pub config: Config,
}

/// Looks for a line that is lost, and fails where there is one. `None` where the
/// header, or a line before it, is a mistake: of such a list nothing is read.
pub fn account_for(text: &str) -> Option<Rest> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let header = lines
        .iter()
        .position(|line| is_read(line) && !is_for_spreadsheets(line));
    loop {
        let text = lines.join("\n");
        let report = match load(text.as_bytes()) {
            Ok(loaded) => {
                print(&loaded.warnings);
                check_rows(&lines, header, &loaded);
                let config = Arc::unwrap_or_clone(loaded.config);
                return Some(Rest { text, config });
            }
            Err(report) => report,
        };
        print(&report);
        let wrong = wrong_lines(&report);
        assert!(!wrong.is_empty(), "no line is named: {report}");
        if wrong
            .iter()
            .any(|line| header.is_none_or(|header| *line <= header + 1))
        {
            return None;
        }
        // Only so many of them are named at once.
        for line in wrong {
            assert_ne!(lines[line - 1], "", "line {line} says nothing: {report}");
            lines[line - 1] = "";
        }
    }
}

fn load(list: &[u8]) -> Result<Loaded, Report> {
    let files = Memory::default()
        .with("main.toml", MAIN)
        .with("list.csv", list);
    config::load_from(&files, Path::new("main.toml"), NOW.parse().unwrap())
}

/// The lines that have mistakes in them, from 1.
fn wrong_lines(report: &Report) -> BTreeSet<usize> {
    let errors = report.diagnostics().iter();
    let errors = errors.filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.filter_map(|error| error.line).collect()
}

/// Each line of an accepted list that is to be read, behind the header, is a row.
fn check_rows(lines: &[&str], header: Option<usize>, loaded: &Loaded) {
    let first = header.map_or(lines.len(), |header| header + 1);
    let lines = (1..)
        .zip(lines)
        .skip(first)
        .filter(|(_, line)| is_read(line));
    let expected: Vec<usize> = lines.map(|(number, _)| number).collect();
    let mut rows: Vec<usize> = loaded
        .config
        .listed
        .iter()
        .map(|(_, row)| row.line)
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, expected);
    assert!(
        !rows.is_empty() || loaded.warnings.warnings() > 0,
        "empty without a warning"
    );
}

/// Whether a line, of which nothing is wrong, is more than blanks, a comment, or
/// the commas of empty fields.
pub fn is_read(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !line.starts_with('#')
        && line
            .chars()
            .any(|c| !c.is_whitespace() && !matches!(c, ',' | '"'))
}

/// Whether a line only says that commas separate fields.
fn is_for_spreadsheets(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim().trim_matches('"');
    let is_nothing = |c: char| c.is_whitespace() || matches!(c, ',' | '"');
    let line = line.to_ascii_lowercase();
    let rest = line.strip_prefix("sep=");
    rest.is_some_and(|rest| rest.chars().all(is_nothing))
}
