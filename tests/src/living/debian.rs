//! A box with Debian on it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use lab::Namespace;

use super::journal::Journal;

/// How long a boot or the way down may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a box that boots.
const LOOK: Duration = Duration::from_millis(50);

/// A box, and the far ends of its cables. What it writes to its files is lost with this
/// value, and nothing of it is left, however the process ends: it is only there for as
/// long as pipes from here are open.
pub(super) struct Debian {
    /// Its network, also while it is switched off.
    pub(super) inside: Namespace,
    /// Where its cables lead.
    pub(super) outside: Namespace,
    files: Child,
    power: Option<Power>,
}

/// A box that is switched on.
struct Power {
    supervisor: Child,
    /// Ends with the box.
    over: BufReader<ChildStdout>,
    /// Its process 1, as it is called out here.
    init: u32,
}

impl Debian {
    /// A box with these files, switched off.
    pub(super) fn new(root: &Path) -> Self {
        let apart = ["unshare", "--mount", "--propagation", "private"];
        let mut files = script(&apart, include_str!("files.sh"), &[root.as_os_str()]);
        let mut kept = String::new();
        let mut stdout = BufReader::new(files.stdout.take().unwrap());
        stdout.read_line(&mut kept).unwrap();
        assert_eq!(kept, "kept\n", "the files of a box, on {}", root.display());
        Self {
            inside: Namespace::new(),
            outside: Namespace::new(),
            files,
            power: None,
        }
    }

    /// Switches it on, and waits until it has booted. Says what systemd says then.
    pub(super) fn boot(&mut self) -> String {
        assert!(self.power.is_none(), "it is on");
        let keeper = self.files.id().to_string();
        let group = control_group();
        let arguments = [
            keeper.as_ref(),
            group.as_os_str(),
            include_str!("init.sh").as_ref(),
        ];
        let boot = include_str!("boot.sh");
        let mut supervisor = self.inside.run(|| script(&[], boot, &arguments));
        let mut over = BufReader::new(supervisor.stdout.take().unwrap());
        let mut init = String::new();
        over.read_line(&mut init).unwrap();
        let init = init.trim().parse();
        self.power = Some(Power {
            supervisor,
            over,
            init: init.unwrap_or_else(|_| panic!("no box in {}", group.display())),
        });
        let answers = || self.run("systemctl show-environment").status.success();
        self.until("systemd answers", answers);
        let state = self.run("systemctl is-system-running --wait");
        text(&state.stdout)
    }

    /// Switches it off in order.
    pub(super) fn power_off(&mut self) {
        self.says("systemctl poweroff --no-block");
        let power = self.power.as_mut().expect("it is on");
        let mut rest = String::new();
        power.over.read_to_string(&mut rest).unwrap();
        self.cut_power();
    }

    /// Takes its power away.
    pub(super) fn cut_power(&mut self) {
        if let Some(mut power) = self.power.take() {
            end(&mut power.supervisor);
        }
    }

    /// A command on the box. Its words are separated by blanks.
    pub(super) fn command(&self, words: &str) -> Command {
        let power = self.power.as_ref().expect("it is on");
        let mut command = Command::new("nsenter");
        command.args(["--target", &power.init.to_string()]);
        command.args(["--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"]);
        command.args(["--root", "--wd=/", "--", "env", "-i", "HOME=/root"]);
        command.args(["PATH=/usr/sbin:/usr/bin", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(words.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command prints, which has to succeed.
    pub(super) fn says(&self, words: &str) -> String {
        let output = self.run(words);
        let (told, complaint) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{words}: {told}\n{complaint}");
        told
    }

    /// What a command complains of, which has to fail.
    pub(super) fn complains(&self, words: &str) -> String {
        let output = self.run(words);
        let complaint = text(&output.stderr);
        assert!(!output.status.success(), "{words}: {complaint}");
        complaint
    }

    /// What a unit's property is.
    pub(super) fn property(&self, unit: &str, property: &str) -> String {
        self.says(&format!(
            "systemctl show --property={property} --value {unit}"
        ))
    }

    /// Waits until something that nobody announces is so.
    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            thread::sleep(LOOK);
        }
    }

    /// What it said last, for whoever has to find out why.
    pub(super) fn last_words(&self) -> String {
        match self.power {
            Some(_) => text(&self.run("journalctl --lines=60 --no-pager").stdout),
            None => "it is switched off".to_owned(),
        }
    }

    /// The journal, from here on.
    pub(super) fn journal(&self) -> Journal<'_> {
        Journal::from_now_on(self)
    }

    /// Where a file of the box is out here, also while it is switched off.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let files = self.files.id();
        PathBuf::from(format!("/proc/{files}/root/mnt/root{path}"))
    }

    /// Where a file is out here that is only there while the box is on.
    pub(super) fn own(&self, path: &str) -> PathBuf {
        let power = self.power.as_ref().expect("it is on");
        PathBuf::from(format!("/proc/{}/root{path}", power.init))
    }

    /// Writes a file of the box, and makes the directory that it is in.
    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Removes a file or a directory of the box, if it is there.
    pub(super) fn remove(&self, path: &str) {
        let path = self.path(path);
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        let gone = removed.is_ok() || !path.exists();
        assert!(gone, "{}: {removed:?}", path.display());
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        self.cut_power();
        end(&mut self.files);
    }
}

/// Starts a script, with a pipe to it and one from it, where a Ctrl-C does not reach it:
/// that this process ends does.
fn script(prefix: &[&str], script: &str, arguments: &[&OsStr]) -> Child {
    let words = [prefix, &["sh", "-ec", script, "sh"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.process_group(0).spawn().unwrap()
}

/// Closes the pipe to a script, and waits for its end.
fn end(script: &mut Child) {
    drop(script.stdin.take());
    let _status = script.wait();
}

/// What a program printed.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// A control group that nobody has made yet, in the second version's hierarchy.
fn control_group() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let hierarchy = mounts.find_map(|mut fields| {
        let (path, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    });
    let hierarchy = hierarchy.expect("systemd takes a cgroup2 file system: mount one");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    hierarchy.join(format!("poolguard-test-{}-{number}", std::process::id()))
}
