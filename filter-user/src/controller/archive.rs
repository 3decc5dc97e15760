//! A configuration kept whole on disk: the main file, what it includes, and the
//! customer lists.
//!
//! It is a tar archive, so that whoever needs a file back gets it with `tar`. The
//! first entry says what the configuration was read from, under the names that
//! `include` is matched against; the texts follow in the same order.

use std::{
    io::{self, Read as _, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use policy::config::{self, Diagnostic, Files, Loaded, Memory, Report, Severity, Texts};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    seal::digits,
    state::{Prepared, StateDirectory, StateError},
};

/// The configuration that was last in force, on trial or not confirmed excepted.
pub(super) const CONFIRMED: &str = "confirmed.tar";
/// The configuration on trial.
pub(super) const ON_TRIAL: &str = "on-trial.tar";

/// How large an archive may be, in bytes: all files of a configuration, and what `tar`
/// adds to them.
const LARGEST: u64 = 2 << 30;

/// The first entry. It is called as nothing in `/etc` is.
const CONTENTS: &str = "poolguard-contents.json";
const VERSION: u64 = 1;

/// What an archive says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contents {
    version: u64,
    /// When it came into force.
    since: Timestamp,
    main: String,
    files: Vec<String>,
    /// The [`fingerprint`] of the texts. A poolguard before this one wrote none.
    #[serde(default)]
    sha256: Option<String>,
}

/// An archive, as it was read back.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    contents: Contents,
    bytes: Vec<u8>,
    texts: Vec<Range<usize>>,
}

/// Writes an archive beside the one that is kept; [`Prepared::commit`] puts it in
/// its place.
pub(super) fn prepare(
    state: &StateDirectory,
    name: &str,
    main: &Path,
    texts: &Texts,
    since: Timestamp,
) -> Result<Prepared, StateError> {
    let (main, texts) = (main.to_owned(), texts.clone());
    state.prepare(name, move |file| write(file, &main, &texts, since))
}

fn write(file: impl Write, main: &Path, texts: &Texts, since: Timestamp) -> io::Result<()> {
    let contents = Contents {
        version: VERSION,
        since,
        main: text_of(main),
        files: texts.iter().map(|(path, _)| text_of(path)).collect(),
        sha256: Some(fingerprint(main, texts)),
    };
    let contents = serde_json::to_vec_pretty(&contents)?;
    let mut archive = tar::Builder::new(file);
    let mut add = |name: &Path, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(since.as_second()).unwrap_or_default());
        archive.append_data(&mut header, name, bytes)
    };
    add(Path::new(CONTENTS), &contents)?;
    for (path, text) in texts.iter() {
        add(&entry_name(path), text.as_bytes())?;
    }
    archive.into_inner().map(drop)
}

/// What an entry is called: the path, without what `tar` does not unpack. Nobody
/// goes by it: two files may come to the same.
fn entry_name(path: &Path) -> PathBuf {
    use std::path::Component;
    let plain = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Path::new(name)),
        _ => None,
    });
    plain.collect()
}

/// A path as an archive has it. What is not UTF-8 in it is replaced, in the names
/// of both sides of a comparison.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Archive {
    /// The archive that is kept, if one is.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not one of poolguard's.
    pub(super) fn read(state: &StateDirectory, name: &str) -> Result<Option<Self>, StateError> {
        let path = state.file(name);
        let bytes = match state.bytes(name, LARGEST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Unreadable { path, source }),
        };
        let read = Self::parse(bytes);
        read.map(Some)
            .map_err(|source| StateError::DamagedArchive { path, source })
    }

    fn parse(bytes: Vec<u8>) -> io::Result<Self> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entries = archive.entries()?;
        let first = entries.next().ok_or_else(|| invalid("it is empty"))?;
        let mut text = Vec::new();
        first?.read_to_end(&mut text)?;
        let contents: Contents = serde_json::from_slice(&text)?;
        if contents.version != VERSION {
            return Err(invalid("it is of another version"));
        }
        let mut texts = Vec::with_capacity(contents.files.len());
        for entry in entries {
            let entry = entry?;
            let start = usize::try_from(entry.raw_file_position()).map_err(io::Error::other)?;
            let size = usize::try_from(entry.size()).map_err(io::Error::other)?;
            let end = start.checked_add(size);
            let range = end.filter(|&end| end <= bytes.len()).map(|end| start..end);
            texts.push(range.ok_or_else(|| invalid("it ends too early"))?);
        }
        if texts.len() != contents.files.len() {
            return Err(invalid("files are missing in it"));
        }
        let archive = Self {
            contents,
            bytes,
            texts,
        };
        let sum = archive.contents.sha256.as_ref();
        if sum.is_some_and(|sum| *sum != archive.fingerprint()) {
            return Err(invalid("it is not what was kept, its sum says"));
        }
        Ok(archive)
    }

    /// When the configuration came into force.
    pub(super) fn since(&self) -> Timestamp {
        self.contents.since
    }

    /// Whether each of its files is on disk as it was: others may have come.
    pub(super) fn is_on_disk(&self, disk: &impl Files) -> bool {
        let mut files = self.contents.files.iter().zip(&self.texts);
        files.all(|(path, range)| {
            disk.read(Path::new(path))
                .is_ok_and(|bytes| bytes == self.bytes[range.clone()])
        })
    }

    /// Whether it has just these texts, read from the same files.
    pub(super) fn holds(&self, main: &Path, texts: &Texts) -> bool {
        let files = self.contents.files.iter();
        self.contents.main == text_of(main)
            && texts.iter().len() == self.texts.len()
            && files
                .zip(&self.texts)
                .zip(texts.iter())
                .all(|((name, range), (path, text))| {
                    *name == text_of(path) && self.bytes[range.clone()] == *text.as_bytes()
                })
    }

    /// What tells its texts from others, as [`fingerprint`] does.
    pub(super) fn fingerprint(&self) -> String {
        let files = self.contents.files.iter().zip(&self.texts);
        let files = files.map(|(path, range)| (path.clone(), &self.bytes[range.clone()]));
        hash(&self.contents.main, files)
    }

    /// The configuration that it holds, read as if its files were where they were.
    ///
    /// # Errors
    ///
    /// When this poolguard does not take it: another one wrote it.
    pub(super) fn load(&self, now: Timestamp) -> Result<Loaded, Report> {
        let files = self.contents.files.iter().zip(&self.texts);
        let files = files.fold(Memory::default(), |files, (path, range)| {
            files.with(path, &self.bytes[range.clone()])
        });
        let main = Path::new(&self.contents.main);
        let loaded = config::load_from(&files, main, now)?;
        if self.holds(main, &loaded.texts) {
            return Ok(loaded);
        }
        // A part of it would be another configuration.
        let message = "what was kept of this configuration cannot all be read again".to_owned();
        let incomplete = Diagnostic::in_file(Severity::Error, main, message);
        Err(Report::new(vec![incomplete]))
    }
}

/// What tells these texts, read from these files, from others: SHA-256.
pub(super) fn fingerprint(main: &Path, texts: &Texts) -> String {
    let files = texts.iter();
    let files = files.map(|(path, text)| (text_of(path), text.as_bytes()));
    hash(&text_of(main), files)
}

fn hash<'a>(main: &str, files: impl Iterator<Item = (String, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(main.as_bytes());
    for (path, text) in files {
        add(path.as_bytes());
        add(text);
    }
    digits(&hash.finalize())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    const MAIN: &str = "include = [\"customers.d/*.toml\", \"../shared/*.toml\"]\n\
        customer_lists = [\"*.csv\"]\n\
        [[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
        [mail]\nservers = [\"192.0.2.25\"]\n\
        [[pool]]\nname = \"dsl\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n";
    const CUSTOMER: &str =
        "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n";

    fn files() -> Memory {
        let long = format!("/etc/poolguard/customers.d/{}.toml", "x".repeat(150));
        Memory::default()
            .with("/etc/poolguard/main.toml", MAIN)
            .with(long, CUSTOMER)
            .with("/etc/poolguard/../shared/none.toml", "# nothing\n")
            .with(
                "/etc/poolguard/list.csv",
                "\u{feff}prefix,customer\n203.0.113.1,b\n",
            )
    }

    fn load(files: &Memory) -> Loaded {
        let main = Path::new("/etc/poolguard/main.toml");
        config::load_from(files, main, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn archive(loaded: &Loaded) -> Vec<u8> {
        let main = Path::new("/etc/poolguard/main.toml");
        let mut bytes = Vec::new();
        write(&mut bytes, main, &loaded.texts, Timestamp::UNIX_EPOCH).unwrap();
        bytes
    }

    #[test]
    fn what_is_kept_is_read_back_whole() {
        let loaded = load(&files());
        assert_eq!(loaded.texts.paths().len(), 4);
        let archive = Archive::parse(archive(&loaded)).unwrap();
        let again = archive.load(Timestamp::UNIX_EPOCH).unwrap();
        let texts = |loaded: &Loaded| {
            let texts = loaded.texts.iter();
            texts
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&again), texts(&loaded));
        assert_eq!(again.config.customers.len(), 1);
        assert_eq!(again.config.listed.len(), 1);
    }

    /// As it is read from a disk, the names of what a pattern matches are not spelt as
    /// the pattern is.
    #[test]
    fn however_a_pattern_is_spelt_its_files_are_read_back() {
        let directory = std::env::temp_dir().join(format!("archive-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("customers.d")).unwrap();
        let customer = "[[customer]]\nname = \"a\"\nprefixes = [\"203.0.113.9\"]\n";
        std::fs::write(directory.join("customers.d/a.toml"), customer).unwrap();
        let main_file = directory.join("poolguard.toml");
        for pattern in [
            "customers.d/*.toml",
            "./customers.d/*.toml",
            "customers.d//*.toml",
            "customers.d/../customers.d/*.toml",
        ] {
            let text = MAIN.replace("customers.d/*.toml", pattern);
            let text = text.replace("customer_lists = [\"list.csv\"]\n", "");
            std::fs::write(&main_file, text).unwrap();
            for main in [main_file.clone(), directory.join("./poolguard.toml")] {
                let loaded = crate::disk::load(&main, Timestamp::UNIX_EPOCH).unwrap();
                let mut bytes = Vec::new();
                write(&mut bytes, &main, &loaded.texts, Timestamp::UNIX_EPOCH).unwrap();
                let archive = Archive::parse(bytes).unwrap();
                let again = archive.load(Timestamp::UNIX_EPOCH);
                let again = again.unwrap_or_else(|report| panic!("{pattern}: {report}"));
                assert_eq!(again.config, loaded.config, "{pattern}");
                assert_eq!(again.config.customers.len(), 1, "{pattern}");
            }
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn one_byte_and_one_name_make_a_difference() {
        let main = Path::new("/etc/poolguard/main.toml");
        let loaded = load(&files());
        let archive = Archive::parse(archive(&loaded)).unwrap();
        assert!(archive.holds(main, &loaded.texts));
        let print = fingerprint(main, &loaded.texts);
        assert_eq!(archive.fingerprint(), print);
        let changed = files().with("/etc/poolguard/main.toml", MAIN.replace("dsl", "ds1"));
        let more = files().with("/etc/poolguard/customers.d/y.toml", "");
        for (main, files) in [
            (main, changed),
            (main, more),
            (Path::new("main.toml"), files()),
        ] {
            let other = load(&files);
            assert!(!archive.holds(main, &other.texts));
            assert_ne!(fingerprint(main, &other.texts), print);
        }
    }

    /// `tar` has a sum over what entries are called, and none over what is in them.
    #[test]
    fn a_bit_that_flips_in_a_text_is_damage() {
        let whole = archive(&load(&files()));
        let exempts = b"203.0.113.8/29";
        let at = whole
            .windows(exempts.len())
            .position(|text| text == exempts);
        for bit in 0..8 * exempts.len() {
            let mut flipped = whole.clone();
            flipped[at.unwrap() + bit / 8] ^= 1 << (bit % 8);
            let error = Archive::parse(flipped).unwrap_err();
            assert!(error.to_string().contains("its sum"), "{error}");
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_damaged() {
        let whole = archive(&load(&files()));
        // Two empty blocks are the end, and nobody misses them.
        for length in (0..whole.len() - 2 * 512).step_by(97) {
            let parsed = Archive::parse(whole[..length].to_vec());
            assert!(parsed.is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
