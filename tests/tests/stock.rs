//! The life of a controller where a machine or a root account is set up otherwise
//! than usual: a umask that keeps others out, a locale that is not C, no time zone, no
//! IPv6, every check of a source address on.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use lab::{CONFIG, Machine, poolguard};

/// A static customer as well, to exempt something for.
fn configure(machine: &Machine) {
    machine.configure(&format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    ));
}

/// A command of the machine, run by a shell that does something else first.
fn command(machine: &Machine, first: &str, words: &str) -> Command {
    let mut command = machine.program(Path::new("sh"));
    command.args(["-c", &format!("{first} && exec \"$@\""), "sh"]);
    command
        .arg(poolguard())
        .args(machine.which(words))
        .args(words.split_whitespace());
    command
}

/// Everything that is asked of a controller in its life, each after `first`; `look` is
/// called while it runs.
fn lives(machine: &Machine, first: &str, look: impl FnOnce()) {
    configure(machine);
    let asked = |words: &str| {
        let output = machine.output(command(machine, first, words));
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let state = machine.directory.join("state");
    let run = format!("run --state-dir {}", state.display());
    asked("check");
    machine.start_command(command(machine, first, &run)).kill();
    let mut running = machine.start_command(command(machine, first, &run));
    running.log_until("an earlier run was still attached: taken over");
    asked("exempt add 203.0.113.9 25 --expires 2h --reason mail --ticket NOC-7");
    assert!(asked("exempt list").contains("NOC-7"));
    let explained = asked("explain --in eth0 tcp 192.0.2.9:4000 203.0.113.9:25");
    assert!(explained.contains("PASS"), "{explained}");
    assert!(asked("reload").contains("is in force"));
    assert!(asked("status").contains("eth0"));
    assert_eq!(machine.get("/readyz").0, 200);
    look();
    asked("detach");
    running.ended();
    assert!(!machine.pins().exists(), "nothing is left");
}

#[test]
fn a_umask_that_keeps_others_out_keeps_them_out_of_nothing_that_is_theirs() {
    let machine = Machine::with_bpffs();
    // A /run that nobody has made a directory of ours in.
    let mut mount = machine.program(Path::new("mount"));
    mount.args(["-t", "tmpfs", "tmpfs", "/run"]);
    assert!(mount.status().unwrap().success());
    lives(&machine, "umask 077", || {
        let state = machine.directory.join("state");
        let of_instance = state.join(&machine.instance);
        for (path, mode) in [
            (&state, 0o755),
            (&of_instance, 0o755),
            (&of_instance.join("exemptions.json"), 0o644),
        ] {
            let found = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{} is {found:o}", path.display());
        }
        let mut stat = machine.program(Path::new("stat"));
        stat.args(["--format=%a", "/run/poolguard"]);
        let output = machine.output(stat);
        assert_eq!(output.stdout, b"755\n", "members of the group go through");
    });
}

#[test]
fn no_message_is_read_in_the_language_of_the_machine() {
    // Whether there is such a locale or not.
    let german = "export LC_ALL=de_DE.UTF-8 LANG=tr_TR.UTF-8 LANGUAGE=de";
    lives(&Machine::new(), german, || {});
}

#[test]
fn nothing_depends_on_a_time_zone() {
    let machine = Machine::with_bpffs();
    // Where they are, on this box alone.
    let script = "[ ! -f /etc/localtime ] || mount --bind /dev/null /etc/localtime; \
                  [ ! -d /usr/share/zoneinfo ] || mount -t tmpfs tmpfs /usr/share/zoneinfo";
    let mut hide = machine.program(Path::new("sh"));
    hide.args(["-c", script]);
    assert!(hide.status().unwrap().success());
    lives(&machine, "export TZ=:Nowhere/At_All", || {});
    lives(&machine, "unset TZ", || {});
}

#[test]
fn a_network_without_ipv6_and_with_every_source_checked_is_filtered() {
    let machine = Machine::new();
    machine.namespace.run(|| {
        let set = |setting: &str, value| {
            fs::write(format!("/proc/sys/net/{setting}"), value).unwrap();
        };
        for place in ["all", "default", "eth0", "eth1"] {
            set(&format!("ipv4/conf/{place}/rp_filter"), "1");
            let setting = format!("ipv6/conf/{place}/disable_ipv6");
            // No such file: IPv6 is not even in the kernel.
            if Path::new("/proc/sys/net").join(&setting).exists() {
                set(&setting, "1");
            }
        }
    });
    lives(&machine, "true", || {});
}
