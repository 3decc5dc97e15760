//! Configurations in files of this machine: which are read, and what is said of those
//! that cannot be.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
};

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
/// file is left out for its name without a word.
#[test]
fn whatever_a_file_is_called_it_is_named_and_not_passed_over() {
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
        assert!(
            text.contains("a\\n\\u{1b}[31m\\u{202e}d.toml: its name has"),
            "{text}"
        );
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    }
}

/// What is nearly named on a disk, where names need not be UTF-8.
#[test]
fn files_that_are_nearly_named() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("near");
    let _new = fs::remove_dir_all(&directory);
    let customers = directory.join("customers.d");
    fs::create_dir_all(&customers).unwrap();
    let main = directory.join("poolguard.toml");
    let text = "include = [\"customers.d/*.toml\"]\n\
        [[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
        [[interface]]\nname = \"eth0\"\nrole = \"network\"\n\
        [mail]\nservers = [\"192.0.2.25\"]\n\
        [[pool]]\nname = \"dsl\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n";
    fs::write(&main, text).unwrap();
    let warnings = || -> Vec<String> {
        let loaded = disk::load(&main, Timestamp::UNIX_EPOCH).unwrap();
        let diagnostics = loaded.warnings.diagnostics().iter();
        diagnostics.map(|warning| warning.message.clone()).collect()
    };
    assert_eq!(warnings(), [""; 0]);
    let acme = "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\n";
    fs::write(customers.join("acme.toml"), acme).unwrap();
    fs::create_dir_all(customers.join("old.d")).unwrap();
    assert_eq!(warnings(), [""; 0]);
    fs::write(customers.join("bcme.TOML"), acme).unwrap();
    fs::write(customers.join(OsStr::from_bytes(b"m\xfcller.TOML")), acme).unwrap();
    let found = warnings();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("the pattern is in another case"),
        "{found:?}"
    );
    assert!(found[1].ends_with("its name is not UTF-8"), "{found:?}");
    fs::remove_dir_all(&customers).unwrap();
    let expected = "`customers.d/*.toml` matches nothing: there is no such directory";
    assert_eq!(warnings(), [expected]);
    fs::remove_dir_all(directory).unwrap();
}
