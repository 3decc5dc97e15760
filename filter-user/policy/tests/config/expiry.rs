//! When exemptions end.

use jiff::Timestamp;

use crate::{dubious, fine, now, wrong};

fn customer(expires: &str) -> String {
    format!(
        "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n\
         expires = {expires}\n"
    )
}

#[track_caller]
fn expires(written: &str) -> String {
    let config = fine(&customer(written));
    config.customers[0].terms.expires.unwrap().to_string()
}

#[test]
fn a_date_holds_through_that_day() {
    assert_eq!(expires("2027-01-31"), "2027-02-01T00:00:00Z");
    assert_eq!(expires("2028-02-28"), "2028-02-29T00:00:00Z");
    assert_eq!(expires("2026-12-31"), "2027-01-01T00:00:00Z");
    assert_eq!(expires("2026-06-15"), "2026-06-16T00:00:00Z");
}

#[test]
fn a_moment_is_meant_as_it_is_written() {
    assert_eq!(
        expires("2027-01-31T18:00:00.25Z"),
        "2027-01-31T18:00:00.25Z"
    );
    assert_eq!(expires("2027-01-31T18:00:00Z"), "2027-01-31T18:00:00Z");
    assert_eq!(expires("2027-01-31 18:00:00+02:00"), "2027-01-31T16:00:00Z");
    assert_eq!(expires("2027-01-31T18:00Z"), "2027-01-31T18:00:00Z");
    assert_eq!(expires("2026-12-31T23:59:60Z"), "2026-12-31T23:59:59Z");
}

#[test]
fn the_end_of_time_is_never() {
    assert_eq!(expires("9999-12-31"), Timestamp::MAX.to_string());
    assert_eq!(
        expires("9999-12-31T23:59:59-23:59"),
        Timestamp::MAX.to_string()
    );
}

#[test]
fn an_exemption_has_expired() {
    let config = dubious(
        &customer("2026-06-14"),
        r#"
warning: the exemptions of customer `acme` have expired
 --> poolguard.toml:5:11
  |
5 | expires = 2026-06-14
  |           ^^^^^^^^^^
  |
  = help: remove the customer, or write a later date
"#,
    );
    assert!(config.customers[0].terms.is_expired(now()));
    dubious(
        &customer("2026-06-15T12:00:00Z"),
        r#"
warning: the exemptions of customer `acme` have expired
 --> poolguard.toml:5:11
  |
5 | expires = 2026-06-15T12:00:00Z
  |           ^^^^^^^^^^^^^^^^^^^^
  |
  = help: remove the customer, or write a later date
"#,
    );
    fine(&customer("2026-06-15T12:00:01Z"));
}

#[test]
fn what_is_no_date() {
    wrong(
        &customer("\"2027-01-31\""),
        r#"
error: expected a date, found a string
 --> poolguard.toml:5:11
  |
5 | expires = "2027-01-31"
  |           ^^^^^^^^^^^^
  |
  = help: write a date such as 2027-01-31, without quotes
"#,
    );
    wrong(
        &customer("18:00:00"),
        r#"
error: a time without a date
 --> poolguard.toml:5:11
  |
5 | expires = 18:00:00
  |           ^^^^^^^^
  |
  = help: write a date such as 2027-01-31, without quotes
"#,
    );
    wrong(
        &customer("2026-01-31T18:00:00"),
        r#"
error: a date and time without an offset
 --> poolguard.toml:5:11
  |
5 | expires = 2026-01-31T18:00:00
  |           ^^^^^^^^^^^^^^^^^^^
  |
  = help: add `Z` for UTC: 2026-01-31T18:00:00Z
"#,
    );
    wrong(
        &customer("2027-02-29"),
        r#"
error: invalid date, expected day between 01 and 28
 --> poolguard.toml:5:11
  |
5 | expires = 2027-02-29
  |           ^^^^^^^^^^
  |
  = help: write a date that exists, such as 2027-01-31
"#,
    );
    wrong(
        &customer("2027"),
        r#"
error: expected a date, found an integer
 --> poolguard.toml:5:11
  |
5 | expires = 2027
  |           ^^^^
  |
  = help: write a date such as 2027-01-31, without quotes
"#,
    );
}
