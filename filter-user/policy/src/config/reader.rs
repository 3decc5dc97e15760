//! Walking through TOML, key by key, with an eye on what nobody asks for.

use std::{ops::Range, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    mistakes::Mistakes,
    report::Diagnostic,
    text::{Place, Placed, Text},
    words::{list, nearest, quoted},
};

/// A value that is not what it should be.
#[derive(Debug)]
pub(super) struct Wrong<T> {
    pub(super) message: String,
    pub(super) help: String,
    /// What was probably meant. Checks go on with it, to find all mistakes at
    /// once and no others.
    pub(super) meant: Option<T>,
}

impl<T> Wrong<T> {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            meant: None,
        }
    }

    /// The same mistake in a value of another type.
    pub(super) fn map<U>(self, meant: impl FnOnce(T) -> Option<U>) -> Wrong<U> {
        Wrong {
            message: self.message,
            help: self.help,
            meant: self.meant.and_then(meant),
        }
    }

    pub(super) fn meaning(mut self, meant: T) -> Self {
        self.meant = Some(meant);
        self
    }
}

/// What a value means, or why it means nothing.
pub(super) type Read<T> = Result<T, Wrong<T>>;

/// A value as it is written.
#[derive(Clone, Copy)]
pub(super) struct Value<'a, 'i> {
    text: &'a Arc<Text>,
    node: &'a Spanned<DeValue<'i>>,
}

impl<'a, 'i> Value<'a, 'i> {
    pub(super) fn toml(self) -> &'a DeValue<'i> {
        self.node.get_ref()
    }

    pub(super) fn place(self) -> Place {
        Place::new(self.text, self.node.span())
    }

    /// The text between the blanks around it.
    pub(super) fn raw(self) -> &'a str {
        self.text
            .content()
            .get(self.node.span())
            .unwrap_or_default()
    }

    /// Whether it is a single value, not a list or a table.
    fn is_scalar(self) -> bool {
        !matches!(self.toml(), DeValue::Array(_) | DeValue::Table(_))
    }

    /// "expected a string, found an integer".
    pub(super) fn unexpected<T>(self, expected: &str, help: impl Into<String>) -> Wrong<T> {
        let found = match self.toml() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        Wrong::new(format!("expected {expected}, found {found}"), help)
    }

    fn read<T>(
        self,
        meaning: impl Fn(Self) -> Read<T>,
        mistakes: &mut Mistakes,
    ) -> Option<Placed<T>> {
        let place = self.place();
        let (value, guessed) = match meaning(self) {
            Ok(value) => (value, false),
            Err(wrong) => {
                mistakes.push(Diagnostic::error(&place, wrong.message).help(wrong.help));
                (wrong.meant?, true)
            }
        };
        Some(Placed {
            value,
            place,
            guessed,
        })
    }
}

/// A list whose elements all mean something, or mistakes have been noted.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    pub(super) place: Place,
    pub(super) items: Vec<Placed<T>>,
    /// Whether no element had to be left out.
    pub(super) complete: bool,
}

impl<T> List<T> {
    /// Whether nothing is written in it.
    pub(super) fn is_empty(&self) -> bool {
        self.complete && self.items.is_empty()
    }
}

/// A table that is being read.
pub(super) struct Table<'a, 'i> {
    text: &'a Arc<Text>,
    entries: &'a DeTable<'i>,
    span: Range<usize>,
    /// As messages call it: `[mail]`.
    title: &'static str,
    /// The keys that belong here.
    asked: Vec<&'static str>,
    /// Keys that belong elsewhere and have been complained about.
    refused: Vec<&'static str>,
    pub(super) mistakes: &'a mut Mistakes,
}

/// Keys that are often written below the first `[table]`, where TOML takes
/// them for that table's.
const TOP_LEVEL: [&str; 5] = [
    "enforcement",
    "forwarding",
    "max_change",
    "include",
    "customer_lists",
];

impl<'a, 'i> Table<'a, 'i> {
    /// Reads a whole file.
    pub(super) fn read_file<T>(
        text: &'a Arc<Text>,
        entries: &'a DeTable<'i>,
        mistakes: &'a mut Mistakes,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self::read_with(text, entries, 0..0, "the top level", mistakes, read)
    }

    fn read_with<T>(
        text: &'a Arc<Text>,
        entries: &'a DeTable<'i>,
        span: Range<usize>,
        title: &'static str,
        mistakes: &'a mut Mistakes,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self {
            text,
            entries,
            span,
            title,
            asked: Vec::new(),
            refused: Vec::new(),
            mistakes,
        };
        let result = read(&mut table);
        table.report_unknown_keys();
        result
    }

    /// Warns where a whole file says nothing.
    pub(super) fn warn_if_empty(&mut self) {
        if self.entries.is_empty() {
            let message = "an included file that says nothing";
            let warning = Diagnostic::warning_in(self.text.path(), message);
            let help = "write [[interface]], [[pool]] or [[customer]] tables, or remove it";
            self.mistakes.push_missing(self.text, warning.help(help));
        }
    }

    /// Where it is headed.
    pub(super) fn place(&self) -> Place {
        Place::new(self.text, self.span.clone())
    }

    /// The number of the line that it starts on.
    pub(super) fn line(&self) -> usize {
        self.text.line_at(self.span.start)
    }

    pub(super) fn text(&self) -> &'a Arc<Text> {
        self.text
    }

    fn value(&mut self, key: &'static str) -> Option<Value<'a, 'i>> {
        self.asked.push(key);
        let node = self.entries.get(key)?;
        Some(Value {
            text: self.text,
            node,
        })
    }

    /// The value of `key`, if it is given and means something.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        meaning: impl Fn(Value<'a, 'i>) -> Read<T>,
    ) -> Option<Placed<T>> {
        self.value(key)?.read(meaning, self.mistakes)
    }

    /// The value of `key`, which has to be given: `example` shows how.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        meaning: impl Fn(Value<'a, 'i>) -> Read<T>,
    ) -> Option<Placed<T>> {
        self.require(key, example);
        self.optional(key, meaning)
    }

    /// The elements of the list `key`, if it is given.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        meaning: impl Fn(Value<'a, 'i>) -> Read<T>,
    ) -> Option<List<T>> {
        let value = self.value(key)?;
        let DeValue::Array(elements) = value.toml() else {
            return self.lone_element(value, meaning);
        };
        let mut items = Vec::with_capacity(elements.len());
        for node in elements.iter() {
            let element = Value { node, ..value };
            items.extend(element.read(&meaning, self.mistakes));
        }
        Some(List {
            place: value.place(),
            complete: items.len() == elements.len(),
            items,
        })
    }

    /// An element that lacks the brackets of the list around it.
    fn lone_element<T>(
        &mut self,
        value: Value<'a, 'i>,
        meaning: impl Fn(Value<'a, 'i>) -> Read<T>,
    ) -> Option<List<T>> {
        let help = match value.is_scalar() {
            true => format!("write [{}]", value.raw()),
            false => "write the elements in brackets, separated by commas".to_owned(),
        };
        let wrong = value.unexpected::<T>("an array", help);
        let place = value.place();
        self.mistakes
            .push(Diagnostic::error(&place, wrong.message).help(wrong.help));
        let meant = meaning(value).ok().filter(|_| value.is_scalar());
        let items: Vec<_> = meant
            .map(|value| Placed {
                value,
                place: place.clone(),
                guessed: true,
            })
            .into_iter()
            .collect();
        Some(List {
            place,
            complete: !items.is_empty(),
            items,
        })
    }

    /// The elements of the list `key`, which has to be given.
    pub(super) fn required_list<T>(
        &mut self,
        key: &'static str,
        example: &str,
        meaning: impl Fn(Value<'a, 'i>) -> Read<T>,
    ) -> Option<List<T>> {
        self.require(key, example);
        self.list(key, meaning)
    }

    fn require(&mut self, key: &'static str, example: &str) {
        if !self.entries.contains_key(key) {
            let message = format!("{} has no `{key}`", self.title);
            let diagnostic = Diagnostic::error(&self.place(), message);
            let help = format!("add `{key} = {example}`");
            self.mistakes.push_missing(self.text, diagnostic.help(help));
        }
    }

    /// Reads a table that may be given once, such as `[mail]`.
    pub(super) fn table<T>(
        &mut self,
        title: &'static str,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> Option<T> {
        let value = self.value(key_of(title))?;
        let (span, entries) = match value.toml() {
            DeValue::Table(entries) => (value.node.span(), entries),
            DeValue::Array(elements) => {
                self.wrong_table(value, title, "it can be given only once");
                let first = elements.iter().next()?;
                (first.span(), first.get_ref().as_table()?)
            }
            _ => {
                self.wrong_table(value, title, "a table starts with its name in brackets");
                return None;
            }
        };
        Some(self.enter(entries, span, title, read))
    }

    /// Reads a table that has to be given: `help` says how.
    pub(super) fn required_table<T>(
        &mut self,
        title: &'static str,
        help: &str,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> Option<T> {
        if !self.entries.contains_key(key_of(title)) {
            let message = format!("{title} is missing");
            let diagnostic = Diagnostic::error_in(self.text.path(), message);
            self.mistakes.push_missing(self.text, diagnostic.help(help));
        }
        self.table(title, read)
    }

    /// Reads each of the tables that may be given many times, such as `[[pool]]`.
    pub(super) fn tables<T>(
        &mut self,
        title: &'static str,
        mut read: impl FnMut(&mut Table<'_, '_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(key_of(title)) else {
            return Vec::new();
        };
        let nodes = match value.toml() {
            DeValue::Array(elements) => elements.iter().collect(),
            DeValue::Table(_) => {
                self.wrong_table(value, title, "there can be several");
                vec![value.node]
            }
            _ => vec![value.node],
        };
        let mut results = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node.get_ref() {
                DeValue::Table(entries) => {
                    results.push(self.enter(entries, node.span(), title, &mut read));
                }
                _ => {
                    let help = "a table starts with its name in double brackets";
                    self.wrong_table(Value { node, ..value }, title, help);
                }
            }
        }
        results
    }

    fn wrong_table(&mut self, value: Value<'a, 'i>, title: &str, why: &str) {
        let help = format!("write {title}: {why}");
        let place = value.place();
        let message = match value.is_scalar() {
            true => value.unexpected::<()>(&quoted(title), "").message,
            false => format!(
                "expected {}, found {}",
                quoted(title),
                quoted(place.excerpt())
            ),
        };
        self.mistakes
            .push(Diagnostic::error(&place, message).help(help));
    }

    fn enter<T>(
        &mut self,
        entries: &DeTable<'_>,
        span: Range<usize>,
        title: &'static str,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> T {
        Table::read_with(self.text, entries, span, title, self.mistakes, read)
    }

    /// Complains about a key that is right elsewhere.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, help: &str) {
        if let Some((key, _)) = self.entries.get_key_value(key) {
            let place = Place::new(self.text, key.span());
            self.mistakes
                .push(Diagnostic::error(&place, message).help(help));
        }
        self.refused.push(key);
    }

    fn report_unknown_keys(&mut self) {
        for (key, _) in self.entries.iter() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let place = Place::new(self.text, key.span());
            let message = format!("unknown key {}", quoted(name));
            let help = self.help_for_unknown(name);
            self.mistakes
                .push(Diagnostic::error(&place, message).help(help));
        }
    }

    fn help_for_unknown(&self, name: &str) -> String {
        if TOP_LEVEL.contains(&name) && !self.asked.contains(&"include") {
            return format!("`{name}` belongs at the top of the file, before the first table");
        }
        if let Some(near) = nearest(name, self.asked.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        let known: Vec<_> = self.asked.iter().map(|key| format!("`{key}`")).collect();
        format!("{} takes {}", self.title, list(&known, "and"))
    }
}

/// The key of `[mail]` is `mail`.
fn key_of(title: &'static str) -> &'static str {
    title.trim_matches(['[', ']'])
}
