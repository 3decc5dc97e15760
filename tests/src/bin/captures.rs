//! `captures DIRECTORY...`: the captures below each directory, shown to all who
//! can judge their frames.
//!
//! Run it as `cargo xtask captures`. Exit status 1 on any disagreement.

use std::{env, path::Path, process::ExitCode};

use poolguard_tests::{
    agreement::{Census, Witnesses},
    captures::{Collection, replay},
};

#[cfg(feature = "kernel")]
const WITNESSES: Witnesses = Witnesses::HostAndKernel;
#[cfg(not(feature = "kernel"))]
const WITNESSES: Witnesses = Witnesses::Host;

fn main() -> ExitCode {
    let mut total = Census::default();
    let (mut files, mut packets, mut disagreements) = (0, 0, 0);
    for directory in env::args().skip(1) {
        let collection = match Collection::read(Path::new(&directory)) {
            Ok(collection) => collection,
            Err(error) => {
                eprintln!("{directory}: {error}");
                return ExitCode::from(2);
            }
        };
        println!("{directory}: {collection}");
        files += collection.captures.len();
        packets += collection.frames();
        match replay(&collection, WITNESSES) {
            Ok(census) => total.add(&census),
            Err(words) => {
                disagreements += 1;
                println!("DISAGREEMENT\n{words}");
            }
        }
    }
    println!("\n{packets} packets of {files} files:\n{total}");
    println!("{disagreements} disagreements");
    if disagreements == 0 && total.frames > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
