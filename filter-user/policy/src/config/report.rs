//! What is wrong with a configuration, and how it is printed.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use serde::{Serialize, Serializer};

use super::{
    text::{Place, Text},
    words::shown,
};

/// Mistakes and warnings in the order of the files, and of the lines in them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts `diagnostics` into the order in which they are printed.
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(Diagnostic::position);
        Self { diagnostics }
    }

    /// With another report after it.
    pub fn and(mut self, other: Self) -> Self {
        self.diagnostics.extend(other.diagnostics);
        self
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// How many mistakes there are that make the configuration wrong.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        let of_it = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        self.diagnostics.iter().filter(of_it).count()
    }

    /// The first mistake that is in a line of a file, or else the first, in a line: what
    /// is missing of a whole file mostly follows from what cannot be read of it.
    pub fn summary(&self) -> String {
        let errors = self.diagnostics.iter();
        let errors = errors.filter(|diagnostic| diagnostic.severity == Severity::Error);
        let first = errors.min_by_key(|diagnostic| diagnostic.line.is_none());
        let first = first.map(ToString::to_string).unwrap_or_default();
        match self.errors() {
            0 | 1 => first,
            n => format!("{first}, and {} more", n - 1),
        }
    }

    /// The file of the first mistake.
    pub fn first_file(&self) -> Option<&Path> {
        let mut errors = self.diagnostics.iter();
        let first = errors.find(|diagnostic| diagnostic.severity == Severity::Error);
        first.map(|diagnostic| &*diagnostic.file)
    }

    /// All of it, for programs.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// All of it, for people: an empty line after each diagnostic.
    pub fn render(&self, color: bool) -> String {
        let renderer = match color {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let mut rendered = String::new();
        for diagnostic in &self.diagnostics {
            let text = diagnostic.render(&renderer);
            // Control characters that the library lets through.
            rendered.extend(text.chars().map(|c| match c {
                '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
                c => c,
            }));
            rendered.push_str("\n\n");
        }
        rendered
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is wrong, as a whole.
    Error,
    /// The configuration is accepted, and probably not what was meant.
    Warning,
}

/// One mistake or warning.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was found.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// From 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    /// The offending text.
    pub text: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    #[serde(skip)]
    place: Option<Place>,
    /// The file after whose lines it comes, where it has no line.
    #[serde(skip)]
    after: Option<usize>,
}

/// In one line, for logs.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.file))?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// A place that has to do with a mistake elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct Related {
    /// The file, as it was found.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What it has to do with it.
    pub message: String,
    #[serde(skip)]
    place: Place,
}

/// A path as it is printed: JSON has no bytes outside UTF-8.
///
/// # Errors
///
/// What the serializer says.
pub fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Diagnostic {
    /// A mistake at `place`.
    pub(super) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, place, message.into())
    }

    /// A warning at `place`.
    pub(super) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self::at(Severity::Warning, place, message.into())
    }

    /// A mistake that is no line's: something is missing from the file.
    pub(super) fn error_in(file: &Path, message: impl Into<String>) -> Self {
        Self::within(Severity::Error, file, message.into())
    }

    /// A warning about what is missing from the file.
    pub(super) fn warning_in(file: &Path, message: impl Into<String>) -> Self {
        Self::within(Severity::Warning, file, message.into())
    }

    /// Either, about a file or a directory.
    pub fn in_file(severity: Severity, file: &Path, message: String) -> Self {
        Self::within(severity, file, message)
    }

    /// Either, about what is left of a file.
    pub(super) fn after_all_of(severity: Severity, text: &Text, message: String) -> Self {
        Self {
            after: Some(text.order()),
            ..Self::within(severity, text.path(), message)
        }
    }

    fn at(severity: Severity, place: &Place, message: String) -> Self {
        Self {
            line: Some(place.line()),
            column: Some(place.column()),
            text: Some(place.excerpt().to_owned()),
            place: Some(place.clone()),
            ..Self::within(severity, place.text().path(), message)
        }
    }

    fn within(severity: Severity, file: &Path, message: String) -> Self {
        Self {
            severity,
            file: file.to_owned(),
            line: None,
            column: None,
            text: None,
            message,
            help: None,
            related: Vec::new(),
            place: None,
            after: None,
        }
    }

    /// Says what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place too.
    pub(super) fn see(mut self, place: &Place, message: impl Into<String>) -> Self {
        self.related.push(Related {
            file: place.text().path().to_owned(),
            line: place.line(),
            column: place.column(),
            message: message.into(),
            place: place.clone(),
        });
        self
    }

    pub(super) fn severity(&self) -> Severity {
        self.severity
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What concerns a whole file comes before its lines, and such files, the
    /// first of all files being read first, before the others.
    fn position(&self) -> (usize, usize, Severity) {
        match (&self.place, self.after) {
            (Some(place), _) => (place.text().order(), place.start() + 1, self.severity),
            (None, Some(order)) => (order, usize::MAX, self.severity),
            (None, None) => (0, 0, self.severity),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&self.message));
        group = match &self.place {
            Some(place) => group.elements(self.snippets(place)),
            None => group.element(Origin::path(shown(&self.file))),
        };
        if let Some(help) = &self.help {
            // The library takes it as it is, and it may quote the file.
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.render(&[group])
    }

    /// The offending line, and each line that has to do with it.
    fn snippets<'a>(&'a self, place: &'a Place) -> Vec<Snippet<'a, Annotation<'a>>> {
        let mut snippets = vec![(place, snippet(place, AnnotationKind::Primary, None))];
        for related in &self.related {
            let label = Some(related.message.as_str());
            let (beside, last) = &mut snippets[0];
            if beside.text().order() == related.place.text().order()
                && beside.line() == related.place.line()
            {
                *last = last.clone().annotation(annotation(
                    &related.place,
                    AnnotationKind::Context,
                    label,
                ));
            } else {
                let other = snippet(&related.place, AnnotationKind::Context, label);
                snippets.push((&related.place, other));
            }
        }
        snippets.into_iter().map(|(_, snippet)| snippet).collect()
    }
}

/// One line, with a mark under `place`. The library counts from the start of
/// what it is given, so the line alone is enough, however long the file.
fn snippet<'a>(
    place: &'a Place,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Snippet<'a, Annotation<'a>> {
    let (line, _) = place.line_and_span();
    Snippet::source(line)
        .path(shown(place.text().path()))
        .line_start(place.line())
        .annotation(annotation(place, kind, label))
}

fn annotation<'a>(place: &Place, kind: AnnotationKind, label: Option<&'a str>) -> Annotation<'a> {
    let (_, span) = place.line_and_span();
    kind.span(span).label(label)
}
