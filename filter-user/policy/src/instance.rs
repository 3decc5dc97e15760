//! Several poolguards on one machine, told apart by name.

use std::path::{Path, PathBuf};

/// One poolguard among others on the same machine: a name, and where its pins
/// and its control socket are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    name: String,
    bpffs: PathBuf,
}

/// The one that is meant where none is named.
impl Default for Instance {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            bpffs: PathBuf::from(BPFFS),
        }
    }
}

/// A name that cannot be a part of a path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("instance {0:?}: use letters, digits, `-` and `_`, at most 32 of them")]
pub struct BadInstanceName(pub String);

/// What the directory of an instance is called before its name.
pub const PREFIX: &str = "poolguard-";
/// Where bpffs is.
pub const BPFFS: &str = "/sys/fs/bpf";

impl Instance {
    /// An instance whose pins are under `/sys/fs/bpf`.
    ///
    /// # Errors
    ///
    /// When the name is anything but 1 to 32 letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, BadInstanceName> {
        let fits = (1..=32).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !fits {
            return Err(BadInstanceName(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            bpffs: PathBuf::from(BPFFS),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The BPF filesystem that it pins in.
    pub fn bpffs(&self) -> &Path {
        &self.bpffs
    }

    /// Its own directory there.
    pub fn pin_directory(&self) -> PathBuf {
        self.bpffs.join(format!("{PREFIX}{}", self.name))
    }

    /// Its control socket.
    pub fn control_socket(&self) -> PathBuf {
        PathBuf::from(format!("/run/poolguard/{}.sock", self.name))
    }
}
