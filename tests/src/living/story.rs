//! The story: what happens to a package between its installation and its purge.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{debian::Debian, gates, package, service, site::Site, starts};

/// What is installed.
#[derive(Clone, Debug)]
pub struct Packages {
    /// First.
    pub first: PathBuf,
    /// As an upgrade.
    pub next: PathBuf,
}

/// Something that happens, and says what it showed. It panics if that is wrong.
struct Step {
    what: &'static str,
    happens: fn(&mut Site) -> String,
}

const fn step(what: &'static str, happens: fn(&mut Site) -> String) -> Step {
    Step { what, happens }
}

const STORY: &[Step] = &[
    step("it boots", starts::first_boot),
    step("the package is installed", package::is_installed),
    step(
        "systemd has nothing to say of the units",
        service::units_are_clean,
    ),
    step("systemctl enable --now", service::starts),
    step("what the service may write", service::is_confined),
    step("systemctl reload", service::reloads),
    step(
        "systemctl reload of a wrong file",
        service::refuses_a_reload,
    ),
    step("systemctl stop, and start", service::stops_and_starts),
    step("SIGKILL", service::is_killed),
    step("SIGSTOP", service::hangs),
    step("an upgrade", package::is_upgraded),
    step(
        "power off, and a boot before its interfaces",
        starts::before_its_interfaces,
    ),
    step(
        "a boot with a late and a read-only /var",
        starts::with_another_var,
    ),
    step("a boot with a spoilt file", starts::with_a_spoilt_file),
    step(
        "a boot with a spoilt file, run --strict",
        starts::strictly_with_a_spoilt_file,
    ),
    step("a boot that fails closed, by networkd", gates::by_networkd),
    step("a boot that fails closed, by ifupdown", gates::by_ifupdown),
    step("the package is removed", package::is_removed),
    step("and purged", package::is_purged),
];

/// Tells the story on a box with these files, line by line. Gives back how many steps
/// went right and how many did not: the first that does not is the last.
pub fn tell(root: &Path, packages: &Packages) -> (usize, usize) {
    set_hook(Box::new(|panic| println!("{panic}")));
    let mut site = Site::new(Debian::new(root), packages.clone());
    for (told, step) in STORY.iter().enumerate() {
        let began = Instant::now();
        let happens = AssertUnwindSafe(|| (step.happens)(&mut site));
        let outcome = catch_unwind(happens);
        let seconds = began.elapsed().as_secs_f32();
        match outcome {
            Ok(showed) => println!("  ok    {}: {showed} ({seconds:.1} s)", step.what),
            // The hook has said why.
            Err(_panic) => {
                println!(
                    "  FAIL  {} ({seconds:.1} s)\n{}",
                    step.what,
                    site.debian.last_words()
                );
                return (told, 1);
            }
        }
    }
    (STORY.len(), 0)
}
