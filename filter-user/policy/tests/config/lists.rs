//! Customer lists: customers by the million, in CSV.

use std::sync::Arc;

use policy::config::{Config, Memory};

use crate::{complete, load, same, wrong_files};

const HEADER: &str = "prefix,allow_inbound,allow_smtp_out,customer,expires\n";

/// A configuration with this list.
fn with_list(rows: &str) -> Memory {
    let main = complete("customer_lists = [\"customers.csv\"]\n");
    main.with("customers.csv", format!("{HEADER}{rows}"))
}

#[track_caller]
fn fine(files: &Memory) -> Config {
    let loaded = load(files).unwrap();
    same(&loaded.warnings, "");
    Arc::unwrap_or_clone(loaded.config)
}

/// Asserts all that is printed about a list that is accepted.
#[track_caller]
fn dubious(rows: &str, printed: &str) {
    let loaded = load(&with_list(rows)).unwrap();
    assert!(loaded.warnings.warnings() > 0);
    same(&loaded.warnings, printed);
}

/// The rows in words, in their order.
pub(crate) fn rows(config: &Config) -> Vec<String> {
    let rows = config.listed.iter();
    rows.map(|(prefix, holder)| {
        let terms = holder.terms;
        let ports: Vec<_> = terms
            .allow_inbound
            .iter()
            .map(ToString::to_string)
            .collect();
        let expires = terms
            .expires
            .map_or("never".to_owned(), |at| at.to_string());
        format!(
            "{prefix} {} {} {} {expires} {}:{}",
            ports.join("+"),
            terms.allow_smtp_out,
            holder.name,
            holder.file.display(),
            holder.line
        )
    })
    .collect()
}

#[test]
fn a_row_is_a_customers_prefix() {
    let config = fine(&with_list(
        "203.0.113.16/29,25 443/tcp,true,acme,2027-01-31\n\
         203.0.113.8/29,80,,acme,\n\
         \n\
         203.0.113.1,,true,\"Smith, \"\"Jones\"\" & Söhne\",2027-01-31T18:00:00+02:00\r\n\
         203.0.113.2 , 25 , false , bcme , ",
    ));
    assert_eq!(
        rows(&config),
        [
            "203.0.113.1/32  true Smith, \"Jones\" & Söhne 2027-01-31T16:00:00Z customers.csv:5",
            "203.0.113.2/32 25 false bcme never customers.csv:6",
            "203.0.113.8/29 80 false acme never customers.csv:3",
            "203.0.113.16/29 25+443/tcp true acme 2027-02-01T00:00:00Z customers.csv:2",
        ]
    );
}

#[test]
fn columns_come_in_any_order_and_some_may_lack() {
    let files = complete("customer_lists = [\"lists/*.csv\"]\n")
        .with(
            "lists/b.csv",
            "customer,prefix,allow_inbound\nbcme,203.0.113.2,25\n",
        )
        .with(
            "lists/a.csv",
            "\u{feff}prefix,customer,allow_smtp_out\n203.0.113.3,acme,true\n",
        )
        .with("lists/.hidden.csv", "no list");
    let config = fine(&files);
    assert_eq!(
        rows(&config),
        [
            "203.0.113.2/32 25 false bcme never lists/b.csv:2",
            "203.0.113.3/32  true acme never lists/a.csv:2",
        ]
    );
    let read = load(&files).unwrap().texts.paths();
    assert_eq!(read.len(), 3, "{read:?}");
}

#[test]
fn every_mistake_of_a_list_at_once() {
    wrong_files(
        &with_list(
            "203.0.113.9/29,25,,host bits,\n\
             ,25,,no prefix,\n\
             203.0.113.1,25 433x,yes,,31.1.2027\n\
             203.0.113.2,25,,\"no end,\n\
             203.0.113.3,25\n\
             203.0.113.4,3389,,not forbidden,\n\
             203.0.113.5,25 25/tcp,,twice,2027-02-30\n\
             192.0.2.1,25,,outside,\n",
        ),
        r#"
error: 203.0.113.9/29 has host bits set
 --> customers.csv:2:1
  |
2 | 203.0.113.9/29,25,,host bits,
  | ^^^^^^^^^^^^^^
  |
  = help: write "203.0.113.8/29", or "203.0.113.9" for the one address

error: `` is not a prefix
 --> customers.csv:3:1
  |
3 | ,25,,no prefix,
  | ^
  |
  = help: write a prefix such as "198.51.100.0/24" or "2001:db8::/32"

error: `433x` is not a port
 --> customers.csv:4:13
  |
4 | 203.0.113.1,25 433x,yes,,31.1.2027
  |             ^^^^^^^
  |
  = help: write a port such as 443, a range such as "8000-8080", or "443/tcp" for one protocol

error: `yes` is neither true nor false
 --> customers.csv:4:21
  |
4 | 203.0.113.1,25 433x,yes,,31.1.2027
  |                     ^^^
  |
  = help: write true, or false or nothing

error: an empty name
 --> customers.csv:4:25
  |
4 | 203.0.113.1,25 433x,yes,,31.1.2027
  |                         ^
  |
  = help: write a name that says who it is

error: `31.1.2027` is a date as a spreadsheet writes it
 --> customers.csv:4:26
  |
4 | 203.0.113.1,25 433x,yes,,31.1.2027
  |                          ^^^^^^^^^
  |
  = help: write 2027-01-31; in a spreadsheet, format the column as text

error: a double quote without the one that ends it
 --> customers.csv:5:17
  |
5 | 203.0.113.2,25,,"no end,
  |                 ^
  |
  = help: a field ends on its line; a double quote within quotes is written twice

error: 2 fields, where the header names 5
 --> customers.csv:6:1
  |
6 | 203.0.113.3,25
  | ^^^^^^^^^^^^^^
  |
  = help: leave fields empty, and write those with commas in them in double quotes; ports are separated by blanks

error: port 3389 is not forbidden toward customer `not forbidden`
 --> customers.csv:7:13
  |
7 | 203.0.113.4,3389,,not forbidden,
  |             ^^^^
  |
  = help: remove it: pool `dsl` forbids 25, 80, 109, 110, 139, 194, 443, 1080, 8000 and 8080

error: `2027-02-30` is not a date
 --> customers.csv:8:30
  |
8 | 203.0.113.5,25 25/tcp,,twice,2027-02-30
  |                              ^^^^^^^^^^
  |
  = help: write a date such as 2027-01-31, or a moment such as 2027-01-31T18:00:00Z

error: 192.0.2.1/32 of customer `outside` lies in no pool
 --> customers.csv:9:1
  |
9 | 192.0.2.1,25,,outside,
  | ^^^^^^^^^
  |
  = help: correct it, or add it to a pool of kind "static"
"#,
    );
}

#[test]
fn a_header_that_names_no_columns() {
    let list =
        |text: &str| complete("customer_lists = [\"customers.csv\"]\n").with("customers.csv", text);
    wrong_files(
        &list("prefix,alow_inbound,prefix,colour\n203.0.113.9/29,25\n"),
        r#"
error: unknown column `alow_inbound`
 --> customers.csv:1:8
  |
1 | prefix,alow_inbound,prefix,colour
  |        ^^^^^^^^^^^^
  |
  = help: did you mean `allow_inbound`?

error: column `prefix` is given twice
 --> customers.csv:1:21
  |
1 | prefix,alow_inbound,prefix,colour
  |                     ^^^^^^
  |
  = help: remove one of them

error: unknown column `colour`
 --> customers.csv:1:28
  |
1 | prefix,alow_inbound,prefix,colour
  |                            ^^^^^^
  |
  = help: the header names the columns: prefix,allow_inbound,allow_smtp_out,customer,expires,ticket
"#,
    );
    wrong_files(
        &list("allow_inbound\n"),
        r#"
error: the header lacks `prefix` and `customer`
 --> customers.csv:1:1
  |
1 | allow_inbound
  | ^^^^^^^^^^^^^
  |
  = help: the header names the columns: prefix,allow_inbound,allow_smtp_out,customer,expires,ticket
"#,
    );
}

#[test]
fn what_is_given_twice_wherever_it_is() {
    let files = complete(
        r#"
customer_lists = ["a.csv", "b.csv"]
[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
"#,
    )
    .with(
        "a.csv",
        "prefix,customer,allow_inbound\n\
         203.0.113.8/29,bcme,25\n\
         203.0.113.1,acme,25\n\
         203.0.113.2,ccme,25\n\
         203.0.113.3,dcme,25 80 25/udp\n",
    )
    .with(
        "b.csv",
        "prefix,customer,allow_inbound\n203.0.113.2/32,ccme,80\n203.0.113.4,ccme,80\n",
    );
    wrong_files(
        &files,
        r#"
error: prefix 203.0.113.8/29 is given twice
 --> a.csv:2:1
  |
2 | 203.0.113.8/29,bcme,25
  | ^^^^^^^^^^^^^^
  |
 ::: poolguard.toml:4:13
  |
4 | prefixes = ["203.0.113.8/29"]
  |             ---------------- first given here
  |
  = help: remove one of them

error: port 25/udp is given twice
 --> a.csv:5:18
  |
5 | 203.0.113.3,dcme,25 80 25/udp
  |                  ^^^^^^^^^^^^
  |                  |
  |                  first given here
  |
  = help: remove one of them

error: prefix 203.0.113.2/32 is given twice
 --> b.csv:2:1
  |
2 | 203.0.113.2/32,ccme,80
  | ^^^^^^^^^^^^^^
  |
 ::: a.csv:4:1
  |
4 | 203.0.113.2,ccme,25
  | ----------- first given here
  |
  = help: remove one of them
"#,
    );
}

#[test]
fn warnings_about_rows() {
    dubious(
        "203.0.113.8/29,25,,outer,\n\
         203.0.113.8/30,80,,lower half,\n\
         203.0.113.12/30,80,,upper half,2026-06-01\n\
         203.0.113.1,,,nothing,\n\
         203.0.113.2,25,,something,\n",
        r#"
warning: the exemptions of customer `outer` can never match in 203.0.113.8/29: more specific prefixes cover all of it
 --> customers.csv:2:1
  |
2 | 203.0.113.8/29,25,,outer,
  | ^^^^^^^^^^^^^^
  |
  = help: remove the prefix here, or the customers and pools in it

warning: the exemptions of customer `upper half` have expired
 --> customers.csv:4:32
  |
4 | 203.0.113.12/30,80,,upper half,2026-06-01
  |                                ^^^^^^^^^^
  |
  = help: remove the customer, or write a later date
"#,
    );
}

#[test]
fn a_table_covered_by_rows() {
    let files = complete(
        "customer_lists = [\"customers.csv\"]\n\
         [[customer]]\nname = \"outer\"\nprefixes = [\"203.0.113.8/31\"]\nallow_inbound = [25]\n",
    )
    .with(
        "customers.csv",
        "prefix,customer,allow_inbound\n203.0.113.8,a,25\n203.0.113.9,b,25\n",
    );
    let loaded = load(&files).unwrap();
    let text = loaded.warnings.to_string();
    assert!(text.contains("can never match in 203.0.113.8/31"), "{text}");
}

/// The first lines are shown, and the others counted; so are warnings, which do
/// not take the place of mistakes.
#[test]
fn thousands_of_wrong_lines() {
    let expired = (1..=100).map(|n| format!("203.0.113.{n},25,,expired {n},2026-01-01\n"));
    let wrong = (1..=10_000).map(|n| format!("host{n},25,,acme,\n"));
    let outside = (0..100).map(|n| format!("192.0.2.{n},25,,outside {n},\n"));
    let rows: String = expired.chain(wrong).chain(outside).collect();
    let report = load(&with_list(&rows)).unwrap_err();
    assert_eq!((report.errors(), report.warnings()), (21, 21));
    let lines: Vec<_> = report
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        lines[20].starts_with("customers.csv:102:1: `host1` is not"),
        "{}",
        lines[20]
    );
    assert_eq!(
        lines[40..],
        [
            "customers.csv: as much is wrong with 10080 more lines of this file (they are shown \
             once those above are mended)",
            "customers.csv: warnings about 80 more lines of this file (they are shown once those \
             above are mended)",
        ]
    );
}

#[test]
fn mistakes_are_found_behind_thousands_of_warnings() {
    let expired = (0..256).map(|n| format!("203.0.113.{n},25,,expired {n},2026-01-01\n"));
    let rows: String = expired
        .chain(["192.0.2.1,25,,outside,\n".to_owned()])
        .collect();
    let report = load(&with_list(&rows)).unwrap_err();
    assert_eq!(report.errors(), 1);
}

#[test]
fn a_list_that_cannot_be_read() {
    wrong_files(
        &complete("customer_lists = [\"customers.csv\"]\n"),
        r#"
error: customers.csv does not exist
 --> poolguard.toml:1:19
  |
1 | customer_lists = ["customers.csv"]
  |                   ^^^^^^^^^^^^^^^
  |
  = help: includes are relative to the file that names them
"#,
    );
    wrong_files(
        &complete("customer_lists = [\"customers.csv\"]\n")
            .with("customers.csv", b"prefix,customer\n203.0.113.1,\xff\n"),
        r#"
error: byte 0xff is not UTF-8
 --> customers.csv:2:13
  |
2 | 203.0.113.1,�
  |             ^
  |
  = help: save the file as UTF-8: the byte is `ÿ` in ISO 8859-1
"#,
    );
}

#[test]
fn lists_are_named_in_the_main_file() {
    wrong_files(
        &complete("include = [\"more.toml\"]\n")
            .with("more.toml", "customer_lists = [\"customers.csv\"]\n"),
        r#"
error: `customer_lists` in an included file
 --> more.toml:1:1
  |
1 | customer_lists = ["customers.csv"]
  | ^^^^^^^^^^^^^^
  |
  = help: move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]
"#,
    );
}

/// What a trial goes back to is kept on disk.
#[test]
fn kept_and_found_again() {
    let config = fine(&with_list(
        "203.0.113.16/29,25 443/tcp,true,acme,2027-01-31\n\
         203.0.113.32/28,,true,\"a b, c\",\n203.0.113.1,25,,acme,\n",
    ));
    let text = serde_json::to_string(&config).unwrap();
    let found: Config = serde_json::from_str(&text).unwrap();
    assert_eq!(rows(&found), rows(&config));
    for damaged in [
        text.replace(" 0 2 ", " 1 2 "),
        text.replace("203.0.113.16/29 ", "203.0.113.16/33 "),
        text.replace("203.0.113.16/29 0", "203.0.113.16/29"),
    ] {
        assert_ne!(damaged, text);
        assert!(
            serde_json::from_str::<Config>(&damaged).is_err(),
            "{damaged}"
        );
    }
}

/// Every key that a table has is a column, and the other way round.
#[test]
fn a_ticket_as_a_table_has_it() {
    let header = "customer,prefix,ticket,allow_inbound\n";
    let list = |rows: &str| {
        complete("customer_lists = [\"customers.csv\"]\n")
            .with("customers.csv", format!("{header}{rows}"))
    };
    let files = list(
        "acme,203.0.113.1,NOC-1,25\nacme,203.0.113.2,NOC-1,80\nacme,203.0.113.3,,80\n\
         b,203.0.113.4,\"Müller, 2\",\n",
    );
    let config = fine(&files);
    let tickets = |config: &Config| -> Vec<(String, Option<String>)> {
        let rows = config.listed.iter().map(|(_, holder)| holder);
        rows.map(|holder| (holder.name.to_owned(), holder.ticket.map(str::to_owned)))
            .collect()
    };
    let expected = [
        ("acme", Some("NOC-1")),
        ("acme", Some("NOC-1")),
        ("acme", None),
        ("b", Some("Müller, 2")),
    ];
    let expected = expected.map(|(name, ticket)| (name.to_owned(), ticket.map(str::to_owned)));
    assert_eq!(tickets(&config), expected);
    assert_eq!(
        config.listed.names().collect::<Vec<_>>(),
        ["acme", "acme", "b"]
    );
    // As a trial keeps it.
    let kept = serde_json::to_string(&config).unwrap();
    let again: Config = serde_json::from_str(&kept).unwrap();
    assert_eq!(again, config);
    assert_eq!(tickets(&again), expected);

    let long = "x".repeat(120);
    fine(&list(&format!("a,203.0.113.1,{long},25\n")));
    let refused = |ticket: &str| {
        let row = format!("a,203.0.113.1,{ticket},25\n");
        load(&list(&row)).unwrap_err().summary()
    };
    assert!(refused(&format!("{long}x")).contains("a ticket of 121 bytes"));
    assert!(refused("#REF!").contains("an error value of a spreadsheet"));
    assert!(refused("a\u{1b}[2J").contains("a control character"));
    let table = |ticket: &str| {
        let main = format!(
            "[[customer]]\nname = \"a\"\nprefixes = [\"203.0.113.1\"]\nticket = \"{ticket}\"\n"
        );
        load(&complete(&main))
            .map(|_| ())
            .map_err(|report| report.summary())
    };
    assert_eq!(table(&long), Ok(()));
    assert!(
        table(&format!("{long}x"))
            .unwrap_err()
            .contains("a ticket of 121 bytes")
    );
}

/// What a billing system writes is refused by name, each thing with what to write.
#[test]
fn a_billing_export_is_refused_by_name() {
    let refused = |list: &[u8]| {
        let files = complete("customer_lists = [\"customers.csv\"]\n");
        let report = load(&files.with("customers.csv", list)).unwrap_err();
        let diagnostics = report.diagnostics().iter();
        diagnostics
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let text = "Kundennr;Name;IP-Adresse;Port 25 offen;Gültig bis\n\
                4711;Müller & Söhne;203.0.113.16/29;ja;31.12.2026\n";
    let latin_1: Vec<u8> = text.chars().map(|c| c as u8).collect();
    assert!(refused(&latin_1).contains("the byte is `ü` in ISO 8859-1"));
    assert!(
        refused(b"prefix;customer\n203.0.113.16/29;a\n").contains("separated by semicolons"),
        "{}",
        refused(text.as_bytes())
    );
    let row = "prefix,customer,allow_smtp_out,expires\n203.0.113.16/29,a,ja,31.12.2026\n";
    let said = refused(row.as_bytes());
    assert!(said.contains("`ja` is neither true nor false"), "{said}");
    assert!(said.contains("write 2026-12-31"), "{said}");
}
