//! A box that poolguard is installed on as a package, upgraded, and removed from.

use std::{
    path::Path,
    process::{Command, Output},
};

use super::{Row, site::Site, traffic};
use crate::machine::{Machine, Running};

/// Where the package has it.
const PROGRAM: &str = "/usr/sbin/poolguard";

/// A bridge with numbered traffic, on a copy of this machine's files.
pub struct Packaged(Site);

impl Packaged {
    /// Without the package.
    pub fn new() -> Self {
        Self(Site::on(Machine::with_files()))
    }

    /// The box.
    pub fn machine(&self) -> &Machine {
        &self.0.machine
    }

    /// Does something while traffic goes on, and says what became of that.
    pub fn during<T>(&mut self, act: impl FnOnce(&Machine) -> T) -> (T, Row) {
        let Site { machine, ends } = &mut self.0;
        let (result, tally) = traffic::during(ends, || act(machine));
        (result, Row::new(1, tally))
    }
}

impl Default for Packaged {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Runs a program of the box to its end.
    pub fn installed(&self, program: &str, words: &[&str]) -> Output {
        let mut command = self.program(Path::new(program));
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
        self.output(command)
    }

    /// Starts the packaged controller and waits until it says that it enforces.
    pub fn start_installed(&self) -> Running<'_> {
        let mut command: Command = self.program(Path::new(PROGRAM));
        command.args(["--instance", &self.instance, "--config"]);
        command.arg(self.config_file()).arg("run");
        self.start_command(command)
    }
}
