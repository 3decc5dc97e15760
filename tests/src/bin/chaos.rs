//! `chaos [--json]`: every fault, as often as it takes to believe it.
//!
//! Run it as `cargo xtask chaos`. Exit status 1 if any verdict was wrong.

use std::process::ExitCode;

use poolguard_tests::chaos::{HEAD, Plan, inject};

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut wrong = 0;
    if !json {
        println!("{HEAD}");
    }
    inject(&Plan::WHOLE, |row| {
        if json {
            println!("{}", serde_json::json!(row));
        } else {
            println!("{row}");
        }
        wrong += row.wrong();
    });
    eprintln!("{wrong} wrong");
    ExitCode::from(u8::from(wrong > 0))
}
