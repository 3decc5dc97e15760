//! Tools that cargo installs: pinned, each version in a directory of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    command::{CommandLine, find_program, output, outside_cargo},
    setup::{self, Mode, Remedy},
    workspace::cache,
};

/// A program from crates.io that has the name of its crate.
#[derive(Clone, Copy)]
pub(crate) struct CrateTool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What makes it say its name and version.
    pub(crate) ask: &'static [&'static str],
}

impl CrateTool {
    /// Finds it or installs it.
    pub(crate) fn obtain(&self, mode: Mode) -> Result<PathBuf> {
        let root = self.root()?;
        setup::obtain(mode, self.name, || self.find(&root), &[self.remedy(&root)])
    }

    /// Where it goes unless it is there already: the user's own `~/.cargo/bin` is
    /// not ours to fill, and may have another version.
    fn root(&self) -> Result<PathBuf> {
        Ok(cache()?.join(format!("{}-{}", self.name, self.version)))
    }

    fn find(&self, root: &Path) -> Option<PathBuf> {
        let wanted = format!("{} {}", self.name, self.version);
        let fits = |file: &PathBuf| {
            file.is_file() && output(outside_cargo(file).args(self.ask)).as_ref() == Some(&wanted)
        };
        Some(root.join("bin").join(self.name))
            .filter(fits)
            .or_else(|| find_program(self.name).filter(fits))
    }

    fn remedy(&self, root: &Path) -> Remedy {
        Remedy {
            what: format!("{} {}, into {}", self.name, self.version, root.display()),
            program: "cargo",
            as_root: false,
            commands: vec![CommandLine::new([
                "cargo",
                "install",
                self.name,
                "--version",
                self.version,
                "--locked",
                "--root",
                &root.to_string_lossy(),
            ])],
        }
    }
}
