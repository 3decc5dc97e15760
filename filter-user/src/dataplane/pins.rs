//! The instance's directory in bpffs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{DataplaneError, bpf_link::BpfLink};

/// One poolguard among others on the same machine: a name, and where its pins
/// and its control socket are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    name: String,
    bpffs: PathBuf,
}

/// A name that cannot be a part of a path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("instance {0:?}: use letters, digits, `-` and `_`, at most 32 of them")]
pub struct BadInstanceName(pub String);

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
            bpffs: PathBuf::from("/sys/fs/bpf"),
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
        self.bpffs.join(format!("poolguard-{}", self.name))
    }

    /// Its control socket.
    pub fn control_socket(&self) -> PathBuf {
        PathBuf::from(format!("/run/poolguard/{}.sock", self.name))
    }
}

/// The directory of one running instance.
#[derive(Debug)]
pub(super) struct Pins {
    root: PathBuf,
}

impl Pins {
    /// Makes the directory anew. One that is there was left by a controller
    /// that did not end in order; what it holds goes, links included.
    pub(super) fn create(instance: &Instance) -> Result<Self, DataplaneError> {
        let pins = Self {
            root: instance.pin_directory(),
        };
        if pins.root.exists() {
            tracing::warn!(
                path = %pins.root.display(),
                "an earlier run left its pins behind: replacing them, nothing is enforced meanwhile"
            );
            pins.remove_all()?;
        }
        create_directory(&pins.links())?;
        Ok(pins)
    }

    pub(super) fn counters(&self) -> PathBuf {
        self.root.join("counters")
    }

    pub(super) fn flows(&self) -> PathBuf {
        self.root.join("flows")
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    pub(super) fn link(&self, interface: &str) -> PathBuf {
        // bpffs refuses names with a dot, which VLAN interfaces have; a colon
        // cannot be in the name of an interface.
        self.links().join(interface.replace('.', ":"))
    }

    /// Detaches a link and removes its pin.
    pub(super) fn remove_link(&self, interface: &str) -> Result<(), DataplaneError> {
        remove_link(&self.link(interface))
    }

    /// A directory for the tables of one generation, through which the copies
    /// of its program share them while they are loaded.
    pub(super) fn generation(&self, number: u64) -> Result<GenerationPins, DataplaneError> {
        let root = self.root.join(format!("generation-{number}"));
        create_directory(&root)?;
        Ok(GenerationPins { root })
    }

    /// Detaches every link and removes every pin.
    pub(super) fn remove_all(&self) -> Result<(), DataplaneError> {
        let links = self.links();
        if links.exists() {
            let error = |source| DataplaneError::pins(&links, source);
            for entry in fs::read_dir(&links).map_err(error)? {
                remove_link(&entry.map_err(error)?.path())?;
            }
        }
        remove_directory(&self.root)
    }
}

/// Removed when dropped: the program holds its tables by itself.
#[derive(Debug)]
pub(super) struct GenerationPins {
    root: PathBuf,
}

impl GenerationPins {
    pub(super) fn table(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Drop for GenerationPins {
    fn drop(&mut self) {
        if let Err(error) = remove_directory(&self.root) {
            tracing::warn!(%error, "cannot remove pins");
        }
    }
}

/// A pin that is gone already has taken its link with it.
fn remove_link(pin: &Path) -> Result<(), DataplaneError> {
    let removed = BpfLink::open(pin)
        .and_then(|link| link.detach())
        .and_then(|()| fs::remove_file(pin));
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DataplaneError::pins(pin, source))
        }
        _ => Ok(()),
    }
}

fn create_directory(path: &Path) -> Result<(), DataplaneError> {
    fs::create_dir_all(path).map_err(|source| DataplaneError::pins(path, source))
}

/// Like `remove_dir_all`, which bpffs does not support on every kernel: it has
/// no `d_type` for pins to tell files from directories by.
fn remove_directory(path: &Path) -> Result<(), DataplaneError> {
    let remove = |path: &Path| -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.is_dir() {
                remove_directory(&entry).map_err(io::Error::other)?;
            } else {
                fs::remove_file(&entry)?;
            }
        }
        fs::remove_dir(path)
    };
    remove(path).map_err(|source| DataplaneError::pins(path, source))
}
