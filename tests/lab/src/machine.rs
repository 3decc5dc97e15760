//! A box with the real binary on it, run as an operator runs it.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    cable::take_redirected,
    namespace::Namespace,
    running::{Running, get},
};

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
#[derive(Debug)]
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

    /// Starts a controller with a command that was prepared otherwise, and waits until
    /// it says that it enforces.
    pub fn start_command(&self, command: Command) -> Running<'_> {
        // Each has one of its own: several may run.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = self.directory.join(format!("notify-{number}"));
        let notify = UnixDatagram::bind(&socket).unwrap();
        self.start_notifying(command, &notify, &socket)
    }

    /// Starts a controller, for somebody who wants to hear what else it tells its
    /// service manager.
    pub fn start_notifying(
        &self,
        command: Command,
        notify: &UnixDatagram,
        socket: &Path,
    ) -> Running<'_> {
        Running::start(&self.namespace, command, notify, socket)
    }

    /// Starts a controller that may not start, and waits until it serves its
    /// metrics, or says that it cannot. Says which.
    ///
    /// # Errors
    ///
    /// The log of one that ends instead.
    pub fn try_start(&self, command: Command) -> Result<(Running<'_>, bool), String> {
        Running::spawn(&self.namespace, command).until_it_serves()
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
#[derive(Debug)]
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
