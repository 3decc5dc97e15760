//! Customer lists as Python's csv module reads them.
//!
//! `poolguard_tests::fuzz::customer_list` takes the lines that are mistakes out of
//! a list. The rows of the rest have to be those that Python finds in it, field by
//! field.

#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::IpAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use ipnet::IpNet;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use poolguard_tests::fuzz::customer_list::{Rest, account_for};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

/// Lines of JSON: a text goes in, its records with the numbers of their lines come
/// out.
const SCRIPT: &str = r#"
import csv, io, json, sys
for line in sys.stdin:
    text = io.StringIO(json.loads(line).removeprefix("\ufeff"), newline="")
    records = csv.reader(text)
    print(json.dumps([(records.line_num, fields) for fields in records]), flush=True)
"#;

/// A Python that reads one list after the other.
struct Python {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Self {
        let mut process = Command::new("python3")
            .args(["-I", "-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 cannot be run: `cargo xtask test` installs it");
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// The records of a text, each with the number of the line that it ends on.
    fn read(&mut self, text: &str) -> Vec<(usize, Vec<String>)> {
        writeln!(self.input, "{}", serde_json::to_string(text).unwrap()).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "Python takes no {text:?}");
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends with its input, which is dropped after this: it may still wait.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A row, with what its fields come to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    line: usize,
    prefix: IpNet,
    customer: String,
    ports: Vec<String>,
    smtp_out: bool,
    expires: Option<Timestamp>,
}

fn ours(rest: &Rest) -> Vec<Row> {
    let rows = rest.config.listed.iter().map(|(prefix, holder)| Row {
        line: holder.line,
        prefix,
        customer: holder.name.to_owned(),
        ports: holder
            .terms
            .allow_inbound
            .iter()
            .map(ToString::to_string)
            .collect(),
        smtp_out: holder.terms.allow_smtp_out,
        expires: holder.terms.expires,
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

fn pythons(rest: &Rest, python: &mut Python) -> Vec<Row> {
    let mut records = python.read(&without_comments(&rest.text)).into_iter();
    let Some((_, header)) = records.by_ref().find(|(_, fields)| says_something(fields)) else {
        return Vec::new();
    };
    let header: Vec<String> = header
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect();
    let rows = records.filter(|(_, fields)| says_something(fields));
    let rows = rows.map(|(line, fields)| {
        let field = |wanted: &str| {
            let number = header.iter().position(|name| name == wanted);
            number.map_or("", |number| fields[number].trim())
        };
        Row {
            line,
            prefix: prefix(field("prefix")),
            customer: field("customer").to_owned(),
            ports: field("allow_inbound")
                .split_whitespace()
                .map(ToOwned::to_owned)
                .collect(),
            smtp_out: field("allow_smtp_out").eq_ignore_ascii_case("true"),
            expires: end(field("expires")),
        }
    });
    rows.collect()
}

/// Lines for Python, which knows no comments, so that a double quote in one would
/// hide the rows behind it, and which ends two lines where there are two CR.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &str| {
        line.trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('#')
    };
    let lines = text.split('\n').map(|line| match is_comment(line) {
        true => "",
        false => line.trim_end_matches('\r'),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a record is more than a line for spreadsheets or empty fields.
fn says_something(fields: &[String]) -> bool {
    let mut written = fields
        .iter()
        .map(|field| field.trim())
        .filter(|field| !field.is_empty());
    let first = written.next().map(str::to_lowercase);
    !matches!(first.as_deref(), None | Some("sep=" | "sep=,"))
}

fn prefix(written: &str) -> IpNet {
    let alone = || written.parse::<IpAddr>().map(IpNet::from);
    written.parse().or_else(|_| alone()).unwrap()
}

/// When exemptions end: a date is over when its day is.
fn end(written: &str) -> Option<Timestamp> {
    if written.is_empty() {
        return None;
    }
    let day = written
        .parse::<Date>()
        .ok()
        .filter(|_| written.len() == "2027-01-31".len());
    Some(match day {
        Some(day) => day
            .tomorrow()
            .unwrap()
            .to_zoned(TimeZone::UTC)
            .unwrap()
            .timestamp(),
        None => written.parse().unwrap(),
    })
}

/// What a list is made of, right and wrong: the smallest is the most right.
fn lists() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        6 => Just("prefix,allow_inbound,allow_smtp_out,customer,expires"),
        1 => Just("Customer, PREFIX ,\"Expires\",Allow_Inbound,,"),
        1 => Just("prefix,customer"),
        1 => select(&["prefix", "prefix;customer", "prefix,customer,Prefix", "prefix,,customer"][..]),
    ];
    let before = prop_oneof![
        8 => Just(""),
        1 => select(&["\u{feff}", "\n", "# ours, \"all\n", "sep=,\n", "\"sep=,\",,\r\n", ",,,\n", "\u{feff}\n"][..]),
    ];
    let lines = prop::collection::vec((line(), line_end()), 0..8);
    (before, header, line_end(), lines).prop_map(|(before, header, end, lines)| {
        let lines = lines.into_iter().map(|(line, end)| line + end);
        [before, header, end]
            .into_iter()
            .map(str::to_owned)
            .chain(lines)
            .collect()
    })
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![48 => Just("\n"), 24 => Just("\r\n"), 2 => Just("\r\r\n"), 1 => Just("\r")]
}

fn line() -> impl Strategy<Value = String> {
    let rare = &[
        "",
        " ",
        ",,,,",
        "\"\",\" \"",
        "# note",
        " #\"",
        "#REF!,,,,",
        "\u{a0}",
        "\u{b}",
        "\u{85}",
        "\u{2028}",
    ][..];
    prop_oneof![
        20 => row(),
        1 => select(rare).prop_map(ToOwned::to_owned),
        1 => "[ ,\"a\u{e9}\t]{0,12}",
    ]
}

/// Five fields, as many as most headers name, or now and then another number.
fn row() -> impl Strategy<Value = String> {
    let prefix = (any::<u8>(), 0..30_u8, any::<bool>()).prop_map(|(a, b, is_v4)| match is_v4 {
        true => format!("10.{a}.0.{}/29", b / 8 * 8),
        false => format!("2001:db8:{a}:{b}::/64"),
    });
    let ports = mostly(
        &["", "25", "25 443/tcp", "80  25\u{a0}443"],
        &["25,80", "1,080", "x"],
    );
    let flag = mostly(&["", "true", "FALSE", "True"], &["WAHR"]);
    let name = prop_oneof![
        12 => Just("acme".to_owned()),
        12 => "[ -~\u{e4}\u{3000}\u{1f600}]{1,12}",
        1 => "[a\", \r\n\t\u{feff}]{0,6}",
    ];
    let expires = mostly(
        &["", "2027-01-31", "2027-01-31T18:00:00+02:00"],
        &["31.1.2027", "46418"],
    );
    let fields = (
        field(prefix),
        field(ports),
        field(flag),
        field(name),
        field(expires),
    );
    let shape = prop_oneof![24 => Just(5_usize), 1 => 1_usize..8];
    (fields, shape).prop_map(|((a, b, c, d, e), count)| {
        let mut fields = vec![a, b, c, d, e];
        fields.resize(count, String::new());
        fields.join(",")
    })
}

fn mostly(
    right: &'static [&'static str],
    wrong: &'static [&'static str],
) -> impl Strategy<Value = &'static str> {
    prop_oneof![24 => select(right), 1 => select(wrong)]
}

/// Text as it is written into a field: mostly rightly.
fn field<T: ToString>(text: impl Strategy<Value = T>) -> impl Strategy<Value = String> {
    let doubled = |text: &str| text.replace('"', "\"\"");
    (text, 0..96_u8).prop_map(move |(text, choice)| {
        let text = text.to_string();
        match choice {
            0 => text,
            1 => format!("\"{text}\""),
            2 => format!(" \"{}\"", doubled(&text)),
            3 => format!("\"{}\" ", doubled(&text)),
            4 => format!("\t{text} "),
            _ if text.contains(['"', ',', '\r', '\n']) || choice < 8 => {
                format!("\"{}\"", doubled(&text))
            }
            _ => text,
        }
    })
}

#[test]
fn every_line_is_a_row_as_python_reads_it_or_a_mistake() {
    let mut python = Python::start();
    let mut seen = Seen::default();
    let config = Config {
        cases: 4_096,
        failure_persistence: None,
        ..Config::default()
    };
    let python = RefCell::new(&mut python);
    let seen_so_far = RefCell::new(&mut seen);
    let outcome = TestRunner::new(config).run(&lists(), |text| {
        let mut seen = seen_so_far.borrow_mut();
        let Some(rest) = account_for(&text) else {
            seen.refused += 1;
            return Ok(());
        };
        let rows = ours(&rest);
        prop_assert_eq!(
            &rows,
            &pythons(&rest, &mut python.borrow_mut()),
            "{}",
            &rest.text
        );
        seen.rows += rows.len();
        seen.mistakes += usize::from(rest.text != text);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // What is compared is not nothing.
    assert!(
        seen.rows > 4_096 && seen.mistakes > 500 && seen.refused > 100,
        "{seen:?}"
    );
}

/// The conversion in docs/operations/customers.md: the export there, in ISO 8859-1,
/// comes to the list there, and that is accepted.
#[test]
fn a_billing_export_is_converted_as_the_handbook_says() {
    let handbook = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/operations/customers.md"
    );
    let handbook = fs::read_to_string(handbook).unwrap();
    let mut blocks = handbook.split("```").skip(1).step_by(2);
    let mut block = || blocks.next().unwrap().split_once('\n').unwrap().1;
    let (export, script, list) = (block(), block(), block());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conversion");
    fs::create_dir_all(&directory).unwrap();
    let latin_1: Vec<u8> = export.chars().map(|c| u8::try_from(c).unwrap()).collect();
    fs::write(directory.join("export.csv"), latin_1).unwrap();
    fs::write(directory.join("convert.py"), script).unwrap();
    let mut python = Command::new("python3");
    python.args(["convert.py", "export.csv", "customers.csv"]);
    let status = python.current_dir(&directory).status().unwrap();
    assert!(status.success());
    let converted = fs::read_to_string(directory.join("customers.csv")).unwrap();
    assert_eq!(converted, list);
    let rest = account_for(&converted).unwrap();
    assert_eq!(rest.text, converted, "no line of it is a mistake");
    let rows: Vec<_> = rest.config.listed.iter().map(|(_, row)| row).collect();
    assert_eq!(rows[0].name, "Müller & Söhne");
    assert_eq!(rows[0].ticket, Some("4711"));
    assert!(rows[0].terms.allow_smtp_out);
    assert!(rows[1].terms.allow_inbound.is_empty());
    fs::remove_dir_all(directory).unwrap();
}

/// What came of the lists that were drawn.
#[derive(Debug, Default)]
struct Seen {
    /// Lists of which nothing is read.
    refused: usize,
    /// Lists of which lines were mistakes.
    mistakes: usize,
    /// Rows on which both agree.
    rows: usize,
}
