//! The instance's directory in bpffs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use policy::{
    config::Attach,
    instance::{BPFFS, Instance, PREFIX},
};

use super::{
    DataplaneError, Namespace,
    books::SHARED,
    bpf_link::{BpfLink, Hook},
    egress::Way,
};

/// The directory of the maps that outlive generations, and the version of their
/// layout. It changes with the shape or the meaning of any of them (the rows of
/// [`filter_common::counters`], [`filter_common::flow::Flow`]): a poolguard then
/// begins new ones beside those of another version. Links have no version: they
/// are taken over whichever poolguard made them.
const MAPS: &str = "maps-1";

/// What the note of the network namespace is called, before its number.
const NAMESPACE: &str = "namespace-";

/// What counters are called, before their number.
const COUNTERS: &str = "counters";

/// The instance that has pinned a link with a program. An interface is not enough to
/// go by: namespaces share bpffs, and count their interfaces each for itself.
pub(super) fn holder(program: u32) -> Option<Instance> {
    let entries = entries(Path::new(BPFFS)).ok()?.into_iter();
    let mut instances =
        entries.filter_map(|(name, _)| Instance::new(name.strip_prefix(PREFIX)?).ok());
    instances.find(|instance| {
        let links = Pins::existing(instance).map(|pins| pins.pinned_links());
        let links = links.and_then(Result::ok).unwrap_or_default();
        let mut programs = links
            .iter()
            .filter_map(|pinned| pinned.link.target().ok().flatten());
        programs.any(|target| target.program == program)
    })
}

/// The directory of one running instance:
///
/// ```text
/// maps-1/flows, books, judged and
/// maps-1/judged-below             what outlives generations
/// maps-1/counters-7               the counters of one, which are settled later
/// links/native/7-eth1             the links, by mode, index of the interface and
/// links/generic/4-eth0            the name that it had
/// links/tcx/7-eth1                those at the way out
/// links/clsact/7-eth1/            a note where a filter is instead; qdisc/ in it says
///                                 that the qdisc was made for it
/// namespace-4026531840/           where they are, by the inode of the network namespace
/// wire-settings                   what was set on the ends of wires
/// generation-7/                   tables while they are loaded
/// ```
#[derive(Debug)]
pub(super) struct Pins {
    root: PathBuf,
}

/// A link that an earlier run has left attached.
#[derive(Debug)]
pub(super) struct PinnedLink {
    /// The interface that it was made for, as it was called then.
    pub(super) interface: String,
    /// The index of that one.
    pub(super) number: u32,
    pub(super) mode: Attach,
    pub(super) link: BpfLink,
    pub(super) pin: PathBuf,
}

/// What an earlier run has left at a way out.
#[derive(Debug)]
pub(super) struct PinnedExit {
    /// The interface that it was made for, as it was called then.
    pub(super) interface: String,
    /// The index of that one.
    pub(super) number: u32,
    /// The link; none where there is a filter instead.
    pub(super) link: Option<BpfLink>,
    /// The pin, or the note.
    pub(super) pin: PathBuf,
}

impl Pins {
    /// The directory as it is, if there is one.
    pub(super) fn existing(instance: &Instance) -> Option<Self> {
        let root = instance.pin_directory();
        root.exists().then_some(Self { root })
    }

    /// Makes what is missing of the directory, and takes away what an earlier
    /// run left half-way.
    pub(super) fn open(instance: &Instance) -> Result<Self, DataplaneError> {
        let pins = Self {
            root: instance.pin_directory(),
        };
        pins.create()?;
        for (name, path) in entries(&pins.root)? {
            if name.starts_with("generation-") {
                remove_directory(&path)?;
            }
        }
        Ok(pins)
    }

    /// Makes what is missing of the directory.
    pub(super) fn create(&self) -> Result<(), DataplaneError> {
        let (native, generic) = (self.links(Attach::Native), self.links(Attach::Generic));
        let mut directories = [self.maps(), native, generic].into_iter();
        directories.try_for_each(|directory| create_directory(&directory))
    }

    /// The network namespaces in which something was attached the last time: one, or one
    /// more if the process that noted it was ended meanwhile.
    pub(super) fn namespaces(&self) -> Result<Vec<Namespace>, DataplaneError> {
        let entries = entries(&self.root)?.into_iter();
        let numbers = entries.filter_map(|(name, _)| name.strip_prefix(NAMESPACE)?.parse().ok());
        Ok(numbers.map(Namespace::numbered).collect())
    }

    /// Notes in which network namespace something is attached.
    pub(super) fn note_namespace(&self, namespace: Namespace) -> Result<(), DataplaneError> {
        let noted = self.namespaces()?;
        if noted == [namespace] {
            return Ok(());
        }
        let place = |namespace: &Namespace| {
            let name = format!("{NAMESPACE}{}", namespace.inode());
            self.root.join(name)
        };
        create_directory(&place(&namespace))?;
        let mut others = noted.iter().filter(|other| **other != namespace);
        others.try_for_each(|other| remove_directory(&place(other)))
    }

    /// The counters of an account.
    pub(super) fn counters(&self, number: u64) -> PathBuf {
        self.maps().join(match number {
            SHARED => COUNTERS.to_owned(),
            _ => format!("{COUNTERS}-{number}"),
        })
    }

    /// Removes the counters of all accounts but these.
    pub(super) fn keep_counters(&self, numbers: &[u64]) -> Result<(), DataplaneError> {
        let kept: Vec<_> = numbers
            .iter()
            .map(|number| self.counters(*number))
            .collect();
        for (name, path) in entries(&self.maps())? {
            if name.starts_with(COUNTERS) && !kept.contains(&path) {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the counters of an account, if there are any.
    pub(super) fn remove_counters(&self, number: u64) -> Result<(), DataplaneError> {
        remove_if_there(&self.counters(number))
    }

    pub(super) fn flows(&self) -> PathBuf {
        self.maps().join("flows")
    }

    pub(super) fn judged(&self) -> PathBuf {
        self.maps().join("judged")
    }

    pub(super) fn judged_below(&self) -> PathBuf {
        self.maps().join("judged-below")
    }

    pub(super) fn books(&self) -> PathBuf {
        self.maps().join("books")
    }

    /// The notes of a poolguard whose generations shared their counters.
    pub(super) fn shared_notes(&self) -> PathBuf {
        self.maps().join("notes")
    }

    /// Removes them.
    pub(super) fn remove_shared_notes(&self) -> Result<(), DataplaneError> {
        remove_if_there(&self.shared_notes())
    }

    /// What was set on the ends of wires. It goes with the links: no layout of
    /// counters concerns it.
    pub(super) fn wire_settings(&self) -> PathBuf {
        self.root.join("wire-settings")
    }

    fn maps(&self) -> PathBuf {
        self.root.join(MAPS)
    }

    fn links(&self, mode: Attach) -> PathBuf {
        self.root.join("links").join(mode.name())
    }

    /// Where a link is pinned. The index tells interfaces apart whatever becomes
    /// of their names.
    pub(super) fn link(&self, index: u32, interface: &str, mode: Attach) -> PathBuf {
        self.links(mode).join(link_name(index, interface))
    }

    /// Where what is at a way out is pinned or noted.
    pub(super) fn exit(&self, index: u32, interface: &str, way: Way) -> PathBuf {
        self.exits(way).join(link_name(index, interface))
    }

    fn exits(&self, way: Way) -> PathBuf {
        self.root.join("links").join(way.name())
    }

    /// What is at ways out, attached or not.
    pub(super) fn pinned_exits(&self) -> Result<Vec<PinnedExit>, DataplaneError> {
        let mut exits = Vec::new();
        for way in [Way::Tcx, Way::Clsact] {
            let directory = self.exits(way);
            if !directory.exists() {
                continue;
            }
            for (name, pin) in entries(&directory)? {
                let foreign = || DataplaneError::ForeignPin { path: pin.clone() };
                let (number, interface) = link_named(&name).ok_or_else(foreign)?;
                if pin.is_dir() != (way == Way::Clsact) {
                    return Err(foreign());
                }
                let link = match way {
                    Way::Tcx => Some(open_link(&pin, Hook::TcxEgress)?),
                    Way::Clsact => None,
                };
                exits.push(PinnedExit {
                    interface,
                    number,
                    link,
                    pin,
                });
            }
        }
        Ok(exits)
    }

    /// The links that are pinned, attached or not.
    pub(super) fn pinned_links(&self) -> Result<Vec<PinnedLink>, DataplaneError> {
        let mut links = Vec::new();
        for mode in [Attach::Native, Attach::Generic] {
            for (name, path) in entries(&self.links(mode))? {
                let foreign = || DataplaneError::ForeignPin { path: path.clone() };
                let (number, interface) = link_named(&name).ok_or_else(foreign)?;
                if path.is_dir() {
                    return Err(foreign());
                }
                let link = open_link(&path, Hook::Xdp)?;
                links.push(PinnedLink {
                    interface,
                    number,
                    mode,
                    link,
                    pin: path,
                });
            }
        }
        Ok(links)
    }

    /// Removes the maps that outlive generations. The programs that count in
    /// them keep them for as long as they are attached.
    pub(super) fn remove_maps(&self) -> Result<(), DataplaneError> {
        remove_directory(&self.maps())?;
        create_directory(&self.maps())
    }

    /// Removes the maps of other layouts, once nothing counts in them.
    pub(super) fn remove_other_maps(&self) {
        // By now the filter is in force: what fails here is no reason to say otherwise.
        for (name, path) in entries(&self.root).unwrap_or_default() {
            if !name.starts_with("maps-") || name == MAPS {
                continue;
            }
            match remove_directory(&path) {
                Ok(()) => tracing::warn!(
                    path = %path.display(),
                    "counters of another version of poolguard are removed: counting started over"
                ),
                Err(error) => tracing::warn!(
                    path = %path.display(), %error,
                    "counters of another version of poolguard cannot be removed. They do no harm: \
                     remove them by hand"
                ),
            }
        }
    }

    /// A directory for the tables of one generation, through which the copies
    /// of its program share them while they are loaded.
    pub(super) fn generation(&self, number: u64) -> Result<GenerationPins, DataplaneError> {
        let root = self.root.join(format!("generation-{number}"));
        create_directory(&root)?;
        Ok(GenerationPins { root })
    }

    /// Detaches every link.
    pub(super) fn detach_links(&self) -> Result<(), DataplaneError> {
        for pinned in self.pinned_links()? {
            let detached = pinned.link.detach();
            detached.map_err(|source| DataplaneError::pins(pinned.pin, source))?;
        }
        Ok(())
    }

    /// Detaches every link and removes every pin.
    pub(super) fn remove_all(&self) -> Result<(), DataplaneError> {
        // Somebody may have removed some of it already.
        self.create()?;
        self.detach_links()?;
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
            tracing::warn!(%error, "cannot remove the pins of tables, which the next start does");
        }
    }
}

/// What a link is called in its directory.
fn link_name(index: u32, interface: &str) -> String {
    // bpffs refuses names with a dot, which VLAN interfaces have; a colon
    // cannot be in the name of an interface.
    format!("{index}-{}", interface.replace('.', ":"))
}

/// The index and the interface of one that is called so.
fn link_named(name: &str) -> Option<(u32, String)> {
    let (number, interface) = name.split_once('-')?;
    Some((number.parse().ok()?, interface.replace(':', ".")))
}

fn open_link(path: &Path, hook: Hook) -> Result<BpfLink, DataplaneError> {
    BpfLink::open(path, hook).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => DataplaneError::ForeignPin {
            path: path.to_owned(),
        },
        // It may well be ours, and what keeps the filter attached.
        _ => DataplaneError::pins(path, error),
    })
}

pub(super) fn create_directory(path: &Path) -> Result<(), DataplaneError> {
    fs::create_dir_all(path).map_err(|source| DataplaneError::pins(path, source))
}

fn remove_if_there(path: &Path) -> Result<(), DataplaneError> {
    // A bpffs that is read-only refuses before it looks for the file.
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DataplaneError::pins(path, source))
        }
        _ => Ok(()),
    }
}

/// What is in a directory, by name.
fn entries(path: &Path) -> Result<Vec<(String, PathBuf)>, DataplaneError> {
    let read = || -> io::Result<Vec<_>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push((name, entry.path()));
        }
        entries.sort();
        Ok(entries)
    };
    read().map_err(|source| DataplaneError::pins(path, source))
}

/// Like `remove_dir_all`, which bpffs does not support on every kernel: it has
/// no `d_type` for pins to tell files from directories by.
pub(super) fn remove_directory(path: &Path) -> Result<(), DataplaneError> {
    for (_, entry) in entries(path)? {
        if entry.is_dir() {
            remove_directory(&entry)?;
        } else {
            fs::remove_file(&entry).map_err(|source| DataplaneError::pins(&entry, source))?;
        }
    }
    fs::remove_dir(path).map_err(|source| DataplaneError::pins(path, source))
}
