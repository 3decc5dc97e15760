//! Customer lists as spreadsheets, editors and scripts leave them: each line is
//! read, or called by what is wrong with it.

use policy::config::Memory;

use crate::{complete, lists::rows, load, same, wrong_files};

const HEADER: &str = "prefix,allow_inbound,allow_smtp_out,customer,expires\n";
const ROW: &str = "203.0.113.1,25,,acme,\n";

fn list(text: impl AsRef<[u8]>) -> Memory {
    let main = complete("customer_lists = [\"list.csv\"]\n");
    main.with("list.csv", text.as_ref())
}

/// Asserts that nothing is printed about a list, and what its rows are.
#[track_caller]
fn reads(text: &str, expected: &[&str]) {
    let loaded = load(&list(text)).unwrap();
    same(&loaded.warnings, "");
    assert_eq!(rows(&loaded.config), expected, "{text:?}");
}

/// The line that [`ROW`] comes to where it is the line with this number.
fn row(line: usize) -> String {
    format!("203.0.113.1/32 25 false acme never list.csv:{line}")
}

/// Asserts that a list has the row of [`ROW`] on this line, and nothing to say
/// about any other.
#[track_caller]
fn reads_row(text: &str, line: usize) {
    reads(text, &[&row(line)]);
}

/// Asserts all that is said about a list, a line for each.
#[track_caller]
fn says(text: impl AsRef<[u8]>, expected: &[&str]) {
    let report = match load(&list(&text)) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    let said: Vec<_> = report
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(text.as_ref()));
}

/// The same about a line below the header.
#[track_caller]
fn says_of_line(line: &str, expected: &[&str]) {
    says(format!("{HEADER}{line}\n{ROW}"), expected);
}

#[test]
fn a_list_of_nothing_is_a_warning() {
    for nothing in [
        "",
        "\u{feff}",
        "\n",
        "\r",
        "\r\n\r\n",
        " \t\n",
        ",,,,\n",
        "\"\",\"\"",
        "# soon\n",
        "sep=,",
    ] {
        says(
            nothing,
            &[
                "list.csv: an empty customer list (write its header and rows, or remove it from \
             `customer_lists`)",
            ],
        );
    }
}

#[test]
fn a_header_alone_is_a_warning() {
    for nothing in ["", "\n\n", ",,,,\n", "# soon\n"] {
        says(
            format!("\u{feff}\n{HEADER}{nothing}"),
            &[
                "list.csv:2:1: a customer list of a header and no rows (write rows, or remove it \
             from `customer_lists`)",
            ],
        );
    }
}

#[test]
fn what_may_come_before_the_header() {
    for before in [
        "\n",
        "\r\n",
        " \t\n",
        ",,,,\n",
        "# ours, \"all\n",
        "sep=,\n",
        "SEP=,,,,\n",
        "\"sep=,\"\n",
    ] {
        reads_row(&format!("{before}{HEADER}{ROW}"), 3);
        reads_row(&format!("\u{feff}{before}{HEADER}{ROW}"), 3);
    }
}

#[test]
fn line_ends() {
    for end in ["\n", "\r\n", "\r\r\n", "\n\r\n"] {
        let text = format!("{HEADER}{ROW}").replace('\n', end);
        let line = if end == "\n\r\n" { 3 } else { 2 };
        reads_row(&text, line);
        reads_row(text.trim_end(), line);
    }
}

/// A row more or less between two that are read: none says a word about it.
#[test]
fn lines_that_say_nothing() {
    let nothing = [
        "",
        " ",
        "\t",
        "\u{a0}",
        "\u{3000}",
        ",",
        ",,,,",
        ",,,,,,,,",
        " ,\"\" ,\" \"",
        "#",
        "# a, \"b",
        "  #x",
    ];
    for nothing in nothing {
        reads(
            &format!("{HEADER}{ROW}{nothing}\n203.0.113.2,,true,bcme,"),
            &[&row(2), "203.0.113.2/32  true bcme never list.csv:4"],
        );
    }
}

#[test]
fn lines_that_end_with_cr_alone() {
    let help = "(convert them to LF: `tr '\\r' '\\n' < old.csv > new.csv`)";
    let said = |column| format!("list.csv:1:{column}: lines that end with CR alone {help}");
    for (before, column) in [("", 53), ("# ours\n", 7), ("\n\n", 1)] {
        let text = format!("{before}{HEADER}{ROW}").replace('\n', "\r");
        says(&text, &[&said(column)]);
        says(format!("{text}\n"), &[&said(column)]);
    }
    says(HEADER.replace(",customer", "\r,customer"), &[&said(36)]);
}

#[test]
fn a_cr_within_a_line() {
    let help = "(end each line with LF, or with CR and LF, and with nothing else)";
    let said =
        |column: usize| format!("list.csv:2:{column}: a carriage return (CR) within a line {help}");
    says_of_line("203.0.113.2,25,,bcme,\r203.0.113.3,25,,ccme,", &[&said(22)]);
    says_of_line("203.0.113.2,25,,\"b\rcme\",", &[&said(19)]);
    says_of_line("# ours\r203.0.113.3,25,,ccme,", &[&said(7)]);
    says_of_line("\r203.0.113.3,25,,ccme,", &[&said(1)]);
}

#[test]
fn control_characters() {
    for (c, name) in [
        ('\u{b}', "000B"),
        ('\u{c}', "000C"),
        ('\u{1a}', "001A"),
        ('\u{1b}', "001B"),
        ('\u{7f}', "007F"),
        ('\u{85}', "0085"),
        ('\u{2028}', "2028"),
        ('\u{2029}', "2029"),
        ('\u{202e}', "202E"),
        ('\u{2066}', "2066"),
    ] {
        let said = |column: usize| {
            format!(
                "list.csv:2:{column}: a control character, U+{name} (remove it: nobody can see it)"
            )
        };
        says_of_line(&c.to_string(), &[&said(1)]);
        says_of_line(&format!("203.0.113.2,25,,b{c}me,"), &[&said(18)]);
        says_of_line(&format!("203.0.113.2,25,,bcme,{c}"), &[&said(22)]);
        says_of_line(&format!("#{c}"), &[&said(2)]);
    }
    says_of_line(
        "203.0.113.2,25,,b\tme,",
        &[
            "list.csv:2:17: a name with control characters (write a name of letters, digits, blanks \
         and signs)",
        ],
    );
    // Names in any script, and what holds letters and pictures together.
    reads(
        &format!("{HEADER}203.0.113.2,,true,क्‍ष 👩‍👧 عميل,"),
        &["203.0.113.2/32  true क्‍ष 👩‍👧 عميل never list.csv:2"],
    );
}

#[test]
fn byte_order_marks() {
    reads_row(&format!("\u{feff}{HEADER}{ROW}"), 2);
    reads_row(&format!("\u{feff}# ours\n{HEADER}{ROW}"), 3);
    let help = "(remove it: it is left over where one file was put behind another)";
    let said =
        |place| format!("list.csv:{place}: a byte order mark that does not begin the file {help}");
    says(format!("\u{feff}\u{feff}{HEADER}{ROW}"), &[&said("1:1")]);
    says(format!("\n\u{feff}{HEADER}{ROW}"), &[&said("2:1")]);
    says_of_line("\u{feff}203.0.113.2,25,,bcme,", &[&said("2:1")]);
}

#[test]
fn other_encodings() {
    let text = format!("{HEADER}{ROW}");
    let help = "(save the file as UTF-8: `iconv -f UTF-16 -t UTF-8 < old > new`)";
    let said = format!("list.csv: text in UTF-16 {help}");
    let units = || [0xfeff].into_iter().chain(text.encode_utf16());
    says(
        units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        &[&said],
    );
    says(
        units().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
        &[&said],
    );
    let nul = |column| {
        format!(
            "list.csv:1:{column}: a NUL byte (save the file as UTF-8: one in UTF-16 has a NUL for every letter)"
        )
    };
    let units = || text.encode_utf16();
    says(
        units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        &[&nul(2)],
    );
    says(
        units().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
        &[&nul(1)],
    );
    let latin_1 = [HEADER.as_bytes(), b"203.0.113.1,25,,M\xfcller,\n"].concat();
    says(
        latin_1,
        &[
            "list.csv:2:18: byte 0xfc is not UTF-8 (save the file as UTF-8: the byte is `ü` in ISO \
         8859-1)",
        ],
    );
}

#[test]
fn quotes() {
    reads(
        &format!(
            "{}\"203.0.113.2\",\"\",\"true\",\"Joe \"\"Pizza, Pasta\"\" Inc\",\"2027-01-31\"\n\
             203.0.113.3,\"25 80\",,\" b \"  ,\n\"203.0.113.4\",,TRUE,\"\"\"\",\"\"\n",
            HEADER.replace("customer", "\"customer\"")
        ),
        &[
            "203.0.113.2/32  true Joe \"Pizza, Pasta\" Inc 2027-02-01T00:00:00Z list.csv:2",
            "203.0.113.3/32 25+80 false b never list.csv:3",
            "203.0.113.4/32  true \" never list.csv:4",
        ],
    );
    wrong_files(
        &list(
            "prefix,customer\n\
             203.0.113.16/29,Joe \"Pizza, Pasta\" Inc\n\
             203.0.113.2, \"Pizza, Pasta\"\n\
             203.0.113.3,\"Joe\" \"Pizza\"\n\
             203.0.113.4,\"Joe \"Pizza\n\
             203.0.113.5,\"Joe\n\
             Pizza\"\n",
        ),
        r#"
error: a double quote in a field that does not begin with one
 --> list.csv:2:21
  |
2 | 203.0.113.16/29,Joe "Pizza, Pasta" Inc
  |                     ^
  |
  = help: write the whole field in double quotes, and those within it twice: "Joe ""J"" Inc"

error: a blank between a comma and the double quote that begins a field
 --> list.csv:3:14
  |
3 | 203.0.113.2, "Pizza, Pasta"
  |              ^
  |
  = help: remove the blank

error: text between the double quote that ends a field and the next comma
 --> list.csv:4:19
  |
4 | 203.0.113.3,"Joe" "Pizza"
  |                   ^^^^^^^
  |
  = help: a double quote within quotes is written twice

error: text between the double quote that ends a field and the next comma
 --> list.csv:5:19
  |
5 | 203.0.113.4,"Joe "Pizza
  |                   ^^^^^
  |
  = help: a double quote within quotes is written twice

error: a double quote without the one that ends it
 --> list.csv:6:13
  |
6 | 203.0.113.5,"Joe
  |             ^
  |
  = help: a field ends on its line; a double quote within quotes is written twice

error: a double quote in a field that does not begin with one
 --> list.csv:7:6
  |
7 | Pizza"
  |      ^
  |
  = help: write the whole field in double quotes, and those within it twice: "Joe ""J"" Inc"
"#,
    );
}

#[test]
fn other_separators() {
    let help = "(separate fields by commas: spreadsheets offer that where a file is exported)";
    for (separator, name) in [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")] {
        let said = format!("list.csv:1:1: fields that are separated by {name} {help}");
        says(format!("{HEADER}{ROW}").replace(',', separator), &[&said]);
        says(
            format!("\"Prefix\"{separator}\"Customer\"\n"),
            // A tab is a blank behind the quotes.
            &[&said.replace(":1:1:", if separator == "\t" { ":1:10:" } else { ":1:9:" })],
        );
        let said = format!("list.csv:2:1: fields that are separated by {name} {help}");
        says_of_line(&"203.0.113.2,25,,bcme,".replace(',', separator), &[&said]);
        says_of_line(
            &format!("203.0.113.2{separator}25,80{separator}bcme"),
            &[&said],
        );
        let said = format!("list.csv:1:1: fields that are not separated by commas {help}");
        says(format!("sep={separator}x\n{HEADER}{ROW}"), &[&said]);
    }
    let said = format!("list.csv:1:1: fields that are not separated by commas {help}");
    says(format!("sep=;\n{HEADER}{ROW}"), &[&said]);
    says(format!("\"sep=;\"\n{HEADER}{ROW}"), &[&said]);
    // It is part of a name where it separates nothing.
    reads(
        &format!("{HEADER}203.0.113.2,,true,b;c|d,"),
        &["203.0.113.2/32  true b;c|d never list.csv:2"],
    );
}

#[test]
fn headers_as_spreadsheets_write_them() {
    for header in [
        "Prefix,Allow_Inbound,ALLOW_SMTP_OUT,Customer,expires",
        " prefix ,\tallow_inbound,allow_smtp_out ,\u{a0}customer,expires",
        "\"prefix\",\"allow_inbound\",\"allow_smtp_out\",\"customer\",\"expires\"",
        "prefix,allow_inbound,allow_smtp_out,customer,expires,",
        "prefix,allow_inbound,allow_smtp_out,customer,expires,,, ,",
    ] {
        reads_row(&format!("{header}\n{ROW}"), 2);
        reads_row(&format!("{header}\n{}", ROW.replace('\n', ",,\n")), 2);
    }
    let help = "(the header names the columns: prefix,allow_inbound,allow_smtp_out,customer,expires,ticket)";
    says(
        "Prefix,customer,PREFIX\n",
        &["list.csv:1:17: column `prefix` is given twice (remove one of them)"],
    );
    says(
        "prefix,,customer,Allow Inbound,Kunde\n",
        &[
            "list.csv:1:8: a column without a name (name it, or remove it from every line)",
            "list.csv:1:18: unknown column `Allow Inbound` (did you mean `allow_inbound`?)",
            &format!("list.csv:1:32: unknown column `Kunde` {help}"),
        ],
    );
    let said = format!("list.csv:1:1: a row where the header should be {help}");
    says(ROW, &[&said]);
    let said = format!("list.csv:2:1: a row where the header should be {help}");
    says(format!("#{HEADER}{ROW}"), &[&said]);
    let report = load(&list("prefix,".to_owned() + &"x,".repeat(100_000))).unwrap_err();
    assert_eq!(report.errors(), 11);
    let last = report
        .diagnostics()
        .iter()
        .find(|last| last.column == Some(1))
        .unwrap();
    assert_eq!(last.message, "as much is wrong with 99990 more columns");
}

#[test]
fn fields_that_are_too_few_or_too_many() {
    let help = "(leave fields empty, and write those with commas in them in double quotes; ports \
                are separated by blanks)";
    let said = |count| format!("list.csv:2:1: {count} fields, where the header names 5 {help}");
    reads(
        &format!("{HEADER}203.0.113.2,25,,bcme,,, ,\"\",\n"),
        &["203.0.113.2/32 25 false bcme never list.csv:2"],
    );
    says_of_line("203.0.113.2,25,,bcme", &[&said(4)]);
    says_of_line("203.0.113.2,25,80,,bcme,2027-01-31", &[&said(6)]);
    says_of_line("203.0.113.2,25,,bcme,,,,x", &[&said(8)]);
    let many = format!("203.0.113.2,25,,bcme,{}x", ",".repeat(100_000));
    says_of_line(&many, &[&said(100_005)]);
    let loaded = load(&list(format!("{HEADER}{ROW}{}\n", ",".repeat(100_000)))).unwrap();
    assert_eq!(loaded.config.listed.len(), 1);
}

#[test]
fn error_values_of_spreadsheets() {
    let comment = "an error value of a spreadsheet, where a comment or a row should begin";
    let help = "(correct the formula and export the list again; a comment begins with `# `)";
    let said = format!("list.csv:2:1: {comment} {help}");
    for value in ["#REF!", "#N/A", "#NAME?", "#WERT!", "#NV"] {
        says_of_line(&format!("{value},25,,bcme,"), &[&said]);
        says_of_line(value, &[&said]);
        let said = format!(
            "list.csv:2:17: `{value}` is an error value of a spreadsheet (correct the formula \
             there, and export the list again)"
        );
        says_of_line(&format!("203.0.113.2,25,,{value},"), &[&said]);
    }
}

/// A name may begin as a comment does, and then a customer would be gone.
#[test]
fn a_comment_like_a_row() {
    let text =
        |line: &str| format!("customer,prefix,allow_smtp_out\n{line}\nacme,203.0.113.1,true\n");
    says(
        text("#1 Pizza,203.0.113.2,true"),
        &[
            "list.csv:2:1: a comment like a row (write the customer in double quotes for a row, a \
         blank after `#` for a comment)",
        ],
    );
    let acme = "203.0.113.1/32  true acme never list.csv:3";
    for comment in [
        "# 1 Pizza,203.0.113.2,true",
        "#1 Pizza,203.0.113.2",
        "#1,2,3",
    ] {
        reads(&text(comment), &[acme]);
    }
    let pizza = "203.0.113.2/32  true #1 Pizza never list.csv:2";
    reads(&text("\"#1 Pizza\",203.0.113.2,true"), &[acme, pizza]);
}

#[test]
fn values_of_spreadsheets() {
    reads(
        &format!("{HEADER}203.0.113.2,,TRUE,bcme,\n203.0.113.3,25,False,ccme,"),
        &[
            "203.0.113.2/32  true bcme never list.csv:2",
            "203.0.113.3/32 25 false ccme never list.csv:3",
        ],
    );
    for word in ["WAHR", "1", "yes", "x"] {
        let said = format!(
            "list.csv:2:14: `{word}` is neither true nor false (write true, or false or nothing)"
        );
        says_of_line(&format!("203.0.113.2,,{word},bcme,"), &[&said]);
    }
}

#[test]
fn dates_of_spreadsheets() {
    let as_text = "in a spreadsheet, format the column as text";
    for (written, meant) in [
        ("31.1.2027", "2027-01-31"),
        ("31.01.2027 00:00", "2027-01-31"),
        ("1/31/2027", "2027-01-31"),
        ("1/2/2027", "2027-01-02 or 2027-02-01"),
        ("2/2/2027", "2027-02-02"),
        ("2027/1/31", "2027-01-31"),
        ("2027-1-31", "2027-01-31"),
        ("31-01-27", "2027-01-31 or 2031-01-27"),
    ] {
        let said = format!(
            "list.csv:2:22: `{written}` is a date as a spreadsheet writes it (write {meant}; {as_text})"
        );
        says_of_line(&format!("203.0.113.2,25,,bcme,{written}"), &[&said]);
    }
    says_of_line(
        "203.0.113.2,25,,bcme,46418",
        &[&format!(
            "list.csv:2:22: `46418` is a date as a spreadsheet counts days (write 2027-01-31; {as_text})"
        )],
    );
    let help = "(write a date such as 2027-01-31, or a moment such as 2027-01-31T18:00:00Z)";
    for written in [
        "31-Jan-27",
        "2027-02-30",
        "32.1.2027",
        "2027",
        "1.2",
        "never",
    ] {
        let said = format!("list.csv:2:22: `{written}` is not a date {help}");
        says_of_line(&format!("203.0.113.2,25,,bcme,{written}"), &[&said]);
    }
    says_of_line(
        "203.0.113.2,25,,bcme,2027-01-31 18:00:00",
        &[
            "list.csv:2:22: a date and time without an offset (add `Z` for UTC: 2027-01-31 18:00:00Z)",
        ],
    );
}

#[test]
fn ports_of_spreadsheets() {
    let as_text = "in a spreadsheet, format the column as text";
    for (written, help) in [
        ("25,80", "separate ports by blanks: 25 80"),
        ("25, 80,443/tcp", "separate ports by blanks: 25 80 443/tcp"),
        ("25;80", "separate ports by blanks: 25 80"),
        (
            "1,080",
            &format!("write 1080 for one port, 1 080 for two; {as_text}"),
        ),
        ("99,999", "separate ports by blanks: 99 999"),
        (
            "25,443",
            &format!("write 25443 for one port, 25 443 for two; {as_text}"),
        ),
    ] {
        let said =
            format!("list.csv:2:13: `{written}` has more than blanks between ports ({help})");
        says_of_line(&format!("203.0.113.2,\"{written}\",,bcme,"), &[&said]);
    }
    says_of_line(
        "203.0.113.2,\"25,x\",,bcme,",
        &[
            "list.csv:2:13: `25,x` is not a port (write a port such as 443, a range such as \
         \"8000-8080\", or \"443/tcp\" for one protocol)",
        ],
    );
}
