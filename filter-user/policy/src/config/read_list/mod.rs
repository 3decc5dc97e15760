//! Customer lists: CSV to rows.
//!
//! A line at a time, so that a mistake in one says nothing about the next. Each
//! line that is neither blank nor a comment is a row or a mistake. The first
//! reading takes what is right and keeps little of it; a line that is not right,
//! or that something is to be said about, is read again with the place of each
//! field.

mod fields;
mod header;
mod spreadsheet;

use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;

use self::{
    fields::{Fields, is_error_value},
    header::{Column, Header},
};
use super::{
    customer_list::{CustomerList, MAX_ROWS},
    draft::CustomerDraft,
    mistakes::Mistakes,
    model::{Source, Terms},
    port::PortSpec,
    prefix,
    reader::{List, Read, Wrong},
    report::{Diagnostic, Severity},
    text::{Place, Placed, Text},
    values,
    words::quoted,
};

/// The customer lists of a configuration.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<CsvText>,
    /// What could be read of all of them.
    rows: CustomerList,
}

/// The text of one of them.
#[derive(Debug)]
struct CsvText {
    text: Arc<Text>,
    /// `None` where there is none, or none that can be read.
    header: Option<Header>,
}

impl Lists {
    /// Reads one more.
    pub(super) fn read(&mut self, text: Arc<Text>, mistakes: &mut Mistakes) {
        let Some(file) = self.rows.add_file(text.path()) else {
            let message = format!("more than {} customer lists", u16::MAX);
            let diagnostic = Diagnostic::error_in(text.path(), message);
            return mistakes.push(diagnostic.help("put several of them into one file"));
        };
        let header = Header::read(&text, mistakes);
        let list = CsvText { text, header };
        if let Some(header) = &list.header {
            self.read_rows(&list, header, file, mistakes);
        }
        self.lists.push(list);
    }

    fn read_rows(&mut self, list: &CsvText, header: &Header, file: u16, mistakes: &mut Mistakes) {
        let mut fields = Fields::default();
        let mut known = KnownTerms::default();
        let mut has_rows = false;
        for line in header.line + 1..=list.text.lines() {
            let split = fields.split(list.text.line(line));
            if split.is_ok() && fields.are_empty() {
                header.look_for_row(&list.text, line, mistakes);
                continue;
            }
            has_rows = true;
            let taken = match split {
                Ok(()) => self.take(header, &fields, (file, line), &mut known),
                Err(_) => None,
            };
            match taken {
                Some(true) => {}
                Some(false) => {
                    let place = Place::of_line(&list.text, line);
                    let message = format!("more than {MAX_ROWS} rows in the customer lists");
                    let help = "write shorter prefixes for customers that lie side by side";
                    mistakes.push(Diagnostic::error(&place, message).help(help));
                    break;
                }
                None if mistakes.admit(&list.text, Severity::Error) => {
                    let _draft = list.read_line(line, mistakes);
                }
                None => {}
            }
        }
        if !has_rows {
            let place = Place::of_line(&list.text, header.line);
            let warning = Diagnostic::warning(&place, "a customer list of a header and no rows");
            mistakes.push(warning.help("write rows, or remove it from `customer_lists`"));
        }
    }

    /// To be called when all are read.
    pub(super) fn finish(&mut self) {
        self.rows.finish();
    }

    /// What could be read of all of them, without the texts.
    pub(super) fn into_rows(self) -> CustomerList {
        self.rows
    }

    /// What could be read of all of them.
    pub(super) fn rows(&self) -> &CustomerList {
        &self.rows
    }

    /// Takes a line if all is right about it by itself: `None` if not. `false`
    /// says that there is no more room.
    fn take(
        &mut self,
        header: &Header,
        fields: &Fields<'_>,
        at: (u16, usize),
        known: &mut KnownTerms,
    ) -> Option<bool> {
        if !header.fits(fields) {
            return None;
        }
        let field = |wanted| header.field(wanted, fields);
        let prefix = prefix::parse(field(Column::Prefix)).ok()?;
        let name = field(Column::Customer);
        check_name(name).ok()?;
        let written = [Column::AllowInbound, Column::AllowSmtpOut, Column::Expires].map(field);
        let read = || read_terms(written).map(|terms| self.rows.add_terms(terms));
        let terms = known.or_insert_with(written, read)?;
        let ticket = field(Column::Ticket);
        check_ticket(ticket).ok()?;
        Some(self.rows.add(prefix, at, (name, ticket), terms))
    }

    /// A line that was taken, as a customer with the place of everything.
    pub(super) fn draft(&self, file: u16, line: usize) -> CustomerDraft {
        // Nothing is wrong with it by itself.
        self.lists[usize::from(file)].read_line(line, &mut Mistakes::default())
    }

    /// The text of a list.
    pub(super) fn text(&self, file: u16) -> &Arc<Text> {
        &self.lists[usize::from(file)].text
    }
}

/// What is written in the same words means the same: it is read once.
#[derive(Default)]
struct KnownTerms {
    /// The number of the terms; `None` if they are wrong.
    numbers: HashMap<String, Option<u32>>,
    /// The words of the row at hand: no row allocates its own.
    words: String,
}

impl KnownTerms {
    fn or_insert_with(
        &mut self,
        written: [&str; 3],
        read: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        self.words.clear();
        for word in written {
            self.words.push_str(word);
            self.words.push(',');
        }
        match self.numbers.get(&self.words) {
            Some(number) => *number,
            None => *self.numbers.entry(self.words.clone()).or_insert_with(read),
        }
    }
}

/// What three fields open; `None` if they are wrong.
fn read_terms([ports, smtp_out, expires]: [&str; 3]) -> Option<Terms> {
    Some(Terms {
        allow_inbound: ports
            .split_whitespace()
            .map(|port| values::port_word(port).ok())
            .collect::<Option<_>>()?,
        allow_smtp_out: read_flag(smtp_out).ok()?,
        expires: match expires {
            "" => None,
            written => Some(read_expires(written).ok()?),
        },
    })
}

fn check_name(written: &str) -> Read<()> {
    check_value(written)?;
    values::check_name(written)
}

fn check_value(written: &str) -> Read<()> {
    match is_error_value(written) {
        true => Err(Wrong::new(
            format!("{} is an error value of a spreadsheet", quoted(written)),
            "correct the formula there, and export the list again",
        )),
        false => Ok(()),
    }
}

fn check_ticket(written: &str) -> Read<()> {
    check_value(written)?;
    values::check_ticket(written)
}

fn read_ticket(written: &str) -> Read<String> {
    match check_ticket(written) {
        Ok(()) => Ok(written.to_owned()),
        Err(wrong) => Err(wrong.map(|()| None)),
    }
}

fn read_name(written: &str) -> Read<String> {
    match check_name(written) {
        Ok(()) => Ok(written.to_owned()),
        Err(wrong) => Err(wrong.map(|()| None)),
    }
}

/// In any case: spreadsheets have them in capitals.
fn read_flag(written: &str) -> Read<bool> {
    match written {
        "" => Ok(false),
        _ if written.eq_ignore_ascii_case("true") => Ok(true),
        _ if written.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Wrong::new(
            format!("{} is neither true nor false", quoted(written)),
            "write true, or false or nothing",
        )),
    }
}

fn read_expires(written: &str) -> Read<Timestamp> {
    values::expires_word(written).map_err(|wrong| match wrong.meant {
        // It is understood what it lacks.
        Some(_) => wrong,
        None => spreadsheet::date(written).unwrap_or(wrong),
    })
}

impl CsvText {
    /// Reads a line again, and notes all that is wrong with it.
    fn read_line(&self, line: usize, mistakes: &mut Mistakes) -> CustomerDraft {
        let text = &self.text;
        let mut customer = CustomerDraft {
            place: Place::of_line(text, line),
            name: None,
            prefixes: None,
            allow_inbound: None,
            allow_smtp_out: None,
            ticket: None,
            expires: None,
            source: Source {
                file: text.path().to_owned(),
                line,
            },
        };
        let Some(header) = &self.header else {
            return customer;
        };
        let mut fields = Fields::default();
        let written = text.line(line);
        let is_field = |field: &str| prefix::parse(field).is_ok();
        if let Err(broken) = fields.split(written) {
            let wrong = broken.explain(written, is_field);
            let place = Place::within_line(text, line, broken.span);
            mistakes.push(Diagnostic::error(&place, wrong.message).help(wrong.help));
            return customer;
        }
        if !header.fits(&fields) {
            let wrong = spreadsheet::separated_otherwise(written, is_field);
            let wrong = wrong.unwrap_or_else(|| misfit(header, &fields));
            mistakes.push(Diagnostic::error(&customer.place, wrong.message).help(wrong.help));
            return customer;
        }
        for (field, column) in fields.iter().zip(&header.columns) {
            let entry = Entry {
                written: &field.written,
                place: Place::within_line(text, line, field.span.clone()),
            };
            match column {
                Column::Prefix => {
                    let read = entry.read(prefix::parse, mistakes);
                    customer.prefixes = read.map(|prefix| entry.list(vec![prefix]));
                }
                Column::Customer => {
                    customer.name = entry.read(read_name, mistakes);
                }
                Column::AllowInbound => customer.allow_inbound = Some(entry.ports(mistakes)),
                Column::AllowSmtpOut if !entry.written.is_empty() => {
                    customer.allow_smtp_out = entry.read(read_flag, mistakes);
                }
                Column::Expires if !entry.written.is_empty() => {
                    customer.expires = entry.read(read_expires, mistakes);
                }
                Column::Ticket if !entry.written.is_empty() => {
                    let ticket = entry.read(read_ticket, mistakes);
                    customer.ticket = ticket.map(|ticket| ticket.value);
                }
                Column::AllowSmtpOut | Column::Expires | Column::Ticket => {}
            }
        }
        customer
    }
}

fn misfit(header: &Header, fields: &Fields<'_>) -> Wrong<()> {
    let message = format!(
        "{} fields, where the header names {}",
        fields.count(),
        header.columns.len()
    );
    let help = "leave fields empty, and write those with commas in them in double quotes; ports \
                are separated by blanks";
    Wrong::new(message, help)
}

/// A field that is looked at closely.
struct Entry<'a> {
    written: &'a str,
    place: Place,
}

impl Entry<'_> {
    fn read<T>(
        &self,
        meaning: impl Fn(&str) -> Read<T>,
        mistakes: &mut Mistakes,
    ) -> Option<Placed<T>> {
        let (value, guessed) = match meaning(self.written) {
            Ok(value) => (value, false),
            Err(wrong) => {
                mistakes.push(Diagnostic::error(&self.place, wrong.message).help(wrong.help));
                (wrong.meant?, true)
            }
        };
        Some(Placed {
            value,
            place: self.place.clone(),
            guessed,
        })
    }

    fn list<T>(&self, items: Vec<Placed<T>>) -> List<T> {
        List {
            place: self.place.clone(),
            items,
            complete: true,
        }
    }

    fn ports(&self, mistakes: &mut Mistakes) -> List<PortSpec> {
        if let Some(wrong) = spreadsheet::ports(self.written) {
            mistakes.push(Diagnostic::error(&self.place, wrong.message).help(wrong.help));
            return self.list(Vec::new());
        }
        let words = self.written.split_whitespace();
        let ports = words.filter_map(|written| {
            let port = Entry {
                written,
                place: self.place.clone(),
            };
            port.read(values::port_word, mistakes)
        });
        let ports = ports.collect();
        self.list(ports)
    }
}
