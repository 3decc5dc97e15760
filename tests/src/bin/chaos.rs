//! `chaos [--json] [--quick] [--only WORDS]`: every fault, as often as it takes to believe
//! it, or as often as `cargo xtask test` has time for; or those with these words in their
//! names.
//!
//! Run it as `cargo xtask chaos`. Exit status 1 if any verdict was wrong.

use std::process::ExitCode;

use poolguard_tests::chaos::{HEAD, Plan, inject};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let json = has("--json");
    let plan = match has("--quick") {
        true => Plan::SHORT,
        false => Plan::WHOLE,
    };
    let mut after = arguments
        .iter()
        .skip_while(|argument| *argument != "--only");
    let only = after.nth(1).map_or("", String::as_str);
    let mut wrong = 0;
    if !json {
        println!("{HEAD}");
    }
    inject(&plan, only, |row| {
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
