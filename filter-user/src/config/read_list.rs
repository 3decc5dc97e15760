//! Customer lists: CSV to rows.
//!
//! A line at a time, so that a mistake in one says nothing about the next. The
//! first reading takes what is right and keeps little of it; a line that is not
//! right, or that something is to be said about, is read again with the place of
//! each field.

use std::{ops::Range, sync::Arc};

use csv_core::{ReadRecordResult, Reader};
use foldhash::{HashMap, HashMapExt as _};

use super::{
    customer_list::{CustomerList, MAX_ROWS},
    draft::CustomerDraft,
    mistakes::Mistakes,
    model::{PortSpec, Source, Terms},
    prefix,
    reader::{List, Read, Wrong},
    report::{Diagnostic, Severity},
    text::{Place, Placed, Text},
    values,
    words::{list, nearest, quoted},
};

/// The columns that a list can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Prefix,
    AllowInbound,
    AllowSmtpOut,
    Customer,
    Expires,
}

impl Column {
    const ALL: [Self; 5] = [
        Self::Prefix,
        Self::AllowInbound,
        Self::AllowSmtpOut,
        Self::Customer,
        Self::Expires,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::AllowInbound => "allow_inbound",
            Self::AllowSmtpOut => "allow_smtp_out",
            Self::Customer => "customer",
            Self::Expires => "expires",
        }
    }

    fn is_required(self) -> bool {
        matches!(self, Self::Prefix | Self::Customer)
    }
}

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
    /// In the order of the file; none where its first line cannot be read.
    columns: Vec<Column>,
}

impl Lists {
    /// Reads one more.
    pub(super) fn read(&mut self, text: Arc<Text>, mistakes: &mut Mistakes) {
        let Some(file) = self.rows.add_file(text.path()) else {
            let message = format!("more than {} customer lists", u16::MAX);
            let diagnostic = Diagnostic::error_in(text.path(), message);
            return mistakes.push(diagnostic.help("put several of them into one file"));
        };
        let mut fields = Fields::new();
        let columns = read_header(&text, &mut fields, mistakes);
        let list = CsvText {
            text,
            columns: columns.unwrap_or_default(),
        };
        if !list.columns.is_empty() {
            self.read_rows(&list, file, &mut fields, mistakes);
        }
        self.lists.push(list);
    }

    fn read_rows(
        &mut self,
        list: &CsvText,
        file: u16,
        fields: &mut Fields,
        mistakes: &mut Mistakes,
    ) {
        let mut known = HashMap::new();
        for line in 2..=list.text.lines() {
            if list.text.line(line).trim().is_empty() {
                continue;
            }
            match self.take(list, file, line, fields, &mut known) {
                Some(true) => {}
                Some(false) => {
                    let place = Place::of_line(&list.text, line);
                    let message = format!("more than {MAX_ROWS} rows in the customer lists");
                    let help = "write shorter prefixes for customers that lie side by side";
                    mistakes.push(Diagnostic::error(&place, message).help(help));
                    break;
                }
                None if mistakes.admit(&list.text, Severity::Error) => {
                    let _draft = list.read_line(line, fields, mistakes);
                }
                None => {}
            }
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
        list: &CsvText,
        file: u16,
        line: usize,
        fields: &mut Fields,
        known: &mut HashMap<String, Option<u32>>,
    ) -> Option<bool> {
        fields.split(list.text.line(line))?;
        if fields.count() != list.columns.len() {
            return None;
        }
        let field = |wanted| list.field(fields, wanted);
        let prefix = prefix::parse(field(Column::Prefix)).ok()?;
        let name = field(Column::Customer);
        values::check_name(name).ok()?;
        let written = [Column::AllowInbound, Column::AllowSmtpOut, Column::Expires].map(field);
        // What is written in the same words means the same.
        let words = written.join(",");
        let terms = match known.get(&words) {
            Some(terms) => (*terms)?,
            None => {
                let terms = read_terms(written).map(|terms| self.rows.add_terms(terms));
                known.insert(words, terms);
                terms?
            }
        };
        Some(self.rows.add(prefix, (file, line), name, terms))
    }

    /// A line that was taken, as a customer with the place of everything.
    pub(super) fn draft(&self, file: u16, line: usize) -> CustomerDraft {
        let list = &self.lists[usize::from(file)];
        // Nothing is wrong with it by itself.
        list.read_line(line, &mut Fields::new(), &mut Mistakes::default())
    }

    /// The text of a list.
    pub(super) fn text(&self, file: u16) -> &Arc<Text> {
        &self.lists[usize::from(file)].text
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
            written => Some(values::expires_word(written).ok()?),
        },
    })
}

fn read_name(written: &str) -> Read<String> {
    match values::check_name(written) {
        Ok(()) => Ok(written.to_owned()),
        Err(wrong) => Err(wrong.map(|()| None)),
    }
}

fn read_flag(written: &str) -> Read<bool> {
    match written {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(Wrong::new(
            format!("{} is neither true nor false", quoted(written)),
            "write true, or false or nothing",
        )),
    }
}

/// The first line; `None` if it is not to be understood.
fn read_header(
    text: &Arc<Text>,
    fields: &mut Fields,
    mistakes: &mut Mistakes,
) -> Option<Vec<Column>> {
    let names = Column::ALL.map(|column| column.name());
    let help = format!(
        "the first line names the columns: {}",
        Column::ALL.map(Column::name).join(",")
    );
    let line = text.line(1);
    if fields.split(line).is_none() {
        let place = Place::of_line(text, 1);
        mistakes.push(Diagnostic::error(&place, UNCLOSED).help(help));
        return None;
    }
    let mut columns = Vec::new();
    let mut is_right = true;
    for (number, span) in spans(line).into_iter().enumerate() {
        let name = fields.get(number);
        let place = Place::within_line(text, 1, span);
        let wrong = match Column::ALL.into_iter().find(|column| column.name() == name) {
            Some(column) if columns.contains(&column) => Some(Wrong::<()>::new(
                format!("column {} is given twice", quoted(name)),
                "remove one of them",
            )),
            Some(column) => {
                columns.push(column);
                None
            }
            None => Some(Wrong::new(
                format!("unknown column {}", quoted(name)),
                match nearest(name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => help.clone(),
                },
            )),
        };
        if let Some(wrong) = wrong {
            is_right = false;
            mistakes.push(Diagnostic::error(&place, wrong.message).help(wrong.help));
        }
    }
    let missing = Column::ALL
        .into_iter()
        .filter(|column| column.is_required() && !columns.contains(column));
    let missing: Vec<_> = missing.map(|column| quoted(column.name())).collect();
    if is_right && !missing.is_empty() {
        let message = format!("the first line lacks {}", list(&missing, "and"));
        let diagnostic = Diagnostic::error(&Place::of_line(text, 1), message);
        mistakes.push(diagnostic.help(help));
        return None;
    }
    is_right.then_some(columns)
}

const UNCLOSED: &str = "a double quote without the one that ends it";

impl CsvText {
    /// A field of the line that was split, without the blanks around it;
    /// nothing where there is no such column.
    fn field<'a>(&self, fields: &'a Fields, wanted: Column) -> &'a str {
        let number = self.columns.iter().position(|&column| column == wanted);
        number.map_or("", |number| fields.get(number))
    }

    /// Reads a line again, and notes all that is wrong with it.
    fn read_line(
        &self,
        line: usize,
        fields: &mut Fields,
        mistakes: &mut Mistakes,
    ) -> CustomerDraft {
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
            is_listed: true,
        };
        if fields.split(text.line(line)).is_none() {
            let diagnostic = Diagnostic::error(&customer.place, UNCLOSED);
            let help = "a double quote within quotes is written twice";
            mistakes.push(diagnostic.help(help));
            return customer;
        }
        if fields.count() != self.columns.len() {
            let message = format!(
                "{} fields, where the first line names {}",
                fields.count(),
                self.columns.len()
            );
            let help = "leave fields empty, and write those with commas in them in double quotes";
            mistakes.push(Diagnostic::error(&customer.place, message).help(help));
            return customer;
        }
        let spans = spans(text.line(line));
        for ((number, &column), span) in self.columns.iter().enumerate().zip(spans) {
            let field = Field {
                written: fields.get(number),
                place: Place::within_line(text, line, span),
            };
            match column {
                Column::Prefix => {
                    let read = field.read(prefix::parse, mistakes);
                    customer.prefixes = read.map(|prefix| field.list(vec![prefix]));
                }
                Column::Customer => {
                    customer.name = field.read(read_name, mistakes);
                }
                Column::AllowInbound => customer.allow_inbound = Some(field.ports(mistakes)),
                Column::AllowSmtpOut if !field.written.is_empty() => {
                    customer.allow_smtp_out = field.read(read_flag, mistakes);
                }
                Column::Expires if !field.written.is_empty() => {
                    customer.expires = field.read(values::expires_word, mistakes);
                }
                Column::AllowSmtpOut | Column::Expires => {}
            }
        }
        customer
    }
}

/// A field of a line that is looked at closely.
struct Field<'a> {
    written: &'a str,
    place: Place,
}

impl Field<'_> {
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
        let words = self.written.split_whitespace();
        let ports = words.filter_map(|written| {
            let port = Field {
                written,
                place: self.place.clone(),
            };
            port.read(values::port_word, mistakes)
        });
        let ports = ports.collect();
        self.list(ports)
    }
}

/// The fields of one line.
#[derive(Debug)]
struct Fields {
    unescaped: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    reader: Reader,
}

impl Fields {
    fn new() -> Self {
        Self {
            unescaped: Vec::new(),
            ends: Vec::new(),
            reader: Reader::new(),
        }
    }

    /// Splits a line; `None` where a quote is open at its end.
    fn split(&mut self, line: &str) -> Option<()> {
        if line.bytes().filter(|&byte| byte == b'"').count() % 2 == 1 {
            return None;
        }
        // What is unescaped is no longer than the line, and between two fields
        // is a comma. The reader wants room for more than it writes.
        self.unescaped.resize(line.len() + 1, 0);
        self.ends.resize(line.len() + 1, 0);
        self.reader.reset();
        let (mut read, mut written, mut count) = (0, 0, 0);
        loop {
            let (result, r, w, n) = self.reader.read_record(
                &line.as_bytes()[read..],
                &mut self.unescaped[written..],
                &mut self.ends[count..],
            );
            (read, written, count) = (read + r, written + w, count + n);
            // The end of the line is asked about with nothing.
            if result != ReadRecordResult::InputEmpty {
                break;
            }
        }
        self.unescaped.truncate(written);
        self.ends.truncate(count);
        Some(())
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    /// A field without the blanks around it.
    fn get(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let field = &self.unescaped[start..self.ends[number]];
        // Only quotes were taken out of what was a text.
        str::from_utf8(field).unwrap_or_default().trim()
    }
}

/// Where the fields of a line are, without the blanks around them.
fn spans(line: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut is_quoted = false;
    let mut start = 0;
    let ends = line.bytes().enumerate().filter(|&(_, byte)| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    });
    for end in ends.map(|(at, _)| at).chain([line.len()]) {
        let field = &line[start..end];
        let first = start + field.len() - field.trim_start().len();
        spans.push(first..(start + field.trim_end().len()).max(first));
        start = end + 1;
    }
    spans
}
