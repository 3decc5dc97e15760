//! Configurations in files of this machine: which are read, and what is said of those
//! that cannot be.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, os::unix::fs::symlink, path::Path};

use filter_user::disk;
use jiff::Timestamp;
use policy::config::Report;

const ACME: &str =
    "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n";
const BCME: &str =
    "[[customer]]\nname = \"bcme\"\nprefixes = [\"203.0.113.16/29\"]\nallow_inbound = [25]\n";

/// What the tests take for today.
fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn files_main(include: &str) -> String {
    format!(
        "{include}\n[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n[[interface]]\nname = \"eth0\"\n\
         role = \"network\"\n[mail]\nservers = [\"192.0.2.25\"]\n[[pool]]\nname = \"dsl\"\n\
         kind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    )
}

#[track_caller]
fn same(report: &Report, printed: &str) {
    let actual = report.render(false);
    let (actual, printed) = (actual.trim_end(), printed.trim_matches('\n'));
    assert!(
        actual == printed,
        "printed:\n{actual}\n\nexpected:\n{printed}\n"
    );
}

#[test]
fn files_on_disk() {
    let directory = std::env::temp_dir().join(format!("poolguard config [{}]", std::process::id()));
    let customers = directory.join("customers.d");
    fs::create_dir_all(&customers).unwrap();
    let main = directory.join("poolguard.toml");
    fs::write(&main, files_main("include = [\"customers.d/*.toml\"]")).unwrap();
    fs::write(customers.join("bcme.toml"), BCME).unwrap();
    fs::write(customers.join("acme.toml"), ACME).unwrap();
    fs::write(customers.join(".#acme.toml"), "not TOML").unwrap();
    let good = disk::load(&main, now());
    fs::create_dir(customers.join("ccme.toml")).unwrap();
    let bad = disk::load(&main, now());
    let none = disk::load(Path::new("/nonexistent/poolguard.toml"), now());
    fs::remove_dir_all(&directory).unwrap();

    let good = good.unwrap();
    let customers = good.config.customers.iter();
    let names: Vec<_> = customers.map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["acme", "bcme"]);
    let bad = bad.unwrap_err();
    assert_eq!(bad.errors(), 1);
    assert!(
        bad.render(false).contains("ccme.toml: Is a directory"),
        "{bad}"
    );
    same(
        &none.unwrap_err(),
        r#"
error: cannot read the configuration: No such file or directory (os error 2)
--> /nonexistent/poolguard.toml
 = help: check the path, or name another one with --config
"#,
    );
}

/// Files and directories that are there and cannot be read: the reason is said, and
/// no directory is taken for an empty one.
#[test]
fn what_is_in_the_way_is_named() {
    let directory = std::env::temp_dir().join(format!("poolguard-in-way-{}", std::process::id()));
    fs::create_dir_all(directory.join("real.d")).unwrap();
    fs::write(directory.join("real.d/acme.toml"), ACME).unwrap();
    let main = directory.join("poolguard.toml");
    let link = |to: &str, name: &str| symlink(to, directory.join(name)).unwrap();
    link("real.d", "link.d");
    link("gone.d", "nowhere.d");
    link("round.d", "round.d");
    link("gone.toml", "nowhere.toml");
    let load = |include: &str| {
        fs::write(&main, files_main(&format!("include = [\"{include}\"]"))).unwrap();
        disk::load(&main, now())
    };
    let here = directory.display();
    let cases = [
        (
            "nowhere.toml",
            "nowhere.toml: it is a link to gone.toml, which does not exist",
            "restore gone.toml, or remove the link",
        ),
        (
            "nowhere.d/*.toml",
            "nowhere.d: it is a link to gone.d, which does not exist",
            "restore gone.d, or remove the link",
        ),
        (
            "*where.d/*.toml",
            "nowhere.d: it is a link to gone.d, which does not exist",
            "restore gone.d, or remove the link",
        ),
        (
            "round.d/*.toml",
            "round.d: Too many levels of symbolic links (os error 40)",
            "remove the link that leads back to itself",
        ),
        (
            "r*.d",
            "real.d: Is a directory (os error 21)",
            "name a file in it",
        ),
    ]
    .map(|(include, why, help)| (load(include), why, help));
    let links = load("link.d/*.toml");
    let nothing = load("none.d/*.toml");
    // Where it is no directory, nothing can be in it.
    let file = load("real.d/acme.toml/*.toml");
    fs::remove_dir_all(&directory).unwrap();
    for (loaded, why, help) in cases {
        let report = loaded.unwrap_err().render(false);
        let why = format!("error: cannot read {here}/{why}\n");
        assert!(report.contains(&why), "{why} in {report}");
        assert!(
            report.contains(&format!("help: {help}")),
            "{help} in {report}"
        );
    }
    assert_eq!(links.unwrap().config.customers.len(), 1);
    for none in [nothing, file] {
        assert_eq!(none.unwrap().config.customers.len(), 0);
    }
}

/// What a stranger has called a file shows, and does nothing to a terminal or a log. No
/// file is left out for its name.
#[test]
fn whatever_a_file_is_called_it_is_read_and_named() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    let directory = std::env::temp_dir().join(format!("poolguard-names-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let main = directory.join("poolguard.toml");
    fs::write(&main, files_main("include = [\"*d.toml\"]")).unwrap();
    let customer = directory.join(OsStr::from_bytes(b"caf\xe9 d.toml"));
    fs::write(&customer, ACME).unwrap();
    let good = disk::load(&main, now());
    fs::write(&customer, "x").unwrap();
    let no_utf8 = disk::load(&main, now());
    fs::remove_file(&customer).unwrap();
    fs::write(directory.join("a\n\x1b[31m\u{202e}d.toml"), "x").unwrap();
    let controls = disk::load(&main, now());
    fs::remove_dir_all(&directory).unwrap();

    assert_eq!(good.unwrap().config.customers.len(), 1);
    let shown = no_utf8.unwrap_err();
    assert!(
        shown.render(false).contains("caf\u{fffd} d.toml:1:"),
        "{shown}"
    );
    let controls = controls.unwrap_err();
    for text in [controls.render(false), controls.summary()] {
        assert!(text.contains("a\\n\\u{1b}[31m\\u{202e}d.toml:1:"), "{text}");
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    }
}
