//! The forms that a report comes in.

use serde_json::json;

use crate::{complete, load};

const TWO_MISTAKES: &str = r#"
[[pool]]
name = "dsl"
kind = "static"
prefixes = ["203.0.113.0/24", "203.0.113.0/24", "198.51.100.7/24"]
"#;

#[test]
fn as_json() {
    let report = load(&complete(TWO_MISTAKES)).unwrap_err();
    let expected = json!([
        {
            "severity": "error",
            "file": "poolguard.toml",
            "line": 4,
            "column": 31,
            "text": "\"203.0.113.0/24\"",
            "message": "prefix 203.0.113.0/24 is given twice",
            "help": "remove one of them",
            "related": [{
                "file": "poolguard.toml",
                "line": 4,
                "column": 13,
                "message": "first given here",
            }],
        },
        {
            "severity": "error",
            "file": "poolguard.toml",
            "line": 4,
            "column": 49,
            "text": "\"198.51.100.7/24\"",
            "message": "198.51.100.7/24 has host bits set",
            "help": "write \"198.51.100.0/24\", or \"198.51.100.7\" for the one address",
        },
    ]);
    assert_eq!(
        serde_json::to_value(report.diagnostics()).unwrap(),
        expected
    );
}

#[test]
fn what_is_missing_has_no_line() {
    let files = complete("[[interface]]\nname = \"eth0\"\nrole = \"network\"\n");
    let report = load(&files).unwrap_err();
    let missing = serde_json::to_value(&report.diagnostics()[0]).unwrap();
    assert_eq!(missing["line"], json!(null));
    assert_eq!(missing["text"], json!(null));
    assert_eq!(missing["message"], "no interface has the role `customer`");
}

#[test]
fn in_colour() {
    let report = load(&complete(TWO_MISTAKES)).unwrap_err();
    let colored = report.render(true);
    assert!(colored.contains("\u{1b}[1m\u{1b}[91merror"), "{colored:?}");
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, report.render(false));
}

#[test]
fn errors_and_warnings_are_counted() {
    let report = load(&complete("[mail]\nservers = []\nserver = 1\n")).unwrap_err();
    assert_eq!((report.errors(), report.warnings()), (1, 1));
    assert!(!report.is_empty());
    assert_eq!(report.to_string(), report.render(false));
}
