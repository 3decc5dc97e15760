//! `bench OBJECT [--quick] [--json] [--only CASE] [--count]`: what a packet costs.
//!
//! Run it as `cargo xtask bench`.

use std::{path::Path, process::ExitCode};

use poolguard_bench::{
    decisions, instructions, live,
    plan::Plan,
    processors, programs,
    results::{table, table_of_processors},
    targets,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(object) = arguments.next() else {
        eprintln!("usage: bench OBJECT [--quick] [--json] [--only CASE] [--count]");
        return ExitCode::from(2);
    };
    let options: Vec<String> = arguments.collect();
    let place = |option: &str| options.iter().position(|other| other == option);
    let mut plan = match place("--quick") {
        Some(_) => Plan::quick(),
        None => Plan::whole(),
    };
    plan.only = place("--only").and_then(|place| options.get(place + 1).cloned());
    let path = Path::new(&object);
    if place("--count").is_some() {
        let counts = instructions::count();
        println!("{}", instructions::table(&counts));
        let excesses = instructions::excesses(&counts);
        for excess in &excesses {
            eprintln!("missed: {excess}");
        }
        return match excesses.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let object = programs::read(path);
    let decisions = decisions::measure(&object, &plan);
    // Before this thread is bound to one processor.
    let boxes = processors::measure(&object, &plan);
    let live = live::measure(&object, &plan);
    let rows = [&decisions[..], &live, &boxes].concat();
    if place("--json").is_some() {
        for row in &rows {
            println!("{}", serde_json::json!(row));
        }
    } else {
        let decisions: Vec<_> = decisions
            .into_iter()
            .filter(|row| row.subject != "floor")
            .collect();
        println!("The program alone: nanoseconds over the floor\n");
        println!("{}\n", table(&decisions, |row| row.over_floor_ns));
        println!("Live frames: millions a second on one processor\n");
        println!("{}\n", table(&live, |row| row.mpps));
        println!("Boxes that forward or drop, with one processor and with all\n");
        println!("{}", table_of_processors(&boxes));
        println!("What a frame takes: eBPF instructions\n");
        println!("{}", instructions::table(&instructions::count()));
    }
    for outcome in targets::outcomes(&rows) {
        eprintln!("{outcome}");
    }
    ExitCode::SUCCESS
}
