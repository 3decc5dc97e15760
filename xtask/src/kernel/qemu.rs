//! The machine: a kernel and a root filesystem under qemu, for a bounded time.

use std::{
    env, fmt, fs,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{debian::Qemu, initramfs::Initramfs};
use crate::workspace::step;

/// The first process of a machine that only has to start.
const TRIAL: &str = "#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
echo started >/dev/ttyS1
/bin/busybox poweroff -f
";
const STARTED: &str = "started";
/// Of the kernel (`Documentation/admin-guide/kernel-parameters.txt`). One that
/// panics ends the machine.
const PARAMETERS: &str = "console=ttyS0 panic=-1 oops=panic";
/// The last lines of the console are shown when a machine fails.
const SHOWN_LINES: usize = 40;
/// A kernel that starts takes two seconds.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

/// What a machine is made of.
pub(super) struct Machine<'a> {
    pub(super) qemu: &'a Qemu,
    pub(super) image: &'a Path,
    pub(super) initramfs: &'a Path,
    /// The file that gets what the kernel says.
    pub(super) console: &'a Path,
    /// How long it may take.
    pub(super) limit: Duration,
}

/// What runs the machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processor {
    /// This machine's own, through `/dev/kvm`.
    Kvm,
    /// A program.
    Emulated,
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "under KVM",
            Self::Emulated => "by software emulation: everything takes ten times as long",
        })
    }
}

impl Machine<'_> {
    /// What can run this machine: neither the device nor what the processor says
    /// of itself tells whether the kernel starts, so it is tried.
    pub(super) fn processor(&self, busybox: &Path) -> Result<Processor> {
        let is_there = File::options().read(true).write(true).open("/dev/kvm");
        if is_there.is_err() {
            return Ok(Processor::Emulated);
        }
        step("trying whether this kernel starts under KVM");
        let mut root = Initramfs::default();
        root.directory(Path::new("/dev"));
        root.script("/init", TRIAL.as_bytes());
        root.script("/bin/busybox", &fs::read(busybox)?);
        fs::write(self.initramfs, root.finish())?;
        let mut started = false;
        let trial = Machine {
            limit: TRIAL_LIMIT,
            ..*self
        };
        let outcome = trial.run(Processor::Kvm, |line| started |= line == STARTED);
        if let Err(error) = outcome {
            step(format_args!("it does not: {error:#}"));
        }
        Ok(match started {
            true => Processor::Kvm,
            false => Processor::Emulated,
        })
    }

    /// Runs the machine until it switches itself off, and gives every line that
    /// comes out of its second serial port to `line`.
    pub(super) fn run(&self, processor: Processor, mut line: impl FnMut(&str)) -> Result<()> {
        let deadline = Instant::now() + self.limit;
        let mut machine = Running(self.command(processor).spawn().context("cannot run qemu")?);
        let port = machine.0.stdout.take().context("qemu has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(port).split(b'\n').map_while(Result::ok);
            lines.all(|line| sender.send(line).is_ok())
        });
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(text) => line(String::from_utf8_lossy(&text).trim_end()),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!("the machine was not done after {} s", self.limit.as_secs())
                }
            }
        }
        let status = machine.0.wait()?;
        if !status.success() {
            bail!("qemu failed ({status})");
        }
        Ok(())
    }

    /// Prints the last of what the kernel said.
    pub(super) fn show_console(&self) {
        let text = fs::read(self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            println!("console: {}", line.trim_end());
        }
    }

    fn command(&self, processor: Processor) -> Command {
        // Ended with us, however we end.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&self.qemu.program);
        if !self.qemu.libraries.is_empty() {
            let path = env::join_paths(&self.qemu.libraries).unwrap_or_default();
            command.env("LD_LIBRARY_PATH", path);
        }
        for directory in &self.qemu.firmware {
            command.arg("-L").arg(directory);
        }
        let (accelerator, model) = match processor {
            Processor::Kvm => ("kvm", "host"),
            // In one thread: with one for each processor, what one of them patches in the
            // kernel's code is seen by another half patched, and 6.12 panics at times.
            Processor::Emulated => ("tcg,thread=single", "max"),
        };
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-accel", accelerator, "-cpu", model])
            .args(["-smp", "2", "-m", "2048"])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(["-serial", "stdio"])
            .arg("-kernel")
            .arg(self.image)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-no-reboot", "-append", PARAMETERS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }
}

/// Ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}
