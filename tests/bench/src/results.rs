//! What came of it.

use std::fmt::Write as _;

use serde::Serialize;

use super::{cases::Case, customers::Layout, subjects::Subject};

/// How something was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The program alone, through `BPF_PROG_TEST_RUN`.
    TestRun,
    /// Frames that arrive at an interface.
    Live,
}

/// One subject on one case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// How it was measured.
    pub way: Way,
    /// What was decided.
    pub case: &'static str,
    /// By whom.
    pub subject: &'static str,
    /// How many customers with exemptions there are; 0 where nobody looks.
    pub prefixes: u32,
    /// How they are spread.
    pub layout: Option<&'static str>,
    /// The IP version.
    pub family: u8,
    /// How many processors worked on it at the same time.
    pub processors: u32,
    /// What a frame takes, that of bringing it there included.
    pub ns_per_packet: f64,
    /// The same with a program that drops at once.
    pub floor_ns: f64,
    /// What the subject adds to that: the median of the rounds' differences.
    pub over_floor_ns: f64,
    /// Millions of frames a second, at that.
    pub mpps: f64,
}

impl Row {
    /// From the medians.
    pub fn new(
        way: Way,
        case: &Case,
        subject: Subject,
        tables: Option<(Layout, u32)>,
        medians: Medians,
    ) -> Self {
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            way,
            case: case.kind.name(),
            subject: subject.name(),
            prefixes: tables.map_or(0, |(_, prefixes)| prefixes),
            layout: tables.map(|(layout, _)| layout.name()),
            family: match case.family {
                filter_common::Family::V4 => 4,
                filter_common::Family::V6 => 6,
            },
            processors: 1,
            ns_per_packet: rounded(medians.total),
            floor_ns: rounded(medians.floor),
            over_floor_ns: rounded(medians.over_floor),
            mpps: rounded(1_000.0 / medians.total),
        }
    }
}

impl Row {
    /// The same, for each of so many processors.
    pub fn on_processors(self, processors: u32) -> Self {
        let mpps = f64::from(processors) * 1_000.0 / self.ns_per_packet;
        Self {
            processors,
            mpps: (mpps * 100.0).round() / 100.0,
            ..self
        }
    }
}

/// Of all rounds, in nanoseconds a frame.
#[derive(Clone, Copy, Debug)]
pub struct Medians {
    /// Of the subject.
    pub total: f64,
    /// Of the floor.
    pub floor: f64,
    /// Of what the subject took more than the floor in the same round.
    pub over_floor: f64,
}

/// What boxes do with one processor and with more, as a table in Markdown.
pub fn table_of_processors(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | customers | box | processors | ns a frame on each | generating it | millions a second | times one |\n\
         |---|--:|---|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let one = rows.iter().find(|other| {
            (other.case, other.subject, other.prefixes, other.processors)
                == (row.case, row.subject, row.prefixes, 1)
        });
        let times = row.mpps / one.map_or(f64::NAN, |one| one.mpps);
        let Row {
            case,
            subject,
            prefixes,
            processors,
            ns_per_packet,
            floor_ns,
            mpps,
            ..
        } = row;
        writeln!(
            text,
            "| {case} | {prefixes} | {subject} | {processors} | {ns_per_packet:.0} | {floor_ns:.0} | {mpps:.2} | {times:.2} |"
        )
        .unwrap();
    }
    text
}

/// Rows as a table in Markdown: one value of each, by the number of customers.
pub fn table(rows: &[Row], value: impl Fn(&Row) -> f64) -> String {
    let mut sizes: Vec<u32> = rows.iter().map(|row| row.prefixes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.retain(|prefixes| *prefixes != 0);
    let mut text = String::from("| case | IPv | customers | subject |");
    for size in &sizes {
        write!(text, " {size} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|");
    text.push_str(&"--:|".repeat(sizes.len()));
    let mut lines: Vec<(&Row, Vec<Option<f64>>)> = Vec::new();
    for row in rows {
        let same = |(other, _): &&mut (&Row, _)| {
            (other.case, other.family, other.layout, other.subject)
                == (row.case, row.family, row.layout, row.subject)
        };
        let line = match lines.iter_mut().find(same) {
            Some((_, line)) => line,
            None => {
                lines.push((row, vec![None; sizes.len()]));
                &mut lines.last_mut().unwrap().1
            }
        };
        for (cell, size) in line.iter_mut().zip(&sizes) {
            // Who looks at no customer costs the same with any number of them.
            if row.prefixes == *size || row.prefixes == 0 {
                *cell = Some(value(row));
            }
        }
    }
    for (row, cells) in lines {
        let (case, family, subject) = (row.case, row.family, row.subject);
        let layout = row.layout.unwrap_or("any");
        write!(text, "\n| {case} | {family} | {layout} | {subject} |").unwrap();
        for cell in cells {
            match cell {
                Some(value) => write!(text, " {value:.1} |"),
                None => write!(text, " |"),
            }
            .unwrap();
        }
    }
    text
}
