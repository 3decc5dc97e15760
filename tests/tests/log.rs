//! The log decides nothing: whatever becomes of its reader, the controller starts,
//! reloads and ends.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::Command,
};

use lab::{Machine, metric, poolguard};
use nix::{fcntl::OFlag, sys::stat::Mode, unistd::mkfifo};

/// `poolguard run` with its standard error at `path`.
fn logging_to(machine: &Machine, path: &Path) -> Command {
    let mut sh = machine.program(Path::new("sh"));
    sh.args(["-c", "exec \"$@\" 2>\"$0\""]).arg(path);
    sh.arg(poolguard()).args(["--instance", &machine.instance]);
    sh.arg("--config").arg(machine.config_file());
    sh.args(["run", "--detach-on-exit"]);
    sh.env("STATE_DIRECTORY", machine.state());
    sh
}

/// A FIFO, and both of its ends, which do not wait.
fn fifo(machine: &Machine) -> (std::path::PathBuf, File) {
    let path = machine.directory.join("log");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut options = File::options();
    options.read(true).write(true);
    let ends = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
    (path, ends.unwrap())
}

/// Does everything that says something.
fn lives_and_ends(machine: &Machine, command: Command) {
    let running = machine.start_command(command);
    for _ in 0..3 {
        assert!(machine.poolguard("reload").status.success());
    }
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
    assert!(!machine.pins().exists(), "it ended in order");
}

#[test]
fn a_reader_that_reads_nothing_from_the_first_line_on_delays_nothing() {
    let machine = Machine::new();
    let (path, mut ends) = fifo(&machine);
    while ends.write(&[b'x'; 4_096]).is_ok() {}
    lives_and_ends(&machine, logging_to(&machine, &path));
}

#[test]
fn a_start_that_is_refused_ends_though_nobody_reads_why() {
    let machine = Machine::new();
    let (path, mut ends) = fifo(&machine);
    while ends.write(&[b'x'; 4_096]).is_ok() {}
    machine.configure("[[");
    let output = machine.output(logging_to(&machine, &path));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_is_gone_ends_nothing_and_what_it_missed_is_counted() {
    let machine = Machine::new();
    let (path, mut ends) = fifo(&machine);
    let running = machine.start_command(logging_to(&machine, &path));
    let mut first = [0; 20];
    ends.read_exact(&mut first).unwrap();
    drop(ends);
    assert!(machine.poolguard("reload").status.success());
    let lost = |text: &str| metric(text, "poolguard_log_lines_lost_total");
    // The reload is answered before the line about it is written.
    while lost(&machine.get("/metrics").1) == 0 {
        assert!(machine.poolguard("reload").status.success());
    }
    running.stop();
}

#[test]
fn a_full_disk_ends_nothing_and_what_was_lost_is_said_once_there_is_room() {
    let machine = Machine::with_bpffs();
    let disk = machine.directory.join("disk");
    fs::create_dir(&disk).unwrap();
    let shell = |script: &str| {
        let mut sh = machine.program(Path::new("sh"));
        sh.args(["-ec", script, "sh"]).arg(&disk);
        let output = machine.output(sh);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    shell("mount -t tmpfs -o size=64k tmpfs \"$1\"; dd if=/dev/zero of=\"$1/full\" 2>&1 || true");
    let running = machine.start_command(logging_to(&machine, &disk.join("log")));
    assert!(machine.poolguard("reload").status.success());
    shell("rm \"$1/full\"");
    assert!(machine.poolguard("reload").status.success());
    running.stop();
    let log = shell("cat \"$1/log\"");
    assert!(log.contains("lines lost: nobody read the log"), "{log}");
    assert!(
        log.contains("detached: nothing is enforced any more"),
        "{log}"
    );
}
