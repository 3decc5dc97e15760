//! A box with the real binary on it, run as an operator runs it.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wire::{Namespace, take_redirected};

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look may take before the next.
const BLINK: Duration = Duration::from_millis(100);

/// Two interfaces, one pool.
pub const CONFIG: &str = r#"
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

/// The same configuration with a wire between the two interfaces.
pub fn by_wire(config: &str) -> String {
    format!("forwarding = \"wire\"\n{config}[[wire]]\nends = [\"eth1\", \"eth0\"]\n")
}

/// A box with a configuration file of its own.
pub struct Machine {
    /// The box.
    pub namespace: Namespace,
    /// Keeps the far ends of the cables.
    pub outside: Namespace,
    /// For its files.
    pub directory: PathBuf,
    /// Its poolguard.
    pub instance: String,
    bpffs: Option<Bpffs>,
}

impl Machine {
    /// With `eth0` and `eth1`, both of them veth.
    pub fn new() -> Self {
        let machine = Self::without_interfaces();
        for interface in ["eth0", "eth1"] {
            machine.add_veth(interface);
        }
        machine
    }

    /// With the two interfaces, to be joined by a wire.
    pub fn by_wire() -> Self {
        let machine = Self::new();
        machine.join_by_wire();
        machine
    }

    /// Configures a wire between its two interfaces.
    pub fn join_by_wire(&self) {
        for interface in ["eth0", "eth1"] {
            take_redirected(&self.namespace, interface, &self.outside, interface);
        }
        self.configure(&by_wire(CONFIG));
    }

    /// Without any but `lo`.
    pub fn without_interfaces() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("cmd-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(format!("poolguard-{instance}"));
        fs::create_dir(&directory).unwrap();
        let machine = Self {
            namespace: Namespace::new(),
            outside: Namespace::new(),
            directory,
            instance,
            bpffs: None,
        };
        machine.namespace.ip("link set lo up");
        machine.configure(CONFIG);
        machine
    }

    /// With the two interfaces, and a BPF filesystem of its own, which can be
    /// made to fail without anybody else's noticing.
    pub fn with_bpffs() -> Self {
        let mut machine = Self::new();
        machine.bpffs = Some(Bpffs::mount());
        machine
    }

    /// One more interface, on a cable that leads outside.
    pub fn add_veth(&self, interface: &str) {
        self.namespace.join(interface, &self.outside, interface);
    }

    /// Where its configuration is.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("poolguard.toml")
    }

    /// Writes its configuration. Whoever reads meanwhile finds the one before.
    pub fn configure(&self, text: &str) {
        let new = self.directory.join("poolguard.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config_file()).unwrap();
    }

    /// `poolguard` with these words for arguments, and those that say which box it is.
    pub fn command(&self, words: &str) -> Command {
        let mut command = self.program(&poolguard());
        command
            .args(self.which(words))
            .args(words.split_whitespace())
            // As systemd does, and with the box it is gone.
            .env("STATE_DIRECTORY", self.state());
        command
    }

    /// What tells this box's poolguard from others, as far as a command heeds it.
    pub fn which(&self, words: &str) -> Vec<OsString> {
        let command = words.split_whitespace().next();
        let mut arguments = Vec::new();
        if command != Some("check") {
            arguments.extend(["--instance".into(), OsString::from(&self.instance)]);
        }
        if let Some("run" | "check") = command {
            arguments.extend(["--config".into(), self.config_file().into_os_string()]);
        }
        arguments
    }

    /// Where its controllers keep what outlives them.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// A file that they keep.
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.state().join(&self.instance).join(name)
    }

    /// Any program, with the BPF filesystem of the box.
    pub fn program(&self, program: &Path) -> Command {
        let Some(bpffs) = &self.bpffs else {
            return Command::new(program);
        };
        let mut command = Command::new("nsenter");
        command.arg(bpffs.namespace()).arg("--").arg(program);
        command
    }

    /// The binary where every user may run it: what was built may be in a directory
    /// of root's own, and its mode is as the umask was.
    pub fn poolguard_for_all(&self) -> PathBuf {
        let copy = self.directory.join("poolguard");
        fs::copy(poolguard(), &copy).unwrap();
        for path in [&self.directory, &copy] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    /// Runs a command to its end.
    pub fn poolguard(&self, words: &str) -> Output {
        self.output(self.command(words))
    }

    /// Runs any command to its end, on the box.
    pub fn output(&self, mut command: Command) -> Output {
        self.namespace.run(|| command.output().unwrap())
    }

    /// The last line of a `run` that does not start.
    pub fn refusal(&self) -> String {
        let output = self.poolguard("run --strict");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!self.pins().exists(), "a refused start leaves no pins");
        last_line(&output)
    }

    /// Starts a controller that leaves nothing behind, and waits until it says
    /// that it enforces.
    pub fn start(&self) -> Running<'_> {
        self.start_with("run --detach-on-exit")
    }

    /// Starts a controller and waits until it says that it enforces.
    pub fn start_with(&self, words: &str) -> Running<'_> {
        self.start_command(self.command(words))
    }

    /// The same with a command that was prepared otherwise.
    pub fn start_command(&self, command: Command) -> Running<'_> {
        // Each has one of its own: several may run.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = self.directory.join(format!("notify-{number}"));
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(BLINK)).unwrap();
        self.start_notifying(command, &notify, &socket)
    }

    /// The same, for somebody who wants to hear what else it tells its service
    /// manager.
    pub fn start_notifying(
        &self,
        mut command: Command,
        notify: &UnixDatagram,
        socket: &Path,
    ) -> Running<'_> {
        command.env("NOTIFY_SOCKET", socket);
        let mut running = Running::spawn(self, command);
        let deadline = Instant::now() + PATIENCE;
        let mut message = [0; 4_096];
        loop {
            match notify.recv(&mut message) {
                Ok(length) => {
                    let told = &message[..length];
                    assert!(told.starts_with(b"READY=1\nSTATUS="), "{told:?}");
                    return running;
                }
                Err(_) if running.has_ended() => panic!("it ended: {}", running.ended()),
                Err(_) => assert!(Instant::now() < deadline, "it does not start"),
            }
        }
    }

    /// Starts a controller that may not start, and waits until it serves its
    /// metrics, or says that it cannot. Says which.
    ///
    /// # Errors
    ///
    /// The log of one that ends instead.
    pub fn try_start(&self, command: Command) -> Result<(Running<'_>, bool), String> {
        let mut running = Running::spawn(self, command);
        let mut log = String::new();
        while let Ok(line) = running.log.recv() {
            let serves = line.contains("serving /metrics");
            if serves || line.contains("are NOT SERVED") {
                return Ok((running, serves));
            }
            log += &line;
            log.push('\n');
        }
        running.reap();
        Err(log)
    }

    /// The status and the body of an HTTP answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(&self.namespace, path)
    }

    /// What `poolguard status --json` prints.
    pub fn status(&self) -> serde_json::Value {
        let output = self.poolguard("status --json");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Where the link of an interface is pinned.
    pub fn link_pin(&self, interface: &str) -> PathBuf {
        let directory = self.pins().join("links/native");
        let mut list = self.program(Path::new("ls"));
        let list = list.arg(&directory).output().unwrap();
        let names = String::from_utf8(list.stdout).unwrap();
        let is_its = |name: &&str| name.ends_with(&format!("-{interface}"));
        let name = names.lines().find(is_its);
        directory.join(name.unwrap_or_else(|| panic!("{interface} has no link: {names}")))
    }

    /// Its directory in bpffs.
    pub fn pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(format!("poolguard-{}", self.instance))
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed may have left its filter.
        let _nothing = self.poolguard("detach");
        let _gone = fs::remove_dir_all(&self.directory);
    }
}

/// A mount namespace with a BPF filesystem, for as long as a process sleeps in it.
struct Bpffs {
    keeper: Child,
}

impl Bpffs {
    fn mount() -> Self {
        let mut command = Command::new("unshare");
        let script = "mount -t bpf bpf /sys/fs/bpf && echo mounted && exec sleep infinity";
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        let mut keeper = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = keeper.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        Self { keeper }
    }

    fn namespace(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.keeper.id())
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _gone = self.keeper.kill();
        let _gone = self.keeper.wait();
    }
}

/// A controller that runs.
pub struct Running<'a> {
    machine: &'a Machine,
    child: Option<Child>,
    /// Its log, line by line, read by a thread so that it never has to wait.
    log: Receiver<String>,
}

impl<'a> Running<'a> {
    fn spawn(machine: &'a Machine, mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut child = machine.namespace.run(|| command.spawn().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may want to know any more.
                let _unheard = lines.send(line);
            }
        });
        Self {
            machine,
            child: Some(child),
            log,
        }
    }

    /// Reads the log up to a line that contains `words`, and gives that back.
    pub fn log_until(&mut self, words: &str) -> String {
        // In all: a line may be repeated for ever.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(patience);
            let line = line.unwrap_or_else(|error| panic!("{words:?} in the log: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().cast_signed())
    }

    /// Whether it is no more.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        child.try_wait().unwrap().is_some()
    }

    /// Ends it with SIGTERM and gives back what is left of its log.
    pub fn stop(self) -> String {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        self.ended()
    }

    /// Ends it with SIGKILL, as the kernel does when memory runs out.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end, however it comes.
    fn reap(&mut self) {
        let child = self.child.take();
        child.map(|mut child| child.wait().unwrap());
    }

    /// Waits for its end, and gives back what is left of its log.
    pub fn ended(mut self) -> String {
        let mut child = self.child.take().unwrap();
        let status = child.wait().unwrap();
        let log: Vec<_> = self.log.iter().collect();
        let log = log.join("\n");
        assert!(status.success(), "{status}: {log}");
        log
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // A test failed.
        let _gone = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let _gone = child.wait();
        eprintln!("stopped instance {}", self.machine.instance);
    }
}

/// The status and the body of an HTTP answer of the controller in a network namespace.
pub fn get(namespace: &Namespace, path: &str) -> (u16, String) {
    let answer = namespace.run(|| {
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

/// The binary that was built with this one.
pub fn poolguard() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // Tests are in a directory beside it, other programs with it.
    let directories = this.ancestors().skip(1).take(2);
    let mut binaries = directories.map(|directory| directory.join("poolguard"));
    binaries.find(|binary| binary.is_file()).unwrap_or_else(|| {
        panic!(
            "poolguard is not beside {}: cargo xtask build",
            this.display()
        )
    })
}

/// The last line that a command wrote to standard error.
pub fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

/// The value of a metric.
pub fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in {text}"));
    value.trim().parse().unwrap()
}
