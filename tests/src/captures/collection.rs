//! The capture files of a directory.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{file, link};

/// What lies beside captures.
const OTHER_FILES: [&str; 3] = ["LICENSE", "SHA256SUMS", "SOURCES.md"];

/// The frames of a capture file.
#[derive(Debug)]
pub struct Capture {
    /// The name of the file.
    pub name: String,
    /// Its frames, in order.
    pub frames: Vec<link::Frame>,
}

/// All captures below a directory, in the order of their names.
#[derive(Debug, Default)]
pub struct Collection {
    /// Those that have frames.
    pub captures: Vec<Capture>,
    /// How many files there are.
    pub files: usize,
    /// What was left out, how often, and the first file that has it.
    left_out: BTreeMap<String, (usize, String)>,
}

impl Collection {
    /// Reads a directory and what is below it.
    ///
    /// # Errors
    ///
    /// When a file or a directory cannot be read. That a file is no capture is
    /// not an error, but is remembered.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut paths = Vec::new();
        find(directory, &mut paths)?;
        paths.sort();
        let mut collection = Self::default();
        for path in paths {
            let name = path.strip_prefix(directory).unwrap_or(&path);
            collection.add(name.to_string_lossy().into_owned(), &fs::read(&path)?);
        }
        Ok(collection)
    }

    fn add(&mut self, name: String, file: &[u8]) {
        self.files += 1;
        let contents = file::read(file);
        let mut frames = Vec::new();
        let mut unread = contents.unread;
        for (link, bytes) in &contents.packets {
            match link::frame(*link, bytes) {
                Ok(frame) => frames.push(frame),
                Err(what) => unread.push(what),
            }
        }
        for what in unread {
            let (n, _) = self.left_out.entry(what).or_insert((0, name.clone()));
            *n += 1;
        }
        if !frames.is_empty() {
            self.captures.push(Capture { name, frames });
        }
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.captures.iter().map(|c| c.frames.len()).sum()
    }

    /// What was left out, and how often.
    pub fn left_out(&self) -> BTreeMap<&str, usize> {
        let all = self.left_out.iter();
        all.map(|(what, (n, _))| (what.as_str(), *n)).collect()
    }
}

fn find(directory: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else if !OTHER_FILES.iter().any(|name| path.ends_with(name)) {
            paths.push(path);
        }
    }
    Ok(())
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} of them with frames: {}",
            self.files,
            self.captures.len(),
            self.frames()
        )?;
        for (what, (n, first)) in &self.left_out {
            write!(f, "\n  left out: {what}, {n} times, first in {first}")?;
        }
        Ok(())
    }
}
