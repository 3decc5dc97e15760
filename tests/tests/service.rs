//! What the systemd unit promises: who may ask, who may have written the
//! configuration, which capabilities are enough, and that the watchdog is fed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown, lchown, symlink},
        net::UnixDatagram,
    },
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use lab::{CONFIG, Machine, last_line, poolguard};

const UNIT: &str = include_str!("../../config/poolguard.service");
const NOBODY: u32 = 65_534;
/// The number of group poolguard on the box, and that of another one.
const GROUP: u32 = 54_321;
const OTHER_GROUP: u32 = 54_322;

/// What the unit says about something.
fn setting(name: &str) -> &'static str {
    let line = UNIT.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().strip_prefix('=').unwrap()
}

/// A box that has a group poolguard, whoever runs a program there.
fn box_with_group() -> Machine {
    let machine = Machine::with_bpffs();
    let groups = machine.directory.join("group");
    fs::write(&groups, format!("root:x:0:\npoolguard:x:{GROUP}:\n")).unwrap();
    let mut mount = machine.program(Path::new("mount"));
    mount.arg("--bind").arg(groups).arg("/etc/group");
    assert!(mount.status().unwrap().success());
    machine
}

/// A command with these and no other capabilities and groups, as the unit runs it.
fn confined(machine: &Machine, capabilities: &[&str], words: &str) -> Command {
    let list = |sign: &str| {
        let capabilities = capabilities.iter();
        let names = capabilities.map(|name| name.trim_start_matches("CAP_").to_lowercase());
        let names: Vec<_> = names.map(|name| format!(",{sign}{name}")).collect();
        names.concat()
    };
    let mut command = machine.program(Path::new("setpriv"));
    command
        .args(["--no-new-privs", &format!("--groups={GROUP}")])
        .arg(format!("--bounding-set=-all{}", list("+")))
        .arg(poolguard())
        .args(machine.which(words))
        .args(words.split_whitespace())
        .env("STATE_DIRECTORY", machine.state());
    command
}

/// Asks for the status as a user who is in one group.
fn ask(machine: &Machine, group: u32) -> std::process::Output {
    ask_for(machine, group, "status")
}

fn ask_for(machine: &Machine, group: u32, words: &str) -> std::process::Output {
    let mut command = machine.program(Path::new("setpriv"));
    command
        .args([format!("--reuid={NOBODY}"), format!("--regid={group}")])
        .arg("--clear-groups")
        .arg(machine.poolguard_for_all())
        .args(machine.which(words))
        .args(words.split_whitespace());
    machine.output(command)
}

#[test]
fn the_capabilities_of_the_unit_are_enough_and_none_is_too_many() {
    let machine = box_with_group();
    let capabilities: Vec<_> = setting("CapabilityBoundingSet").split(' ').collect();
    for (left_out, capability) in capabilities.iter().enumerate() {
        let mut fewer = capabilities.clone();
        fewer.remove(left_out);
        let output = machine.output(confined(&machine, &fewer, "run"));
        assert_eq!(output.status.code(), Some(1), "without {capability}");
        let line = last_line(&output);
        let named = line.contains("missing privileges") && line.contains(capability);
        assert!(named, "without {capability}: {line}");
    }

    let mut running = machine.start_command(confined(&machine, &capabilities, "run"));
    let reload = machine.output(confined(&machine, &capabilities, "reload"));
    assert!(reload.status.success(), "{reload:?}");
    machine.configure("[[");
    let reload = machine.output(confined(&machine, &capabilities, "reload"));
    assert_eq!(reload.status.code(), Some(1), "ExecReload fails with it");
    machine.configure(CONFIG);
    // An interface is taken over again as well.
    machine.namespace.ip("link delete eth0");
    running.log_until("the interface or its link is gone");
    machine.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(ask(&machine, GROUP).status.code(), Some(0));
    running.stop();
    let mut running = machine.start_command(confined(&machine, &capabilities, "run"));
    running.log_until("an earlier run was still attached: taken over");
    running.stop();
    let detach = machine.output(confined(&machine, &capabilities, "detach"));
    assert!(detach.status.success(), "{detach:?}");
}

#[test]
fn the_capabilities_of_the_unit_are_enough_for_wires() {
    let machine = box_with_group();
    machine.join_by_wire();
    let capabilities: Vec<_> = setting("CapabilityBoundingSet").split(' ').collect();
    let is_set = || {
        let shown = machine.namespace.ip("link show eth0");
        shown.contains("PROMISC")
    };
    let mut running = machine.start_command(confined(&machine, &capabilities, "run"));
    running.log_until("set for the wire");
    running.stop();
    assert!(is_set());
    let detach = machine.output(confined(&machine, &capabilities, "detach"));
    assert!(detach.status.success(), "{detach:?}");
    assert!(!is_set());
}

#[test]
fn whoever_may_not_look_into_the_kernel_is_not_told_that_nothing_is_there() {
    let machine = box_with_group();
    machine.start().kill();
    let output = ask(&machine, GROUP);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("NO CONTROLLER: what the kernel still does cannot be told: "),
        "{text}"
    );
    assert!(text.contains("CAP_BPF"), "{text}");
}

#[test]
fn root_and_one_group_may_ask() {
    let machine = box_with_group();
    machine.configure(&format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    ));
    let running = machine.start();
    assert!(machine.poolguard("status").status.success());
    let output = ask(&machine, GROUP);
    assert!(output.status.success(), "{output:?}");
    // What was exempted is beside the file, in a directory that is not theirs.
    let exempt = "exempt add 203.0.113.9 25 --expires 1h --reason mail";
    assert!(machine.poolguard(exempt).status.success());
    let explain = "explain --in eth0 tcp 192.0.2.9:4000 203.0.113.9:25";
    let output = ask_for(&machine, GROUP, explain);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("verdict  PASS: an exemption opens this port"),
        "{output:?}"
    );
    assert!(!text.contains("\nbut "), "{text}");
    let output = ask(&machine, OTHER_GROUP);
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(
        line.contains("The control socket is for root and the members of group poolguard"),
        "{line}"
    );
    running.stop();
}

#[test]
fn without_the_group_root_alone_may_ask() {
    let machine = box_with_group();
    fs::write(machine.directory.join("group"), "root:x:0:\n").unwrap();
    let running = machine.start();
    assert!(machine.poolguard("status").status.success());
    assert_eq!(ask(&machine, GROUP).status.code(), Some(1));
    running.stop();
}

#[test]
fn what_others_may_write_is_not_put_into_force() {
    let machine = Machine::new();
    let customers = machine.directory.join("customers.d");
    let acme = customers.join("acme.toml");
    fs::create_dir(&customers).unwrap();
    fs::write(&acme, "").unwrap();
    machine.configure(&format!("include = [\"customers.d/*.toml\"]\n{CONFIG}"));
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let main = machine.config_file();
    let running = machine.start();
    for (path, bad, good) in [
        (&main, 0o646, 0o644),
        (&acme, 0o602, 0o600),
        (&customers, 0o777, 0o755),
        (&machine.directory, 0o757, 0o755),
    ] {
        mode(path, bad);
        let reload = machine.poolguard("reload");
        let check = machine.poolguard("check");
        mode(path, good);
        assert_eq!(reload.status.code(), Some(1), "{}", path.display());
        let printed = String::from_utf8(reload.stderr).unwrap();
        let help = format!("chmod o-w {}\n", path.display());
        assert!(
            printed.contains(&help) && printed.contains("error: anyone may write here"),
            "{printed}"
        );
        assert_eq!(check.status.code(), Some(0), "check only warns");
        let printed = String::from_utf8(check.stderr).unwrap();
        assert!(
            printed.contains(&help) && printed.contains("warning: anyone may write here"),
            "{printed}"
        );
        assert!(machine.poolguard("reload").status.success());
    }
    // Where everybody may make files of their own, this one is root's.
    mode(&customers, 0o1777);
    assert!(machine.poolguard("reload").status.success());
    chown(&acme, Some(NOBODY), None).unwrap();
    let reload = machine.poolguard("reload");
    assert_eq!(reload.status.code(), Some(1));
    let printed = String::from_utf8(reload.stderr).unwrap();
    let help = format!("chown root {}\n", acme.display());
    assert!(
        printed.contains(&help) && printed.contains("belongs to user 65534"),
        "{printed}"
    );
    running.stop();
    assert!(
        machine
            .refusal()
            .contains("not started: nothing is enforced"),
        "nor does it start"
    );
}

#[test]
fn a_link_of_somebody_elses_is_refused_and_state_that_anyone_may_write_set_aside() {
    let machine = Machine::new();
    let (shared, real) = (
        machine.directory.join("shared"),
        machine.directory.join("real.toml"),
    );
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    fs::write(&real, "").unwrap();
    let link = shared.join("acme.toml");
    symlink(&real, &link).unwrap();
    machine.configure(&format!("include = [\"shared/*.toml\"]\n{CONFIG}"));
    machine.start().stop();
    lchown(&link, Some(NOBODY), None).unwrap();
    refused_link(&machine, &link);

    // What is kept opens ports, and is not trusted either. The filter does not
    // wait for it.
    machine.configure(CONFIG);
    machine.start_with("run --detach-on-exit --force").stop();
    let kept = machine.state_file("exemptions.json");
    let (next_id, exemptions) = (1, [(); 0]);
    let text = serde_json::json!({ "version": 1, "next_id": next_id, "exemptions": exemptions });
    fs::write(&kept, text.to_string()).unwrap();
    fs::set_permissions(&kept, Permissions::from_mode(0o666)).unwrap();
    let mut running = machine.start();
    let line = running.log_until("what an earlier run left cannot be used");
    for words in ["anyone may write here", "exemptions.json.set-aside-1"] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
    let state = machine.state().join(&machine.instance);
    fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
    let mut running = machine.start();
    let line = running.log_until("the files are compared with nothing");
    assert!(line.contains("anyone may write here"), "{line}");
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
}

/// Nothing is read through a link of somebody else's, whoever keeps it from being
/// read: the kernel where its own protection is on, as on every Debian, and else
/// poolguard.
fn refused_link(machine: &Machine, link: &Path) {
    let protection = fs::read_to_string("/proc/sys/fs/protected_symlinks").unwrap();
    let who = match protection.trim() {
        "0" => "user 65534, neither root nor who runs poolguard, made this link",
        _ => "the kernel does not follow",
    };
    let output = machine.poolguard("run --strict");
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    let help = format!("help: chown --no-dereference root {}\n", link.display());
    assert!(
        printed.contains(who) && printed.contains(&help),
        "{printed}"
    );
    assert!(!printed.contains("includes are relative"), "{printed}");
}

#[test]
fn a_directory_behind_a_link_of_somebody_elses_is_not_taken_for_empty() {
    let machine = Machine::new();
    let shared = machine.directory.join("shared");
    let real = machine.directory.join("real");
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&real).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    fs::write(real.join("acme.toml"), "").unwrap();
    let link = shared.join("customers.d");
    symlink(&real, &link).unwrap();
    machine.configure(&format!(
        "include = [\"shared/customers.d/*.toml\"]\n{CONFIG}"
    ));
    machine.start().stop();
    lchown(&link, Some(NOBODY), None).unwrap();
    refused_link(&machine, &link);
}

#[test]
fn a_watchdog_is_fed_as_often_as_it_asks() {
    let machine = Machine::new();
    let socket = machine.directory.join("watchdog");
    let notify = UnixDatagram::bind(&socket).unwrap();
    let patience = Duration::from_secs(20);
    notify.set_read_timeout(Some(patience)).unwrap();
    let mut command = Command::new("sh");
    // As systemd says whose watchdog it is.
    command
        .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
        .arg(poolguard())
        .args(["--instance", &machine.instance, "--config"])
        .arg(machine.config_file())
        .args(["run", "--detach-on-exit"])
        .env("STATE_DIRECTORY", machine.state())
        .env("WATCHDOG_USEC", "1000000");
    let running = machine.start_notifying(command, &notify, &socket);
    let fed = || {
        let mut message = [0; 256];
        let length = notify.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"WATCHDOG=1\n");
    };
    fed();
    let start = Instant::now();
    (0..4).for_each(|_| fed());
    // Left to itself it would take five seconds each time.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    running.stop();
}
