//! Mail servers: postfix, each with a configuration, a queue and a mailbox of
//! its own. The machine's own postfix, if it runs one, is not touched.

use std::{
    fs,
    mem::MaybeUninit,
    net::TcpStream,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, chown},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use lab::{Process, interrupt};
use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    process::{Pid, Signal, kill_process},
};

use super::network::{Host, Provider};

/// How long a server may take to start: it checks its directories first.
const START: Duration = Duration::from_secs(30);
/// How long an accepted mail may take to the mailbox.
const DELIVERY: Duration = Duration::from_secs(10);
/// Between two looks at a server that starts.
const LOOK: Duration = Duration::from_millis(50);
/// `nobody`, whom the mailbox belongs to: postfix delivers nothing as root.
const MAILBOX_OWNER: u32 = 65534;

/// A running mail server.
pub(crate) struct MailServer {
    host: Host,
    domain: &'static str,
    inbox: PathBuf,
    arrivals: OwnedFd,
    daemon: Daemon,
}

impl MailServer {
    /// Starts one on `host` for `<anybody>@<domain>`, which takes a while: see
    /// [`wait_until_ready`](Self::wait_until_ready).
    pub(crate) fn start(provider: &Provider, host: Host, domain: &'static str) -> Result<Self> {
        let directory = provider
            .directory()
            .join(format!("postfix-{}", host.name()));
        let inbox = directory.join("mailboxes/inbox");
        let etc = directory.join("etc");
        make_directories(&directory, &inbox)?;
        fs::create_dir(&etc)?;
        fs::write(etc.join("main.cf"), main_cf(&directory, domain)?)?;
        fs::write(etc.join("master.cf"), MASTER_CF)?;

        let arrivals = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let events = WatchFlags::MOVED_TO | WatchFlags::CREATE;
        inotify::add_watch(&arrivals, inbox.join("new"), events)?;

        let mut postfix = provider.command(host, "postfix");
        postfix.arg("-c").arg(&etc).arg("start-fg");
        let daemon = Daemon {
            process: Process::spawn("postfix", &mut postfix)?,
            pid_file: directory.join("queue/pid/master.pid"),
        };
        Ok(Self {
            host,
            domain,
            inbox,
            arrivals,
            daemon,
        })
    }

    /// Waits until it accepts connections.
    pub(crate) fn wait_until_ready(&self, provider: &Provider) -> Result<()> {
        let host = self.host.name();
        let deadline = Instant::now() + START;
        let connect = || TcpStream::connect(("127.0.0.1", 25)).is_ok();
        while !provider.host(self.host).run(connect) {
            let exited = [self.daemon.process.exited()];
            if interrupt::wait(&exited, Instant::now() + LOOK)?.is_some() {
                bail!("postfix on {host}: {}", self.daemon.process.said());
            }
            if Instant::now() > deadline {
                bail!("postfix on {host} takes too long to start");
            }
        }
        Ok(())
    }

    /// Somebody who has a mailbox here.
    pub(crate) fn recipient(&self) -> String {
        format!("postmaster@{}", self.domain)
    }

    /// Waits for a mail that contains `token` to be in the mailbox.
    pub(crate) fn has_delivered(&self, token: &str) -> Result<bool> {
        let deadline = Instant::now() + DELIVERY;
        loop {
            for mail in fs::read_dir(self.inbox.join("new"))?.flatten() {
                let text = fs::read(mail.path()).unwrap_or_default();
                if String::from_utf8_lossy(&text).contains(token) {
                    return Ok(true);
                }
            }
            if interrupt::wait(&[self.arrivals.as_fd()], deadline)?.is_none() {
                return Ok(false);
            }
            self.forget_arrivals();
        }
    }

    fn forget_arrivals(&self) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.arrivals, &mut buffer);
        while events.next().is_ok() {}
    }
}

/// Postfix's master. It leaves the process group of the script that starts it,
/// so it is ended by the number that it writes down; the script follows.
struct Daemon {
    process: Process,
    pid_file: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.pid_file).unwrap_or_default();
        if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
            let _gone = kill_process(pid, Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(5);
            let _ended = interrupt::wait_regardless(self.process.exited(), deadline);
        }
    }
}

fn make_directories(directory: &Path, inbox: &Path) -> Result<()> {
    // Postfix's processes run as another user, and go through this one.
    fs::DirBuilder::new().mode(0o711).create(directory)?;
    for name in ["queue", "data", "mailboxes"] {
        fs::create_dir(directory.join(name))?;
    }
    chown(directory.join("data"), Some(postfix_user()?), None)?;
    for mailbox in [
        inbox,
        &inbox.join("new"),
        &inbox.join("cur"),
        &inbox.join("tmp"),
    ] {
        fs::create_dir(mailbox)?;
        chown(mailbox, Some(MAILBOX_OWNER), Some(MAILBOX_OWNER))?;
    }
    Ok(())
}

fn postfix_user() -> Result<u32> {
    let id = Command::new("id").args(["-u", "postfix"]).output()?;
    let id = String::from_utf8_lossy(&id.stdout);
    id.trim().parse().context("there is no user postfix")
}

/// Postfix's own defaults for the places of its programs are the right ones.
fn main_cf(directory: &Path, domain: &str) -> Result<String> {
    let directory = directory.to_str().context("not UTF-8")?;
    Ok(format!(
        "compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = /dev/stdout
myhostname = mx.{domain}
mydestination =
alias_maps =
alias_database =
inet_protocols = all
# There is no DNS in the laboratory.
smtpd_peername_lookup = no
disable_dns_lookups = yes
# Mail for its own domain, from anywhere; nothing is relayed.
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {directory}/mailboxes
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{MAILBOX_OWNER}
virtual_gid_maps = static:{MAILBOX_OWNER}
"
    ))
}

/// Only what it takes to receive and to deliver.
const MASTER_CF: &str = "\
smtp      inet  n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
proxymap  unix  - - n - - proxymap
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
";
