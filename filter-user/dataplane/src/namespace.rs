//! Network namespaces: which one this is, and what people call another one.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::DataplaneError;

/// Where `ip netns` keeps the names.
const NAMES: &str = "/run/netns";

/// A network namespace, by the inode that the kernel gave it for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(u64);

impl Namespace {
    /// The one that this thread is in.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked, for want of `/proc` or of a right to it.
    pub fn here() -> Result<Self, DataplaneError> {
        at(Path::new("/proc/thread-self/ns/net")).map_err(DataplaneError::Namespace)
    }

    /// The one of a process, if that exists and may be asked about.
    pub fn of_process(process: i32) -> Option<Self> {
        at(&of(process)).ok()
    }

    pub(super) fn numbered(inode: u64) -> Self {
        Self(inode)
    }

    /// The number of its inode.
    pub(super) fn inode(self) -> u64 {
        self.0
    }

    /// A way in for `nsenter --net=`, if anything shows one.
    pub(super) fn entrance(self) -> Option<PathBuf> {
        self.known().map(|known| known.place())
    }

    fn known(self) -> Option<Known> {
        self.named().or_else(|| self.inhabited())
    }

    fn named(self) -> Option<Known> {
        let mut names = fs::read_dir(NAMES).ok()?.flatten();
        let found = names.find(|entry| at(&entry.path()).is_ok_and(|found| found == self))?;
        let name = found.file_name().to_string_lossy().into_owned();
        Some(Known::Name(name))
    }

    /// By the oldest process in it that this one may look at.
    fn inhabited(self) -> Option<Known> {
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let processes =
            processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let inside = processes.filter(|process| Self::of_process(*process) == Some(self));
        let process = inside.min()?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        Some(Known::Process(process, name.trim_end().to_owned()))
    }
}

/// What shows a namespace.
enum Known {
    Name(String),
    Process(i32, String),
}

impl Known {
    fn place(&self) -> PathBuf {
        match self {
            Self::Name(name) => Path::new(NAMES).join(name),
            Self::Process(process, _) => of(*process),
        }
    }
}

fn of(process: i32) -> PathBuf {
    format!("/proc/{process}/ns/net").into()
}

fn at(place: &Path) -> io::Result<Namespace> {
    Ok(Namespace(rustix::fs::stat(place)?.st_ino))
}

/// As `readlink` shows it, and what people know it by.
impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.0)?;
        match self.known() {
            Some(Known::Name(name)) => write!(f, ", {name:?} in {NAMES}"),
            // Whoever runs it chooses the name.
            Some(Known::Process(process, name)) => {
                write!(f, ", of process {process} ({})", name.escape_debug())
            }
            None => f.write_str(", which has no name and no process that can be seen"),
        }
    }
}
