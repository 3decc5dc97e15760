//! Customers by the million: the rows of `customer_lists`.
//!
//! A row is 32 bytes, and its name and ticket. What rows open is kept once for all that
//! open the same: there are far fewer ways to be exempted than customers.

use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    model::{Holder, Terms},
    values::{LONGEST_NAME, LONGEST_TICKET},
};

/// One row: a prefix of a customer, with exemptions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) prefix: IpNet,
    /// One of the files.
    pub(super) file: u16,
    /// From 1.
    pub(super) line: u32,
    /// Where the name begins, with its length; the ticket follows.
    name: u32,
    /// One of the terms.
    pub(super) terms: u32,
}

const _: () = assert!(size_of::<Row>() == 32);

/// The most rows: their names and tickets then have room, however long they are.
pub(super) const MAX_ROWS: usize = 1 << 24;

const _: () = assert!(
    (MAX_ROWS as u64) * (2 + LONGEST_NAME as u64 + LONGEST_TICKET as u64) <= u32::MAX as u64
        && LONGEST_NAME < 128
        && LONGEST_TICKET < 128,
    "where a name begins is a number of 32 bits, and each length is one byte of UTF-8"
);

/// The rows of all customer lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerList {
    files: Vec<PathBuf>,
    /// By prefix, once all are there.
    rows: Vec<Row>,
    /// The names, and the ticket of each, which may be empty. Each after one character
    /// whose number is its length in bytes.
    names: String,
    terms: IndexSet<Terms>,
}

impl CustomerList {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, in the order of their prefixes, in which they are numbered.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, Holder<'_>)> {
        self.rows.iter().map(|row| (row.prefix, self.in_words(row)))
    }

    /// The names of customers, in the order in which they were read: one again only
    /// where others came between its rows.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut at = 0;
        std::iter::from_fn(move || {
            if at == self.names.len() {
                return None;
            }
            let (name, ticket) = self.name_and_ticket(at);
            at += 2 + name.len() + ticket.len();
            Some(name)
        })
    }

    /// All rows without the names, in the order of their prefixes.
    pub fn exemptions(&self) -> impl Iterator<Item = (IpNet, &Terms)> {
        let terms = |row: &Row| &self.terms[row.terms as usize];
        self.rows.iter().map(move |row| (row.prefix, terms(row)))
    }

    /// The exemptions of the row with a number.
    pub(super) fn terms_held(&self, number: usize) -> &Terms {
        &self.terms[self.rows[number].terms as usize]
    }

    /// Who holds the prefix of the row with a number.
    pub(super) fn holder(&self, number: usize) -> Holder<'_> {
        self.in_words(&self.rows[number])
    }

    fn in_words(&self, row: &Row) -> Holder<'_> {
        Holder {
            name: self.name(row),
            terms: &self.terms[row.terms as usize],
            ticket: Some(self.name_and_ticket(row.name as usize).1).filter(|t| !t.is_empty()),
            file: &self.files[usize::from(row.file)],
            line: row.line as usize,
        }
    }

    /// All prefixes, in order.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.rows.iter().map(|row| row.prefix)
    }

    /// What the rows open, each once.
    pub(super) fn terms(&self) -> impl Iterator<Item = &Terms> {
        self.terms.iter()
    }

    /// What tells the name of a row from others: rows of one name that were read one
    /// after the other have the same.
    pub(super) fn name_key(&self, number: usize) -> u64 {
        self.rows[number].name.into()
    }

    /// The place of a row's terms among all.
    pub(super) fn terms_of(&self, number: usize) -> usize {
        self.rows[number].terms as usize
    }

    /// The rows whose prefixes lie in `prefix`, or are it, with their numbers.
    pub(crate) fn within(&self, prefix: &IpNet) -> impl Iterator<Item = (usize, IpNet)> {
        let start = self.rows.partition_point(|row| row.prefix < *prefix);
        let last = prefix.broadcast();
        // An IPv4 address is less than any IPv6 address, as with prefixes.
        let rows = self.rows[start..].iter();
        let rows = rows.take_while(move |row| row.prefix.network() <= last);
        (start..).zip(rows.map(|row| row.prefix))
    }

    /// The rows whose prefixes contain `prefix`, the shortest first, with their
    /// numbers.
    pub(crate) fn around(&self, prefix: &IpNet) -> impl Iterator<Item = (usize, IpNet)> {
        (1..prefix.prefix_len()).filter_map(|length| {
            let around = IpNet::new(prefix.addr(), length).ok()?.trunc();
            let found = self.rows.binary_search_by_key(&around, |row| row.prefix);
            found.ok().map(|number| (number, around))
        })
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn name(&self, row: &Row) -> &str {
        self.text_at(row.name as usize)
    }

    fn name_and_ticket(&self, at: usize) -> (&str, &str) {
        let name = self.text_at(at);
        (name, self.text_at(at + 1 + name.len()))
    }

    fn text_at(&self, at: usize) -> &str {
        let length = usize::from(self.names.as_bytes()[at]);
        &self.names[at + 1..at + 1 + length]
    }

    pub(super) fn add_file(&mut self, path: &Path) -> Option<u16> {
        let number = u16::try_from(self.files.len()).ok()?;
        self.files.push(path.to_owned());
        Some(number)
    }

    pub(super) fn add_terms(&mut self, terms: Terms) -> u32 {
        self.terms.insert_full(terms).0 as u32
    }

    /// Adds a row, unless there are [`MAX_ROWS`].
    pub(super) fn add(
        &mut self,
        prefix: IpNet,
        at: (u16, usize),
        name: (&str, &str),
        terms: u32,
    ) -> bool {
        if self.rows.len() >= MAX_ROWS {
            return false;
        }
        let last = self.rows.last();
        let last = last.filter(|last| self.name_and_ticket(last.name as usize) == name);
        let name = match last {
            // A customer's prefixes usually follow one another, with the same ticket.
            Some(last) => last.name,
            None => self.keep_name(name),
        };
        let (file, line) = (at.0, at.1 as u32);
        self.rows.push(Row {
            prefix,
            file,
            line,
            name,
            terms,
        });
        true
    }

    fn keep_name(&mut self, (name, ticket): (&str, &str)) -> u32 {
        let at = self.names.len() as u32;
        for text in [name, ticket] {
            self.names.push(text.len() as u8 as char);
            self.names.push_str(text);
        }
        at
    }

    /// Puts the rows into their order and gives back what memory is left over.
    pub(super) fn finish(&mut self) {
        self.rows
            .sort_unstable_by_key(|row| (row.prefix, row.file, row.line));
        self.rows.shrink_to_fit();
        self.names.shrink_to_fit();
    }
}

/// As it is kept on disk: a text for each row, which is far shorter than a
/// table for each.
#[derive(Deserialize)]
struct Kept {
    files: Vec<PathBuf>,
    terms: IndexSet<Terms>,
    rows: Vec<String>,
}

impl Serialize for CustomerList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Rows<'a>(&'a CustomerList);
        impl Serialize for Rows<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = |row: &Row| {
                    let Row {
                        prefix,
                        file,
                        line,
                        terms,
                        ..
                    } = row;
                    let (name, ticket) = self.0.name_and_ticket(row.name as usize);
                    let ticket = match ticket {
                        "" => String::new(),
                        ticket => format!("\t{ticket}"),
                    };
                    format!("{prefix} {file} {line} {terms} {name}{ticket}")
                };
                serializer.collect_seq(self.0.rows.iter().map(text))
            }
        }
        #[derive(Serialize)]
        struct Keep<'a> {
            files: &'a [PathBuf],
            terms: &'a IndexSet<Terms>,
            rows: Rows<'a>,
        }
        let keep = Keep {
            files: &self.files,
            terms: &self.terms,
            rows: Rows(self),
        };
        keep.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CustomerList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Kept { files, terms, rows } = Kept::deserialize(deserializer)?;
        let mut list = Self {
            files,
            terms,
            ..Self::default()
        };
        for text in rows {
            let wrong = || D::Error::custom(format!("{text:?} is no row of a customer list"));
            if !list.add_kept(&text).ok_or_else(wrong)? {
                return Err(wrong());
            }
        }
        list.finish();
        Ok(list)
    }
}

impl CustomerList {
    /// Adds a row as it is kept; `None` where it makes no sense.
    fn add_kept(&mut self, text: &str) -> Option<bool> {
        let mut words = text.splitn(5, ' ');
        let prefix = words.next()?.parse().ok()?;
        let file: u16 = words.next()?.parse().ok()?;
        let line: u32 = words.next()?.parse().ok()?;
        let terms: u32 = words.next()?.parse().ok()?;
        // No name has a tab in it.
        let name = words.next()?;
        let (name, ticket) = name.split_once('\t').unwrap_or((name, ""));
        let is_known = usize::from(file) < self.files.len() && (terms as usize) < self.terms.len();
        let is_short = name.len() <= LONGEST_NAME && ticket.len() <= LONGEST_TICKET;
        (is_known && is_short)
            .then(|| self.add(prefix, (file, line as usize), (name, ticket), terms))
    }
}
