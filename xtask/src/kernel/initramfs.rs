//! A root filesystem for the kernel to unpack into memory: a cpio archive in the
//! `newc` format (the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command::{output, succeeds};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive that grows.
#[derive(Default)]
pub(super) struct Initramfs {
    archive: Vec<u8>,
    paths: BTreeSet<PathBuf>,
}

impl Initramfs {
    /// Adds an empty directory, and those that it is in.
    pub(super) fn directory(&mut self, path: &Path) {
        if path == Path::new("/") || !self.paths.insert(path.to_owned()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entry(path, DIRECTORY, b"");
    }

    /// Adds a file that is not run.
    pub(super) fn file(&mut self, path: impl AsRef<Path>, contents: &[u8]) {
        self.add(path.as_ref(), FILE, contents);
    }

    /// Adds every file of a directory of this machine, none of which is run.
    pub(super) fn tree(&mut self, path: &Path, directory: &Path) -> Result<()> {
        let entries = fs::read_dir(directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.tree(&path, &entry.path())?;
            } else {
                self.file(path, &read(&entry.path())?);
            }
        }
        Ok(())
    }

    /// Adds a program that needs nothing else: a script, or one linked statically.
    pub(super) fn script(&mut self, path: impl AsRef<Path>, contents: &[u8]) {
        self.add(path.as_ref(), PROGRAM, contents);
    }

    /// Adds a program of this machine with the libraries that it is linked to.
    /// `scratch` is a file to write to.
    pub(super) fn program(
        &mut self,
        path: impl AsRef<Path>,
        program: &Path,
        scratch: &Path,
    ) -> Result<()> {
        let contents = without_symbols(program, scratch)?;
        self.add(path.as_ref(), PROGRAM, &contents);
        // The loader and each library: "... => /path (address)".
        let libraries = output(Command::new("ldd").arg(program)).unwrap_or_default();
        for library in libraries.split_whitespace().filter(|w| w.starts_with('/')) {
            if !self.paths.contains(Path::new(library)) {
                self.add(Path::new(library), PROGRAM, &read(Path::new(library))?);
            }
        }
        Ok(())
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(Path::new("/TRAILER!!!"), 0, b"");
        self.archive
    }

    fn add(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        if self.paths.insert(path.to_owned()) {
            self.entry(path, mode, contents);
        }
    }

    fn entry(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        // Relative, as cpio writes it, and ended by a zero.
        let path = path.to_string_lossy();
        let name = path.trim_start_matches('/');
        let inode = self.paths.len() as u32;
        let (links, modified) = (1, 0);
        let (size, name_size) = (contents.len() as u32, name.len() as u32 + 1);
        let header = [
            inode, mode, 0, 0, links, modified, size, 0, 0, 0, 0, name_size, 0,
        ];
        self.archive.extend_from_slice(b"070701");
        for field in header {
            self.archive
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.archive.extend_from_slice(name.as_bytes());
        self.archive.push(0);
        self.pad();
        self.archive.extend_from_slice(contents);
        self.pad();
    }

    /// Header with name, and contents, begin at multiples of four.
    fn pad(&mut self) {
        let length = self.archive.len().next_multiple_of(4);
        self.archive.resize(length, 0);
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Test programs are ten times as large with their symbols. Where those can't
/// be removed, they stay.
fn without_symbols(program: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(scratch).arg(program);
    read(if succeeds(&mut strip) {
        scratch
    } else {
        program
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_is_in_them_and_only_once() {
        let mut initramfs = Initramfs::default();
        initramfs.file("/a/b/c", b"1");
        initramfs.file("/a/b/d", b"22");
        let archive = String::from_utf8(initramfs.finish()).unwrap_or_default();
        let names: Vec<_> = archive
            .split("070701")
            .skip(1)
            .map(|entry| entry[104..].split('\0').next().unwrap_or_default())
            .collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d", "TRAILER!!!"]);
        assert_eq!(archive.len() % 4, 0);
    }
}
