//! What strangers may choose: names of devices, and what is in files that they may write.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    process::Command,
};

use lab::{CONFIG, Machine};

fn with_static_pool() -> String {
    format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\n"
    )
}

#[test]
fn a_device_whose_name_is_not_utf8_keeps_no_other_from_being_filtered() {
    let machine = Machine::without_interfaces();
    machine.add_veth("eth1");
    let mut running = machine.start();
    running.log_until("not enforcing here yet");
    let name = OsStr::from_bytes(b"caf\xe9\x1b[31m");
    let mut ip = Command::new("ip");
    ip.args(["link", "add"]).arg(name).args(["type", "bridge"]);
    let output = machine.output(ip);
    assert!(output.status.success(), "{output:?}");
    machine.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
    // A start and a reload see it from the beginning.
    assert!(machine.poolguard("reload").status.success());
    running.stop();
    machine.start().stop();
}

#[test]
fn exemptions_that_others_may_have_written_are_not_taken() {
    let machine = Machine::new();
    machine.configure(&with_static_pool());
    let running = machine.start_with("run");
    let add = "exempt add 203.0.113.9 80 --expires 1h --reason right";
    assert!(machine.poolguard(add).status.success());
    running.stop();
    let file = machine.state_file("exemptions.json");
    let text = fs::read_to_string(&file).unwrap();
    let flipped = text.replace("203.0.113.9/32", "203.0.113.9/30");
    // Whoever changes it on purpose leaves the sum out.
    let lines = text.lines().filter(|line| !line.contains("\"sha256\""));
    let wider = lines.collect::<String>();
    let wider = wider.replace("203.0.113.9/32", "203.0.113.0/24");
    let explained = || {
        let file = machine.directory.join("poolguard.toml");
        let words = format!(
            "explain --file {} --in eth0 tcp 192.0.2.9:40000 203.0.113.77:80",
            file.display()
        );
        let output = machine.poolguard(&words);
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    fs::write(&file, &wider).unwrap();
    assert!(explained().contains("PASS"));
    for (text, mode, why) in [
        (flipped, 0o644, "it is not what was written"),
        (wider.clone(), 0o666, "anyone may write here"),
        (
            wider.replace("right", "\\u001b[31m\\nwrong"),
            0o644,
            "control characters",
        ),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let explained = explained();
        assert!(!explained.contains("PASS"), "{explained}");
        assert!(explained.contains(why), "{explained}");
        let mut running = machine.start_with("run");
        let line = running.log_until("what an earlier run left cannot be used");
        assert!(line.contains(why), "{line}");
        assert_eq!(machine.status()["temporary"], serde_json::json!([]));
        running.stop();
    }
    machine.start().stop();
}

#[test]
fn the_file_that_is_at_fault_is_the_one_that_is_named() {
    let machine = Machine::new();
    let directory = machine.directory.join("customers.d");
    fs::create_dir(&directory).unwrap();
    machine.configure(&format!("include = [\"customers.d/*.toml\"]\n{CONFIG}"));
    let backup = directory.join("backup.toml");
    fs::write(&backup, "").unwrap();
    std::os::unix::fs::chown(&backup, Some(12_345), None).unwrap();
    let line = machine.refusal();
    assert!(
        line.contains(&format!("Mend {}", backup.display())),
        "{line}"
    );
    // What is not read is nobody's business.
    fs::rename(&backup, directory.join("backup.toml~")).unwrap();
    machine.start().stop();
}
