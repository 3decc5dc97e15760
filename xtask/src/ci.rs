//! `cargo xtask ci`: what every change has to pass.

use std::{
    env, fs,
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    demo, lint, packages,
    setup::{self, Mode},
    systemd, test,
    workspace::{self, step},
};

/// The command.
pub(crate) fn run_command() -> Result<()> {
    lint::run_command()?;
    demo::run_command(false, false)?;
    // What both install, and what makes the package, so that neither finds dpkg at work.
    let both = [
        packages::SYSTEMD,
        packages::DEB,
        packages::TEST,
        packages::MACHINE,
    ];
    setup::for_programs(Mode::Install, &both.concat())?;
    // An emulated processor is one thread; what boots under systemd mostly waits.
    let kernels = Beside::start(&["test", "--kernel", "--few"], "kernel/few.log")?;
    systemd::run_command(None)?;
    kernels.finish()?;
    test::run_command(&[])
}

/// Another command of these that runs meanwhile. What it says is shown when it ends.
struct Beside {
    words: String,
    child: Child,
    log: PathBuf,
}

impl Beside {
    fn start(words: &[&str], log: &str) -> Result<Self> {
        let log = workspace::root().join("target").join(log);
        let words_said = words.join(" ");
        step(format_args!(
            "cargo xtask {words_said} begins, beside what follows"
        ));
        let directory = log.parent().context("it is in a directory")?;
        fs::create_dir_all(directory)?;
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(env::current_exe()?)
            .args(words)
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot run cargo xtask {words_said}"))?;
        Ok(Self {
            words: words_said,
            child,
            log,
        })
    }

    fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        step(format_args!("cargo xtask {}, which ran beside", self.words));
        io::stdout().write_all(&fs::read(&self.log)?)?;
        if !status.success() {
            bail!("cargo xtask {} failed ({status})", self.words);
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // What came meanwhile may have failed. It has a machine running, and ends by itself.
        let _gone = self.child.wait();
    }
}
