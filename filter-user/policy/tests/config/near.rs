//! Files that are nearly named: nobody is told of a customer whose file is not read.

use std::path::Path;

use policy::config::{self, Memory};

use crate::{complete, load, now};

const ACME: &str =
    "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n";
const LIST: &str = "prefix,customer,allow_inbound\n203.0.113.20,bcme,25\n";

/// What is warned of, a line each.
fn warnings(files: &Memory) -> Vec<String> {
    let loaded = load(files).unwrap_or_else(|report| panic!("{report}"));
    let diagnostics = loaded.warnings.diagnostics().iter();
    diagnostics.map(|warning| warning.message.clone()).collect()
}

#[test]
fn a_name_in_another_case_or_with_another_ending() {
    let files = complete(
        "include = [\"customers.d/*.toml\"]\ncustomer_lists = [\"customers.d/*.csv\", \"*.d/b-*\"]\n",
    )
    .with("customers.d/acme.toml", ACME)
    .with("customers.d/list.csv", LIST)
    .with("customers.d/b-list", LIST.replace(".20", ".21"));
    assert_eq!(warnings(&files), [""; 0], "what is read");
    let fine = files
        .clone()
        .with("customers.d/README", "")
        .with("customers.d/.acme.toml.swp", "")
        .with("customers.d/old/acme.toml.bak", "")
        .with("acme.toml.bak", "");
    assert_eq!(warnings(&fine), [""; 0], "what is nothing like it");
    for (name, why) in [
        ("Acme.TOML", "the pattern is in another case"),
        ("acme.Toml", "the pattern is in another case"),
        ("acme.toml~", "its ending is not the pattern's"),
        ("acme.toml.bak", "its ending is not the pattern's"),
        ("acme.tml", "its ending is not the pattern's"),
        ("acme.", "its ending is not the pattern's"),
        ("acme~", "its ending is not the pattern's"),
    ] {
        let files = files.clone().with(format!("customers.d/{name}"), ACME);
        let warnings = warnings(&files);
        let expected = format!("`customers.d/{name}` is not read: {why}");
        assert!(warnings.contains(&expected), "{name}: {warnings:?}");
    }
}

#[test]
fn so_many_are_named_and_the_others_counted() {
    let mut files =
        complete("include = [\"customers.d/*.toml\"]\n").with("customers.d/a.toml", ACME);
    for number in 0..25 {
        files = files.with(format!("customers.d/{number:02}.bak"), "");
    }
    let warnings = warnings(&files);
    assert_eq!(warnings.len(), 11, "{warnings:?}");
    assert!(
        warnings[9].starts_with("`customers.d/09.bak`"),
        "{warnings:?}"
    );
    assert_eq!(
        warnings[10],
        "15 more files that `customers.d/*.toml` nearly matches"
    );
}

#[test]
fn a_directory_that_is_not_there_and_one_without_files() {
    let files = complete("include = [\"customers.d/*.toml\", \"*.none\"]\n");
    let expected = "`customers.d/*.toml` matches nothing: there is no such directory";
    assert_eq!(warnings(&files), [expected]);
    let files = files.with("customers.d/README", "");
    assert_eq!(warnings(&files), [""; 0]);
    // Nothing is left of it but what it nearly matches.
    let files = files.with("customers.d/acme.TOML", ACME);
    assert_eq!(warnings(&files).len(), 1);
}

#[test]
fn a_file_that_became_empty() {
    let files = complete("include = [\"acme.toml\"]\ncustomer_lists = [\"list.csv\"]\n");
    for (toml, csv) in [("", ""), ("# nothing\n\n", "prefix,customer\n")] {
        let files = files.clone().with("acme.toml", toml).with("list.csv", csv);
        let warnings = warnings(&files);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(warnings[0], "an included file that says nothing");
        assert!(warnings[1].contains("customer list"), "{warnings:?}");
    }
}

/// `explain` prints where a customer is written: such a name would print a line of its
/// own.
#[test]
fn file_names_with_control_characters_are_refused() {
    for name in ["a\nverdict  PASS.toml", "a\u{1b}[2J.toml", "a\u{202e}.toml"] {
        let files = complete("include = [\"customers.d/*.toml\"]\n")
            .with(format!("customers.d/{name}"), ACME);
        let report = load(&files).unwrap_err();
        let text = report.render(false);
        assert!(
            text.contains("its name has control characters in it"),
            "{text}"
        );
        assert!(!text.contains("\nverdict"), "{text}");
        assert!(!report.summary().contains(['\n', '\u{1b}', '\u{202e}']));
    }
    let report = load(&complete("include = [\"a\\nverdict\"]\n")).unwrap_err();
    assert!(
        report
            .summary()
            .contains("an include with control characters")
    );
    let main = Path::new("a\nb.toml");
    let report = config::load_from(&Memory::default(), main, now()).unwrap_err();
    assert!(report.summary().contains("control characters"), "{report}");
}
