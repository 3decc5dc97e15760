//! Disks that do not answer, files without an end, and others who do not listen: none of
//! them stops the controller from doing what else it has to do.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lab::{CONFIG, Machine, Running, last_line, poolguard};
use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};

/// A static pool to exempt in, and customers in files of their own.
fn including(pattern: &str) -> String {
    format!(
        "include = [\"{pattern}\"]\n{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\n"
    )
}

/// Puts a file system at a place which never answers: FUSE, whose server is a process
/// that reads no request. The rest of the arguments is a command, which goes on with it.
const DEAD: &str = "exec 3<>/dev/fuse\n\
                    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hang \"$0\"\n\
                    exec \"$@\"";

/// A controller that has mounts of its own, and waits for a disk for so many seconds.
fn with_mounts(machine: &Machine, script: &str, place: &Path, patience: u32) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    command.arg(place).arg(poolguard());
    command.arg(format!("--disk-patience={patience}s"));
    command.args(["--instance", &machine.instance, "--config"]);
    command.arg(machine.config_file()).arg("run");
    command.env("STATE_DIRECTORY", machine.state());
    command
}

/// How long the disk of the configuration is waited for here.
const PATIENCE: u32 = 8;

/// A controller that sees a file system at `hang` which never answers.
fn beside_a_dead_file_system(machine: &Machine) -> Running<'_> {
    let place = machine.directory.join("hang");
    fs::create_dir(&place).unwrap();
    machine.start_command(with_mounts(machine, DEAD, &place, PATIENCE))
}

/// A command that goes on while others do.
fn begin(machine: &Machine, words: &str) -> Child {
    let mut command = machine.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    machine.namespace.run(|| command.spawn().unwrap())
}

#[track_caller]
fn succeeds(machine: &Machine, words: &str) {
    let output = machine.poolguard(words);
    assert!(output.status.success(), "{words}: {output:?}");
}

#[test]
fn a_file_system_that_does_not_answer_holds_up_the_reload_and_nothing_else() {
    let machine = Machine::new();
    machine.configure(&including("none.d/*.toml"));
    let mut running = beside_a_dead_file_system(&machine);
    machine.configure(&including("hang/*.toml"));
    let mut reload = begin(&machine, "reload");
    let diff = begin(&machine, "diff");
    // Another one waits its turn, and does not wait for ever.
    let output = machine.poolguard("reload --timeout 1s");
    assert_eq!(output.status.code(), Some(4), "{output:?}");

    succeeds(
        &machine,
        "exempt add 203.0.113.9 25 --expires 1s --reason test",
    );
    assert!(reload.try_wait().unwrap().is_none(), "it still waits");
    running.log_until("temporary exemption has expired and no longer exempts");
    succeeds(
        &machine,
        "exempt add 203.0.113.9 25 --expires 1h --reason test",
    );
    succeeds(&machine, "exempt remove 2");
    machine.namespace.ip("link delete eth0");
    running.log_until("the interface or its link is gone");
    machine.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(machine.get("/healthz").0, 200);

    // It is refused, by name.
    let output = reload.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(line.contains("hang"), "{line}");
    assert!(line.contains("takes longer than 8 seconds"), "{line}");
    let line = last_line(&diff.wait_with_output().unwrap());
    assert!(line.contains("takes longer than 8 seconds"), "{line}");

    // While the next one waits, SIGTERM ends the controller.
    let reload = begin(&machine, "reload");
    running.log_until("reload refused");
    let log = running.stop();
    assert!(log.contains("STILL ENFORCING"), "{log}");
    assert_eq!(reload.wait_with_output().unwrap().status.code(), Some(1));
}

/// Until somebody takes it away again.
struct DeadMount {
    server: Child,
    controller: Pid,
    place: PathBuf,
}

impl DeadMount {
    /// Where a controller sees it.
    fn over(running: &Running<'_>, place: &Path) -> Self {
        let controller = running.pid();
        let mut command = beside(controller);
        command.args(["sh", "-ec", DEAD]).arg(place);
        command.args(["sh", "-c", "echo mounted; exec sleep infinity"]);
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 8];
        std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"mounted\n");
        Self {
            server,
            controller,
            place: place.to_owned(),
        }
    }

    /// Its namespace has nobody else in it any more, and goes with it.
    fn end_with_its_namespace(mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn end(mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let mut umount = beside(self.controller);
        let status = umount.args(["umount", "-l"]).arg(&self.place).status();
        assert!(status.unwrap().success());
    }
}

/// A program that sees what a controller sees.
fn beside(controller: Pid) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--mount=/proc/{controller}/ns/mnt"));
    command.arg("--");
    command
}

#[test]
fn a_state_directory_that_does_not_answer_holds_up_nothing() {
    let machine = Machine::new();
    machine.configure(&including("none.d/*.toml"));
    let plain = "exec \"$@\"";
    let command = with_mounts(&machine, plain, &machine.state(), 1);
    let mut running = machine.start_command(command);
    let exempt = "exempt add 203.0.113.9 25 --reason test --expires";
    succeeds(&machine, &format!("{exempt} 1h"));
    let dead = DeadMount::over(&running, &machine.state());
    // What has to be kept is refused, at once from the second time on.
    for words in [
        &format!("{exempt} 2h"),
        "exempt remove 1",
        "reload --confirm 1h",
    ] {
        let output = machine.poolguard(words);
        assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
        let line = last_line(&output);
        assert!(
            line.contains("the disk has not answered for 1 seconds"),
            "{line}"
        );
    }
    // And everything else is done.
    succeeds(&machine, "reload");
    assert_eq!(machine.status()["generation"], 3);
    assert_eq!(machine.get("/healthz").0, 200);
    machine.namespace.ip("link delete eth0");
    let until = |code| while machine.get("/readyz").0 != code {};
    until(503);
    machine.add_veth("eth0");
    until(200);
    running.log_until("the state directory does not answer");
    dead.end();
    running.log_until("the state directory answers again");
    succeeds(&machine, "exempt remove 1");
    let kept = fs::read_to_string(machine.state_file("exemptions.json")).unwrap();
    assert!(!kept.contains("203.0.113.9"), "{kept}");
    let dead = DeadMount::over(&running, &machine.state());
    succeeds(&machine, "detach");
    running.ended();
    dead.end_with_its_namespace();
}

#[test]
fn a_start_does_not_wait_for_a_state_directory_that_does_not_answer() {
    let machine = Machine::new();
    fs::create_dir(machine.state()).unwrap();
    let command = with_mounts(&machine, DEAD, &machine.state(), 1);
    let mut running = machine.start_command(command);
    running.log_until("UNCONFIRMED");
    assert_eq!(machine.get("/readyz").0, 200);
    running.log_until("the state directory does not answer");
    running.stop();
}

#[test]
fn detach_does_not_wait_for_a_disk() {
    let machine = Machine::new();
    machine.configure(&including("none.d/*.toml"));
    let running = beside_a_dead_file_system(&machine);
    machine.configure(&including("hang/*.toml"));
    let mut reload = begin(&machine, "reload");
    succeeds(&machine, "detach");
    running.ended();
    assert!(!machine.pins().exists());
    reload.wait().unwrap();
}

#[test]
fn what_is_no_file_or_has_no_end_is_refused_by_name() {
    let machine = Machine::new();
    let directory = machine.directory.join("customers.d");
    fs::create_dir(&directory).unwrap();
    machine.configure(&including("customers.d/*.toml"));
    let running = machine.start();
    let customer = directory.join("customer.toml");
    let refused = |why: &str| {
        let output = machine.poolguard("reload");
        assert_eq!(output.status.code(), Some(1));
        let line = last_line(&output);
        let name = customer.display().to_string();
        assert!(line.contains(why) && line.contains(&name), "{line}");
        fs::remove_file(&customer).unwrap();
        succeeds(&machine, "reload");
    };
    mkfifo(&customer, Mode::S_IRUSR).unwrap();
    refused("it is no regular file");
    symlink("/dev/zero", &customer).unwrap();
    refused("it is no regular file");
    let file = fs::File::create(&customer).unwrap();
    file.set_len(1 << 40).unwrap();
    refused("it is larger than 256 MiB");
    running.stop();
}

/// A file server holds leases on its files. The kernel asks for them back.
#[test]
fn a_lease_that_is_given_up_is_waited_for() {
    let machine = Machine::new();
    let running = machine.start();
    let script = "open F, '+<', $ARGV[0] or die; $| = 1;\n\
                  $SIG{IO} = sub { fcntl(F, 1024, 2); exit };\n\
                  fcntl(F, 1024, 1) or die; print qq(held\\n); sleep 60";
    let mut perl = Command::new("perl");
    perl.args(["-e", script]).arg(machine.config_file());
    let mut holder = perl.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(&mut holder.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!(&said, b"held\n");
    succeeds(&machine, "reload");
    assert!(holder.wait().unwrap().success());
    running.stop();
}

#[test]
fn a_controller_that_does_not_answer_is_waited_for_as_long_as_was_said() {
    let machine = Machine::new();
    let running = machine.start();
    kill(running.pid(), Signal::SIGSTOP).unwrap();
    for words in [
        "status --timeout 1s",
        "reload --timeout 1s",
        "diff --timeout 1s",
        "confirm --timeout 1s",
        "exempt list --timeout 1s",
        "exempt remove 1 --timeout 1s",
        "exempt add 203.0.113.9 25 --expires 1h --reason test --timeout 1s",
    ] {
        let output = machine.poolguard(words);
        assert_eq!(output.status.code(), Some(4), "{words}: {output:?}");
        let line = last_line(&output);
        assert!(line.contains("does not answer"), "{line}");
        assert!(line.contains("within 1s"), "{line}");
    }
    kill(running.pid(), Signal::SIGCONT).unwrap();
    // What it was asked for is done, where it can be.
    running.stop();
}

/// A service manager whose socket is full.
#[test]
fn nobody_waits_for_the_service_manager() {
    let machine = Machine::new();
    let path = machine.directory.join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let command = machine.command("run --detach-on-exit");
    let running = machine.start_notifying(command, &notify, &path);
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"X=1", &path).is_ok() {}
    for _ in 0..3 {
        succeeds(&machine, "reload");
    }
    running.stop();
    assert!(!machine.pins().exists());
}

/// More connections than are served at once, of clients that ask and read nothing.
#[test]
fn clients_that_read_nothing_do_not_keep_a_scraper_waiting() {
    let machine = Machine::new();
    let running = machine.start();
    let silent: Vec<_> = machine.namespace.run(|| {
        let connections = (0..150).map(|_| {
            let mut client = std::net::TcpStream::connect("127.0.0.1:9188").unwrap();
            client.set_nonblocking(true).unwrap();
            // As many questions as go, so that the answers fill every buffer.
            let question = b"GET /metrics HTTP/1.1\r\nHost: box\r\n\r\n".repeat(1_000);
            let _full = client.write(&question);
            client
        });
        connections.collect()
    });
    let start = std::time::Instant::now();
    assert_eq!(machine.get("/readyz").0, 200);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    drop(silent);
    running.stop();
}
