//! `chaos [--json]`: every fault, as often as it takes to believe it.
//!
//! Run it as `cargo xtask chaos`. Exit status 1 if any verdict was wrong.

use std::process::ExitCode;

use poolguard_tests::chaos::{Plan, inject, table};

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut rows = Vec::new();
    inject(&Plan::WHOLE, |row| {
        if json {
            println!("{}", serde_json::json!(row));
        } else {
            eprintln!("{}: {} wrong", row.fault, row.wrong());
        }
        rows.push(row);
    });
    if !json {
        println!("{}", table(&rows));
    }
    let wrong: u64 = rows.iter().map(|row| row.wrong()).sum();
    eprintln!("{wrong} wrong");
    ExitCode::from(u8::from(wrong > 0))
}
