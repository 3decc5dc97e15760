//! `bench OBJECT [--quick] [--json] [--only CASE]`: what a packet costs.
//!
//! Run it as `cargo xtask bench`.

use std::{path::Path, process::ExitCode};

use poolguard_tests::bench::{decisions, plan::Plan, programs, results::table};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(object) = arguments.next() else {
        eprintln!("usage: bench OBJECT [--quick] [--json] [--only CASE]");
        return ExitCode::from(2);
    };
    let options: Vec<String> = arguments.collect();
    let place = |option: &str| options.iter().position(|other| other == option);
    let mut plan = match place("--quick") {
        Some(_) => Plan::quick(),
        None => Plan::whole(),
    };
    plan.only = place("--only").and_then(|place| options.get(place + 1).cloned());
    let object = programs::read(Path::new(&object));
    let rows = decisions::measure(&object, &plan);
    match place("--json") {
        Some(_) => rows
            .iter()
            .for_each(|row| println!("{}", serde_json::json!(row))),
        None => println!("{}", table(&rows)),
    }
    ExitCode::SUCCESS
}
