//! `living PACKAGE NEXT-PACKAGE ROOT...`: the package under the systemd of each of these
//! root file systems.
//!
//! Run it as `cargo xtask systemd`. Exit status 1 if anything went wrong.

use std::{env, path::PathBuf, process::ExitCode};

use poolguard_tests::living::{Packages, tell};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(first), Some(next)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: living PACKAGE NEXT-PACKAGE ROOT...");
        return ExitCode::from(2);
    };
    let packages = Packages { first, next };
    let (mut passed, mut failed) = (0, 0);
    for root in arguments {
        println!("{}", root.display());
        let (right, wrong) = tell(&root, &packages);
        passed += right;
        failed += wrong;
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0 || passed == 0))
}
