//! The machine: a kernel and a root filesystem under qemu, for a bounded time.

use std::{
    env, fs,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::debian::Qemu;

/// What a machine is made of.
pub(super) struct Machine<'a> {
    pub(super) qemu: &'a Qemu,
    pub(super) image: &'a Path,
    pub(super) initramfs: &'a Path,
    /// The file that gets what the kernel says.
    pub(super) console: &'a Path,
}

/// Whether the processor runs the machine by itself. A device alone does not
/// mean that it can.
pub(super) fn has_kvm() -> bool {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let virtual_machines = flags.split_whitespace().any(|f| f == "vmx" || f == "svm");
    virtual_machines
        && File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

impl Machine<'_> {
    /// Runs the machine until it switches itself off, and gives every line that
    /// comes out of its second serial port to `line`.
    pub(super) fn run(&self, limit: Duration, mut line: impl FnMut(&str)) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut machine = Running(self.command().spawn().context("cannot run qemu")?);
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
                    bail!("the machine was not done after {} s", limit.as_secs())
                }
            }
        }
        let status = machine.0.wait()?;
        if !status.success() {
            bail!("qemu failed ({status})");
        }
        Ok(())
    }

    fn command(&self) -> Command {
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
        let (accelerator, processor) = match has_kvm() {
            true => ("kvm", "host"),
            false => ("tcg", "max"),
        };
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-accel", accelerator, "-cpu", processor])
            .args(["-smp", "2", "-m", "2048"])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(["-serial", "stdio"])
            .arg("-kernel")
            .arg(self.image)
            .arg("-initrd")
            .arg(self.initramfs)
            // A kernel that panics ends the machine.
            .args(["-no-reboot", "-append", "console=ttyS0 panic=-1 oops=panic"])
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
