//! A PPPoE session of Debian's own programs, through a box that filters.
//!
//! `pppd` is the modem, in a namespace of its own; `pppoe-server` is the access
//! concentrator, in another one. The box is a bridge between them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use lab::{Namespace, Process, command};
use nix::sys::signal::Signal;

use super::{Appliance, FAR_ENDS};
use crate::configs::Hosts;

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// The end of the session in the modem.
const WAN: &str = "wan0";
/// The end of the session in the access concentrator.
const SUBSCRIBER: &str = "isp0";

/// A session that is up: the modem has the dialup customer's addresses, and
/// whoever is far away is in the access concentrator.
pub struct Session {
    // Ended first.
    _server: Process,
    _modem: Process,
    /// The box, between `eth1` and `eth0`.
    pub appliance: Appliance,
    /// Where the customer is.
    pub modem: Namespace,
    /// Where the provider and the Internet are.
    pub concentrator: Namespace,
    directory: PathBuf,
}

impl Session {
    /// Brings a session up through a box, in VLAN tags of these kinds.
    ///
    /// # Errors
    ///
    /// What this kernel lacks for it.
    pub fn open(tags: &[&str], filter: impl FnOnce(&mut Appliance)) -> Result<Self, &'static str> {
        // Where the kernel's modules are, they are loaded.
        for module in ["pppoe", "8021q"] {
            let _not_there = Command::new("modprobe")
                .arg(module)
                .stderr(Stdio::null())
                .status();
        }
        if !Path::new("/proc/net/pppoe").exists() {
            return Err("PPPoE");
        }
        if !tags.is_empty() && !Path::new("/proc/net/vlan").exists() {
            return Err("VLAN sub-interfaces");
        }
        let (modem, concentrator) = (Namespace::new(), Namespace::new());
        let mut appliance = Appliance::bridging(&modem, &concentrator);
        filter(&mut appliance);
        let directory = settings();
        let [(_, customers), (_, network)] = FAR_ENDS;
        let customers = in_tags(&modem, customers, tags);
        let network = in_tags(&concentrator, network, tags);
        let server = start(
            &concentrator,
            &directory,
            &format!(
                "pppoe-server -F -I {network} -L {} -R {} -N 1 -O /etc/ppp/server",
                Hosts::v4().internet,
                Hosts::v4().dialup,
            ),
        );
        let client = start(
            &modem,
            &directory,
            &format!("pppd file /etc/ppp/modem nic-{customers}"),
        );
        let told = ["remote IP address", "remote LL address"];
        until_told(&told, &client, &server);
        for (namespace, interface, own, others) in [
            (&modem, WAN, Hosts::v6().dialup, Hosts::v6().internet),
            (
                &concentrator,
                SUBSCRIBER,
                Hosts::v6().internet,
                Hosts::v6().dialup,
            ),
        ] {
            until_there(namespace, interface);
            // PPP agrees on addresses of the link alone.
            namespace.ip(&format!("-6 address add {own}/128 dev {interface} nodad"));
            namespace.ip(&format!("-6 route add {others}/128 dev {interface}"));
        }
        Ok(Self {
            _server: server,
            _modem: client,
            appliance,
            modem,
            concentrator,
            directory,
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.directory);
    }
}

/// A directory that these programs see as `/etc/ppp`.
fn settings() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("poolguard-ppp-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(directory.join("plugins")).unwrap();
    // Where pppoe-server tells pppd to look for it.
    std::os::unix::fs::symlink(plugin(), directory.join("plugins/rp-pppoe.so")).unwrap();
    let both = "noauth\nnodetach\n+ipv6\nnodefaultroute\n";
    fs::write(directory.join("options"), "").unwrap();
    fs::write(
        directory.join("server"),
        format!("{both}ifname {SUBSCRIBER}\n"),
    )
    .unwrap();
    let modem = format!("plugin /etc/ppp/plugins/rp-pppoe.so\n{both}ifname {WAN}\nnoipdefault\n");
    fs::write(directory.join("modem"), modem).unwrap();
    directory
}

/// The plugin of Debian's package ppp, in a directory named after its version.
fn plugin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/pppd")
        .unwrap_or_else(|error| panic!("/usr/lib/pppd: {error}; it is in Debian's package ppp"));
    let mut plugins = versions.map(|version| version.unwrap().path().join("pppoe.so"));
    plugins.find(|plugin| plugin.is_file()).unwrap()
}

/// The interface on a port that is behind these tags.
fn in_tags(namespace: &Namespace, port: &str, tags: &[&str]) -> String {
    // As a cable has them: in the frame, and not told beside it.
    for offload in ["txvlan", "tx-vlan-stag-hw-insert"] {
        namespace.run(|| command("ethtool", &format!("-K {port} {offload} off")));
    }
    tags.iter()
        .zip(7..)
        .fold(port.to_owned(), |below, (kind, number)| {
            let name = format!("{port}.{number}");
            namespace.ip(&format!(
                "link add link {below} name {name} up type vlan protocol {kind} id {number}"
            ));
            name
        })
}

/// Waits for an interface that has agreed on an IPv4 address and on IPv6.
fn until_there(namespace: &Namespace, interface: &str) {
    let is_up = |_: &u32| {
        let address = namespace.ip("address show to 0.0.0.0/0");
        let link = namespace.ip("-6 address show to fe80::/10");
        address.contains(interface) && link.contains(interface)
    };
    let attempt = (0..1000).find(is_up);
    attempt.unwrap_or_else(|| panic!("{interface} has no addresses"));
}

/// A program with its children, which end with it.
fn start(namespace: &Namespace, settings: &Path, words: &str) -> Process {
    // IPv6 is off in a namespace until somebody needs it.
    let script = "echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6 \
             && mount --bind \"$1\" /etc/ppp && shift && exec \"$@\" 2>&1";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", script, "sh"])
        .arg(settings)
        .args(words.split_whitespace());
    let process = namespace.run(|| Process::spawn(words, &mut command));
    // unshare waits, whatever it is told.
    process.unwrap().ending_with(Signal::SIGKILL)
}

/// Waits until a program has told all of this, or panics with what it and the other
/// one have told.
fn until_told(wanted: &[&str], one: &Process, other: &Process) {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    while !wanted
        .iter()
        .all(|words| told.iter().any(|line: &String| line.contains(words)))
    {
        match one.stdout().line_by(deadline) {
            Ok(line) => told.push(line),
            Err(error) => {
                let others = other.said();
                panic!("{wanted:?}: {error}; one: {told:#?}; the other: {others}");
            }
        }
    }
}
