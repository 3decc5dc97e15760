//! The header of a list: which columns it has, and in which order.

use std::sync::Arc;

use super::{
    fields::{COMMENT, Cause, Fields},
    spreadsheet::{self, SEPARATOR_HELP},
};
use crate::config::{
    mistakes::Mistakes,
    prefix,
    reader::Wrong,
    report::{Diagnostic, Severity},
    text::{Place, Text},
    words::{list, nearest, quoted},
};

/// The columns that a list can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Prefix,
    AllowInbound,
    AllowSmtpOut,
    Customer,
    Expires,
    Ticket,
}

impl Column {
    const ALL: [Self; 6] = [
        Self::Prefix,
        Self::AllowInbound,
        Self::AllowSmtpOut,
        Self::Customer,
        Self::Expires,
        Self::Ticket,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::AllowInbound => "allow_inbound",
            Self::AllowSmtpOut => "allow_smtp_out",
            Self::Customer => "customer",
            Self::Expires => "expires",
            Self::Ticket => "ticket",
        }
    }

    /// In any case: spreadsheets begin words with a capital.
    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|column| column.name().eq_ignore_ascii_case(name))
    }

    fn is_required(self) -> bool {
        matches!(self, Self::Prefix | Self::Customer)
    }
}

/// A header that says which columns there are.
#[derive(Debug)]
pub(super) struct Header {
    /// The number of its line.
    pub(super) line: usize,
    /// In the order of the file.
    pub(super) columns: Vec<Column>,
}

impl Header {
    /// Whether a row has the fields that are named, or more that are empty.
    pub(super) fn fits(&self, fields: &Fields<'_>) -> bool {
        let named = self.columns.len();
        fields.count() >= named && fields.used() <= named
    }

    /// A field of a row that fits; nothing where there is no such column.
    pub(super) fn field<'f>(&self, wanted: Column, fields: &'f Fields<'_>) -> &'f str {
        let number = self.columns.iter().position(|&column| column == wanted);
        number.map_or("", |number| fields.written(number))
    }

    /// Warns where a comment would be a row if `#` began the name of a customer.
    pub(super) fn look_for_row(&self, text: &Arc<Text>, line: usize, mistakes: &mut Mistakes) {
        if self.columns.first() != Some(&Column::Customer) {
            return;
        }
        let Some(row) = text.line(line).trim_start().strip_prefix(COMMENT) else {
            return;
        };
        let mut fields = Fields::default();
        let is_row = !row.starts_with(char::is_whitespace)
            && fields.split(row).is_ok()
            && self.fits(&fields)
            && prefix::parse(self.field(Column::Prefix, &fields)).is_ok();
        if is_row && mistakes.admit(text, Severity::Warning) {
            let warning = Diagnostic::warning(&Place::of_line(text, line), "a comment like a row");
            let help =
                "write the customer in double quotes for a row, a blank after `#` for a comment";
            mistakes.push(warning.help(help));
        }
    }

    /// Reads the first line that says something; `None` if there is none or it is
    /// not to be understood.
    pub(super) fn read(text: &Arc<Text>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut fields = Fields::default();
        for number in 1..=text.lines() {
            let line = text.line(number);
            if let Err(broken) = fields.split(line) {
                let wrong = match broken.cause {
                    // This line, or a comment before it, has no end.
                    Cause::CarriageReturn => Wrong::new("lines that end with CR alone", CR_HELP),
                    _ => broken.explain(line, is_column),
                };
                let place = Place::within_line(text, number, broken.span);
                mistakes.push(Diagnostic::error(&place, wrong.message).help(wrong.help));
                return None;
            }
            match spreadsheet::stated_separator(&fields) {
                Some(separator) if separator.bytes().all(|byte| byte == b',') => {}
                Some(_) => {
                    let place = Place::of_line(text, number);
                    let message = "fields that are not separated by commas";
                    mistakes.push(Diagnostic::error(&place, message).help(SEPARATOR_HELP));
                    return None;
                }
                None if fields.are_empty() => {}
                None => {
                    let columns = columns(text, number, &fields, mistakes)?;
                    return Some(Self {
                        line: number,
                        columns,
                    });
                }
            }
        }
        let warning = Diagnostic::warning_in(text.path(), "an empty customer list");
        mistakes
            .push(warning.help("write its header and rows, or remove it from `customer_lists`"));
        None
    }
}

const CR_HELP: &str = "convert them to LF: `tr '\\r' '\\n' < old.csv > new.csv`";

/// The columns that a line names; `None` if something is wrong about them.
fn columns(
    text: &Arc<Text>,
    line: usize,
    fields: &Fields<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Column>> {
    let whole = Place::of_line(text, line);
    let help = format!(
        "the header names the columns: {}",
        Column::ALL.map(Column::name).join(",")
    );
    if let Some(diagnostic) = no_header(text.line(line), fields, &whole, &help) {
        mistakes.push(diagnostic);
        return None;
    }
    let mut columns = Vec::new();
    let mut wrong = 0;
    // Spreadsheets fill up the header, too.
    for field in fields.iter().take(fields.used()) {
        let (message, help) = match Column::named(&field.written) {
            Some(column) if !columns.contains(&column) => {
                columns.push(column);
                continue;
            }
            Some(column) => (
                format!("column {} is given twice", quoted(column.name())),
                "remove one of them".to_owned(),
            ),
            None => unknown(&field.written, &help),
        };
        wrong += 1;
        if wrong <= SHOWN {
            let place = Place::within_line(text, line, field.span.clone());
            mistakes.push(Diagnostic::error(&place, message).help(help));
        }
    }
    if wrong > SHOWN {
        let message = format!("as much is wrong with {} more columns", wrong - SHOWN);
        mistakes.push(Diagnostic::error(&whole, message).help(help));
        return None;
    }
    if wrong > 0 {
        return None;
    }
    let missing = Column::ALL
        .into_iter()
        .filter(|column| column.is_required() && !columns.contains(column));
    let missing: Vec<_> = missing.map(|column| quoted(column.name())).collect();
    if !missing.is_empty() {
        let message = format!("the header lacks {}", list(&missing, "and"));
        mistakes.push(Diagnostic::error(&whole, message).help(help));
        return None;
    }
    Some(columns)
}

/// So many columns are complained about: there are far fewer that are right.
const SHOWN: usize = 10;

/// What there is to say about a line that is no header at all.
fn no_header(line: &str, fields: &Fields<'_>, place: &Place, help: &str) -> Option<Diagnostic> {
    if fields.iter().any(|field| is_column(&field.written)) {
        return None;
    }
    if let Some(wrong) = spreadsheet::separated_otherwise(line, is_column) {
        return Some(Diagnostic::error(place, wrong.message).help(wrong.help));
    }
    let is_row = fields
        .iter()
        .any(|field| prefix::parse(&field.written).is_ok());
    is_row.then(|| Diagnostic::error(place, "a row where the header should be").help(help))
}

fn is_column(name: &str) -> bool {
    Column::named(name).is_some()
}

/// What is wrong with a name that is none of a column, and what helps.
fn unknown(name: &str, help: &str) -> (String, String) {
    if name.is_empty() {
        let help = "name it, or remove it from every line";
        return ("a column without a name".to_owned(), help.to_owned());
    }
    let names = Column::ALL.map(Column::name);
    let help = match nearest(&name.to_lowercase(), names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => help.to_owned(),
    };
    (format!("unknown column {}", quoted(name)), help)
}
