//! The real binary, run as an operator runs it: what it says when something is
//! missing, what it serves, how it reloads, and that it leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::{net::UnixDatagram, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use poolguard_tests::wire::Namespace;

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look may take before the next.
const BLINK: Duration = Duration::from_millis(100);

const CONFIG: &str = r#"
[[interface]]
name = "eth1"
role = "customer"
[[interface]]
name = "eth0"
role = "network"
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]
"#;

/// A box with a configuration file of its own.
struct Box_ {
    namespace: Namespace,
    /// Keeps the far ends of the cables.
    _outside: Namespace,
    directory: PathBuf,
    instance: String,
}

impl Box_ {
    /// With `eth0` and `eth1`, both of them veth.
    fn new() -> Self {
        let box_ = Self::without_interfaces();
        for interface in ["eth0", "eth1"] {
            box_.add_veth(interface);
        }
        box_
    }

    fn without_interfaces() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("cmd-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(format!("poolguard-{instance}"));
        fs::create_dir(&directory).unwrap();
        let box_ = Self {
            namespace: Namespace::new(),
            _outside: Namespace::new(),
            directory,
            instance,
        };
        box_.namespace.ip("link set lo up");
        box_.configure(CONFIG);
        box_
    }

    fn add_veth(&self, interface: &str) {
        self.namespace.join(interface, &self._outside, interface);
    }

    fn config_file(&self) -> PathBuf {
        self.directory.join("poolguard.toml")
    }

    fn configure(&self, text: &str) {
        fs::write(self.config_file(), text).unwrap();
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(poolguard());
        command
            .args(["--instance", &self.instance, "--config"])
            .arg(self.config_file())
            .args(words.split_whitespace());
        command
    }

    /// Runs a command to its end.
    fn poolguard(&self, words: &str) -> Output {
        self.output(self.command(words))
    }

    fn output(&self, mut command: Command) -> Output {
        self.namespace.run(|| command.output().unwrap())
    }

    /// The last line of a `run` that does not start.
    fn refusal(&self) -> String {
        let output = self.poolguard("run");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!self.pins().exists(), "a refused start leaves no pins");
        last_line(&output)
    }

    /// Starts a controller that leaves nothing behind, and waits until it says
    /// that it enforces.
    fn start(&self) -> Running<'_> {
        self.start_with("run --detach-on-exit")
    }

    fn start_with(&self, words: &str) -> Running<'_> {
        let socket = self.directory.join("notify");
        let _stale = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(BLINK)).unwrap();
        let mut command = self.command(words);
        command.env("NOTIFY_SOCKET", &socket).stderr(Stdio::piped());
        let mut running = Running {
            box_: self,
            child: Some(self.namespace.run(|| command.spawn().unwrap())),
        };
        let deadline = Instant::now() + PATIENCE;
        let mut message = [0; 256];
        loop {
            match notify.recv(&mut message) {
                Ok(length) => {
                    assert_eq!(&message[..length], b"READY=1\n");
                    return running;
                }
                Err(_) if running.has_ended() => panic!("it ended: {}", running.ended()),
                Err(_) => assert!(Instant::now() < deadline, "it does not start"),
            }
        }
    }

    /// The status and the body of an HTTP answer.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.namespace.run(|| {
            let mut stream = TcpStream::connect("127.0.0.1:9188").unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        assert_eq!(length, Some(body.len()), "a whole answer");
        (status, body.to_owned())
    }

    fn status(&self) -> serde_json::Value {
        let output = self.poolguard("status --json");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(format!("poolguard-{}", self.instance))
    }
}

impl Drop for Box_ {
    fn drop(&mut self) {
        // A test that failed may have left its filter.
        let _nothing = self.poolguard("detach");
        let _gone = fs::remove_dir_all(&self.directory);
    }
}

/// A controller that enforces.
struct Running<'a> {
    box_: &'a Box_,
    child: Option<Child>,
}

impl Running<'_> {
    /// Reads the log up to a line that contains `words`, and gives that back.
    fn log_until(&mut self, words: &str) -> String {
        let child = self.child.as_mut().unwrap();
        let log = child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while log.read(&mut byte).unwrap() == 1 {
            line.push(byte[0]);
            if byte == *b"\n" {
                let text = String::from_utf8_lossy(&line).into_owned();
                if text.contains(words) {
                    return text;
                }
                line.clear();
            }
        }
        panic!("the log ended without {words:?}");
    }

    fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        child.try_wait().unwrap().is_some()
    }

    /// Ends it with SIGTERM and gives back its log.
    fn stop(self) -> String {
        let child = self.child.as_ref().unwrap();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.ended()
    }

    /// Ends it with SIGKILL, as the kernel does when memory runs out.
    fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end, and gives back its log.
    fn ended(mut self) -> String {
        let child = self.child.take().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // A test failed. In order, so that the pins go as well.
        let _gone = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let _gone = child.wait();
        eprintln!("stopped instance {}", self.box_.instance);
    }
}

/// The binary that was built with this test.
fn poolguard() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("poolguard");
    assert!(
        binary.exists(),
        "{} is missing: cargo xtask build",
        binary.display()
    );
    binary
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn it_comes_serves_and_goes() {
    let box_ = Box_::new();
    let running = box_.start();

    assert_eq!(box_.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(box_.get("/readyz"), (200, "ok\n".to_owned()));
    let status = box_.status();
    assert_eq!(status["generation"], 1);
    assert_eq!(
        status["interfaces"],
        serde_json::json!([
            { "name": "eth1", "role": "customer", "mode": "native", "attached": true,
              "problem": null },
            { "name": "eth0", "role": "network", "mode": "native", "attached": true,
              "problem": null },
        ])
    );
    let (code, metrics) = box_.get("/metrics");
    assert_eq!(code, 200);
    for line in [
        r#"poolguard_program_attached{interface="eth0",mode="native",role="network"} 1"#,
        r#"poolguard_dropped_packets_total{pool="dialup",rule="inbound_port"} 0"#,
        r#"poolguard_pool_prefixes{family="ipv4"} 1"#,
        "poolguard_config_generation 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in {metrics}"
        );
    }

    let output = box_.poolguard("reload");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "generation 2 is in force\n"
    );
    assert!(output.status.success());

    let log = running.stop();
    assert!(
        log.contains("detached: nothing is enforced any more"),
        "{log}"
    );
    assert!(!box_.pins().exists(), "nothing is left in bpffs");
    let links = box_.namespace.ip("-details link show");
    assert!(
        !links.contains("prog/xdp"),
        "nothing is left attached: {links}"
    );
    let output = box_.poolguard("status");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains("is not running: nobody answers on /run/poolguard/"));
}

#[test]
fn an_interface_that_is_missing_is_waited_for() {
    let box_ = Box_::without_interfaces();
    box_.add_veth("eth1");
    let mut running = box_.start();
    running.log_until("not enforcing here yet: there is no interface of this name");
    let missing = "not enforcing on eth0: there is no interface of this name, it is waited for\n";
    assert_eq!(box_.get("/readyz"), (503, missing.to_owned()));
    box_.add_veth("eth0");
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(box_.get("/readyz"), (200, "ok\n".to_owned()));
    running.stop();
}

#[test]
fn a_driver_without_native_xdp_is_named_and_generic_works_there() {
    let box_ = Box_::without_interfaces();
    box_.add_veth("eth1");
    box_.namespace.ip("link add eth0 up type bridge");
    assert_eq!(
        box_.refusal(),
        "poolguard: not started: nothing is enforced. interface eth0: its driver has no native \
         XDP. Use a driver that has it, or accept the slow path: attach = \"generic\""
    );
    box_.configure(&CONFIG.replace("\"network\"", "\"network\"\nattach = \"generic\""));
    let running = box_.start();
    assert_eq!(box_.status()["interfaces"][1]["mode"], "generic");
    running.stop();
}

#[test]
fn another_xdp_program_is_left_alone() {
    let box_ = Box_::new();
    let running = box_.start();
    // Another instance, whose metrics do not collide with the first one's.
    let other = box_.directory.join("other.toml");
    let text = format!("{CONFIG}\n[metrics]\nlisten = \"127.0.0.1:9189\"\n");
    fs::write(&other, text).unwrap();
    let mut command = Command::new(poolguard());
    let instance = format!("{}-other", box_.instance);
    command
        .args(["run", "--instance", &instance, "--config"])
        .arg(&other);
    let output = box_.output(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not started: nothing is enforced. interface eth1: another XDP program is \
         attached already. `bpftool net` shows it; `ip link set dev eth1 xdp off` removes one \
         that is not held by a bpf_link"
    );
    assert_eq!(box_.get("/readyz").0, 200, "the first one goes on");
    running.stop();
}

#[test]
fn an_instance_runs_once() {
    let box_ = Box_::new();
    let running = box_.start();
    let output = box_.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(
        line.contains("is running already: its socket /run/poolguard/"),
        "{line}"
    );
    assert_eq!(box_.get("/readyz").0, 200, "the first one goes on");
    running.stop();
}

#[test]
fn missing_privileges_are_named() {
    let box_ = Box_::new();
    let mut command = box_.command("run");
    command.uid(65_534);
    let output = box_.output(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not started: nothing is enforced. missing privileges: CAP_BPF and \
         CAP_PERFMON, CAP_NET_ADMIN. Run as root, or give the process these capabilities"
    );
}

#[test]
fn a_missing_bpffs_is_named() {
    let box_ = Box_::new();
    let mut command = Command::new("unshare");
    let run = "umount --lazy /sys/fs/bpf && exec \"$@\"";
    command.args(["--mount", "sh", "-c", run, "sh"]);
    command
        .arg(poolguard())
        .args(["run", "--instance", &box_.instance, "--config"]);
    command.arg(box_.config_file());
    let output = box_.output(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not started: nothing is enforced. no bpffs at /sys/fs/bpf: mount it with \
         `mount -t bpf bpf /sys/fs/bpf`"
    );
}

#[test]
fn a_wrong_configuration_does_not_start() {
    let box_ = Box_::new();
    box_.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = box_.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("198.51.100.1/24"), "{errors}");
    assert!(
        errors.contains("not started: nothing is enforced"),
        "{errors}"
    );
}

#[test]
fn a_refused_reload_keeps_the_old_configuration() {
    let box_ = Box_::new();
    let running = box_.start();

    box_.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = box_.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    let check = box_.poolguard("check");
    let printed = String::from_utf8(output.stderr).unwrap();
    let checked = String::from_utf8(check.stderr).unwrap();
    assert!(
        printed.starts_with(&checked),
        "{printed}\nas check prints it:\n{checked}"
    );

    // Valid, but a bridge has no XDP of its own. eth1 goes over to the other
    // mode before that is found out, and has to come back.
    box_.namespace.ip("link add br7 up type bridge");
    let generic = CONFIG
        .replace("\"customer\"", "\"customer\"\nattach = \"generic\"")
        .replace("eth0", "br7");
    box_.configure(&generic);
    let output = box_.poolguard("reload");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_line(&output),
        "poolguard: not reloaded, generation 1 stays in force: interface br7: its driver has no \
         native XDP. Use a driver that has it, or accept the slow path: attach = \"generic\""
    );
    assert!(!box_.get("/metrics").1.contains("br7"), "nor its names");
    let status = box_.status();
    assert_eq!(status["generation"], 1);
    assert_eq!(status["reloads"]["total"], 2);
    assert_eq!(status["reloads"]["failures"], 2);
    assert_eq!(status["interfaces"][0]["mode"], "native");
    assert_eq!(box_.get("/readyz"), (200, "ok\n".to_owned()));
    for interface in ["eth0", "eth1"] {
        let link = box_.namespace.ip(&format!("link show {interface}"));
        assert!(link.contains(" xdp "), "native again: {link}");
    }

    box_.configure(CONFIG);
    let output = box_.poolguard("reload --json");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["successful"], true);
    assert_eq!(outcome["generation"], 2);
    running.stop();
}

#[test]
fn an_interface_that_goes_away_is_missed_and_filtered_when_it_is_back() {
    let box_ = Box_::new();
    let mut running = box_.start();
    for times in 1..=2 {
        box_.namespace.ip("link delete eth0");
        running.log_until("the interface or its link is gone");
        let (code, text) = box_.get("/readyz");
        assert_eq!(code, 503, "{text}");
        assert_eq!(box_.status()["interfaces"][1]["attached"], false);
        // Another interface of the same name.
        box_.add_veth("eth0");
        running.log_until("the interface is there: enforcing on it");
        assert_eq!(box_.get("/readyz").0, 200);
        let metric = format!("poolguard_interface_attachments_total{{interface=\"eth0\"}} {times}");
        assert!(box_.get("/metrics").1.contains(&metric));
    }
    running.stop();
}

#[test]
fn an_interface_that_is_renamed_stays_filtered() {
    let box_ = Box_::new();
    let running = box_.start();
    box_.namespace.ip("link set eth0 name wan0");
    assert_eq!(box_.get("/readyz").0, 200);
    let interface = &box_.status()["interfaces"][1];
    assert_eq!(interface["attached"], true);
    assert_eq!(
        interface["problem"],
        "is called wan0 now, and is filtered there"
    );
    running.stop();
}

#[test]
fn a_pin_that_somebody_removed_opens_nothing() {
    let box_ = Box_::new();
    let running = box_.start();
    for pin in fs::read_dir(box_.pins().join("links/native")).unwrap() {
        fs::remove_file(pin.unwrap().path()).unwrap();
    }
    assert_eq!(box_.get("/readyz").0, 200);
    assert!(box_.poolguard("reload").status.success());
    let pins = fs::read_dir(box_.pins().join("links/native")).unwrap();
    assert_eq!(pins.count(), 2, "they are there again");
    running.stop();
}

/// The value of a metric.
fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in {text}"));
    value.trim().parse().unwrap()
}

#[test]
fn what_a_controller_leaves_goes_on_and_is_taken_over() {
    let box_ = Box_::new();
    let programs = || {
        let shown = box_.namespace.ip("-details link show");
        shown.matches("prog/xdp").count()
    };
    let running = box_.start_with("run");
    assert!(box_.poolguard("reload").status.success());
    let log = running.stop();
    assert!(log.contains("STILL ENFORCING"), "{log}");
    assert_eq!(programs(), 2);

    let mut running = box_.start_with("run");
    running.log_until("an earlier run was still enforcing: taken over");
    let (_, text) = box_.get("/metrics");
    assert_eq!(metric(&text, "poolguard_config_generation"), 3);
    assert_eq!(metric(&text, "poolguard_config_reloads_total"), 1);
    running.kill();
    assert_eq!(programs(), 2);

    // A configuration that is refused changes nothing about it.
    box_.configure(&CONFIG.replace("198.51.100.0/24", "198.51.100.1/24"));
    let output = box_.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(
        line.contains("what an earlier run left attached goes on filtering"),
        "{line}"
    );
    assert_eq!(programs(), 2);

    let output = box_.poolguard("detach");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(programs(), 0);
    assert!(!box_.pins().exists());
    let again = box_.poolguard("detach --json");
    let told: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(told, serde_json::json!({ "detached": false }));
}

#[test]
fn a_running_controller_detaches_when_it_is_told_to() {
    let box_ = Box_::new();
    let running = box_.start_with("run");
    let output = box_.poolguard("detach");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "detached: nothing is enforced any more\n"
    );
    let log = running.ended();
    assert!(log.contains("`poolguard detach`: detaching"), "{log}");
    assert!(!box_.pins().exists());
}

#[test]
fn pins_that_are_not_poolguards_are_refused_or_replaced() {
    let box_ = Box_::new();
    let running = box_.start_with("run");
    running.kill();
    let pins = box_.pins();
    let maps = pins.join("maps-1");

    // Of another layout, and half-written ones.
    fs::rename(&maps, pins.join("maps-0")).unwrap();
    fs::create_dir(pins.join("generation-7")).unwrap();
    let mut running = box_.start_with("run");
    let log = running.log_until("counters of another version of poolguard are removed");
    assert!(log.contains("maps-0"), "{log}");
    running.kill();
    for gone in ["maps-0", "generation-7"] {
        assert!(!pins.join(gone).exists(), "{gone}");
    }

    // One of the maps is missing.
    fs::remove_file(maps.join("flows")).unwrap();
    let mut running = box_.start_with("run");
    running.log_until("incomplete or not poolguard's: counting begins anew");
    assert_eq!(box_.status()["generation"], 1);
    running.kill();

    // Another map in the place of the counters.
    fs::remove_file(maps.join("counters")).unwrap();
    let (notes, counters) = (maps.join("notes"), maps.join("counters"));
    let other = [notes.to_str().unwrap(), counters.to_str().unwrap()];
    let pin = format!("map pin pinned {} {}", other[0], other[1]);
    poolguard_tests::wire::command("bpftool", &pin);
    let mut running = box_.start_with("run");
    running.log_until("incomplete or not poolguard's: counting begins anew");
    running.kill();

    // A map among the links.
    let foreign = pins.join("links/native/1-lo");
    let pin = format!("map pin pinned {} {}", other[0], foreign.display());
    poolguard_tests::wire::command("bpftool", &pin);
    let output = box_.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(line.contains("1-lo: not a link of poolguard's"), "{line}");
    fs::remove_file(foreign).unwrap();
    assert!(box_.poolguard("detach").status.success());
}

#[test]
fn a_start_that_fails_leaves_a_running_one_alone() {
    let box_ = Box_::new();
    let running = box_.start();
    // Without its socket the first one cannot be asked whether it runs.
    fs::remove_file(format!("/run/poolguard/{}.sock", box_.instance)).unwrap();
    let output = box_.poolguard("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).contains("is running already"));
    assert_eq!(box_.get("/readyz").0, 200, "the first one goes on");
    running.stop();
}

#[test]
fn an_exemption_ends_on_time_also_when_an_interface_is_gone() {
    let box_ = Box_::new();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let exempted = format!(
        "{CONFIG}\n[[pool]]\nname = \"business\"\nkind = \"static\"\n\
         prefixes = [\"203.0.113.0/24\"]\n[[customer]]\nname = \"acme\"\n\
         prefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\nexpires = {soon}\n"
    );
    box_.configure(&exempted);
    let mut running = box_.start();
    assert_eq!(box_.status()["exemptions"]["ipv4"], 1);
    box_.namespace.ip("link delete eth0");
    // The controller says when it is done, and nobody waits by the clock.
    let log = running.log_until("exemptions have expired and no longer exempt");
    assert!(jiff::Timestamp::now() >= soon);
    assert!(log.contains("acme"), "{log}");
    let status = box_.status();
    assert_eq!(status["exemptions"]["ipv4"], 0);
    assert_eq!(status["generation"], 2);
    assert_eq!(status["interfaces"][0]["attached"], true);
    assert_eq!(status["interfaces"][1]["attached"], false);
    running.stop();
}

#[test]
fn an_error_is_told_to_machines_as_well() {
    let box_ = Box_::without_interfaces();
    let output = box_.poolguard("status --json");
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        told["error"].as_str().unwrap().contains("is not running"),
        "{told}"
    );
}

#[test]
fn scrapes_are_whole_while_reloads_go_on() {
    let box_ = Box_::new();
    let running = box_.start();
    let families = |text: &str| text.lines().filter(|l| l.starts_with("# TYPE")).count();
    let (_, first) = box_.get("/metrics");
    let wanted = families(&first);
    assert!(wanted >= 20, "{first}");
    let reloading = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            for _ in 0..5 {
                assert!(box_.poolguard("reload").status.success());
            }
            reloading.store(false, Ordering::Relaxed);
        });
        let mut scrapes = 0;
        while reloading.load(Ordering::Relaxed) && !reloads.is_finished() {
            let (status, text) = box_.get("/metrics");
            assert_eq!((status, families(&text)), (200, wanted));
            scrapes += 1;
        }
        reloads.join().unwrap();
        assert!(scrapes > 0);
    });
    assert_eq!(box_.status()["generation"], 6);
    running.stop();
}
