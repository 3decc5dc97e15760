//! Network namespaces without a name.
//!
//! A namespace lives as long as a file is open on it, and every interface in it
//! dies with it. So nothing can be left behind, however a test ends: it is the
//! kernel that closes the files.

use std::{fs, fs::File, io, path::Path, process::Command, thread};

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace, with IPv6 switched off so that nobody in it speaks
/// without having been asked to.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one.
    pub fn new() -> Self {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("a network namespace takes root: {error}"));
            let default = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
            match fs::write(default, "1") {
                // No such file: nobody speaks IPv6 on this machine (`ipv6.disable=1`).
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => written.unwrap(),
            }
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self { file }
    }

    /// Runs something inside, on a thread of its own. Only the network is
    /// another one there; files, bpffs among them, are the same.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
            inside()
        })
    }

    /// Runs iproute2's `ip` inside. Words are separated by spaces.
    pub fn ip(&self, words: &str) -> String {
        self.run(|| command("ip", words))
    }

    /// Gives an interface another name. Linux 6.1 wants it to be down for that.
    pub fn rename(&self, from: &str, to: &str) {
        self.ip(&format!("link set {from} down"));
        self.ip(&format!("link set {from} name {to}"));
        self.ip(&format!("link set {to} up"));
    }

    /// Joins an interface of this namespace to one of another by a cable. It
    /// has one queue each way, which keeps frames in order, and takes frames that
    /// are larger than a page.
    pub fn join(&self, own: &str, other: &Self, others: &str) {
        self.join_with_queues(own, other, others, 1, 9000);
    }

    /// Joins them by a cable with so many queues each way, and this MTU.
    pub fn join_with_queues(&self, own: &str, other: &Self, others: &str, queues: usize, mtu: u32) {
        use std::os::fd::AsRawFd as _;
        let place = format!("/proc/{}/fd/{}", std::process::id(), other.file.as_raw_fd());
        let form = format!("mtu {mtu} numtxqueues {queues} numrxqueues {queues}");
        self.ip(&format!(
            "link add {own} up {form} type veth peer name {others} {form} netns {place}"
        ));
        other.ip(&format!("link set {others} up"));
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a program and gives back what it printed.
pub fn command(program: &str, words: &str) -> String {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bpftool says of a pinned link.
///
/// It ends with the status of a listing of all links, which is -1 unless the last
/// one was not found: bpftool 7.5 of Debian 13 says what it was asked and fails.
/// What it prints is judged, not its status.
pub fn pinned_link(pin: &Path) -> serde_json::Value {
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["-j", "link", "show", "pinned"]).arg(pin);
    let output = bpftool.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Entering a namespace is for good, so a thread is spent on it.
fn on_a_thread<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(job).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
