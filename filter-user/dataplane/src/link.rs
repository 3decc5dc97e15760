//! Attaching the program to an interface, and replacing it there.

use std::{collections::BTreeSet, fmt, fs, io, path::PathBuf, sync::Arc};

use policy::config::Attach;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice, socket},
};

use super::{
    DataplaneError, Generation, Links, Misplaced, NotNative,
    bpf_link::{BpfLink, Target},
    claims::misplaced_name,
    device::Device,
    fitness::not_native,
    occupied::occupied,
    pins::{PinnedLink, Pins},
};

/// A program that is attached. It stays for as long as this or its pin is there,
/// and the interface.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The interface of the configuration that the program was loaded for.
    pub serves: String,
    /// How it is attached.
    pub mode: Attach,
    /// Where the link is pinned.
    pub pin: PathBuf,
    /// The index of the interface when this was attached or last pinned.
    pub(super) number: u32,
    link: Arc<BpfLink>,
}

impl Attached {
    /// Attaches a generation's program where none of ours is attached.
    pub(super) fn new(
        pins: &Pins,
        index: u32,
        generation: &mut Generation,
        interface: &str,
        mode: Attach,
    ) -> Result<Self, DataplaneError> {
        let program = generation.program(interface)?;
        let link = BpfLink::create(program, index, mode)
            .map_err(|error| attach_error(interface, index, mode, error))?;
        let attached = Self {
            serves: interface.to_owned(),
            mode,
            pin: pins.link(index, interface, mode),
            number: index,
            link: Arc::new(link),
        };
        match attached.pin() {
            Ok(()) => Ok(attached),
            // Left alone it would go some time later.
            Err(error) => attached.link.detach().map_or_else(
                |source| Err(DataplaneError::pins(&attached.pin, source)),
                |()| Err(error),
            ),
        }
    }

    /// One that an earlier run has left.
    pub(super) fn adopt(pinned: PinnedLink) -> Self {
        Self {
            serves: pinned.interface,
            mode: pinned.mode,
            pin: pinned.pin,
            number: pinned.number,
            link: Arc::new(pinned.link),
        }
    }

    /// Puts a generation's program in the place of the one that is attached.
    pub(super) fn replace(
        &mut self,
        pins: &Pins,
        generation: &mut Generation,
        interface: &str,
    ) -> Result<(), DataplaneError> {
        let program = generation.program(interface)?;
        self.link
            .replace(program)
            .map_err(|source| DataplaneError::Attach {
                interface: interface.to_owned(),
                source,
            })?;
        if self.serves == interface {
            return Ok(());
        }
        interface.clone_into(&mut self.serves);
        // The next run goes by the name of the pin.
        let Some(index) = self.index() else {
            return Ok(());
        };
        let old = std::mem::replace(&mut self.pin, pins.link(index, interface, self.mode));
        self.pin()?;
        match fs::remove_file(&old) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DataplaneError::pins(old, source))
            }
            _ => Ok(()),
        }
    }

    /// Pins the link where it is not pinned any more: somebody removed the pin.
    pub(super) fn pin(&self) -> Result<(), DataplaneError> {
        if self.pin.exists() {
            return Ok(());
        }
        let directory = self.pin.parent().map_or(Ok(()), fs::create_dir_all);
        directory
            .and_then(|()| self.link.pin(&self.pin))
            .map_err(|source| DataplaneError::pins(&self.pin, source))
    }

    /// The index of the interface that has the program; none when that is gone, or in
    /// another network namespace, or somebody detached the link.
    pub fn index(&self) -> Option<u32> {
        match self.place() {
            Place::Here(index) => Some(index),
            Place::Elsewhere | Place::Nowhere => None,
        }
    }

    /// Whether the interface that has this index here has the program.
    pub(super) fn is_on(&self, index: u32) -> bool {
        self.index() == Some(index)
    }

    /// Where it is attached. An index does not tell: each namespace counts its devices for
    /// itself, and gives numbers away again. The program does, because each link has a copy
    /// of its own: a device that has it is the one that the link is attached to.
    pub(super) fn place(&self) -> Place {
        loop {
            let Some(target) = self.target() else {
                return Place::Nowhere;
            };
            match Device::get(target.index) {
                Ok(Some(device)) if device.programs.contains(&target.program) => {
                    return Place::Here(target.index);
                }
                // Another program came into the link between the two questions.
                Ok(_) if self.target() != Some(target) => {}
                Ok(_) => return Place::Elsewhere,
                // Whoever cannot ask goes by what the link says.
                Err(_) => return Place::Here(target.index),
            }
        }
    }

    fn target(&self) -> Option<Target> {
        // A link of ours is one of XDP: the question cannot fail.
        self.link.target().ok().flatten()
    }

    /// The number of the program that decides there, as the kernel knows it; none
    /// where nothing does any more.
    pub(super) fn program_id(&self) -> Option<u32> {
        self.target().map(|target| target.program)
    }

    /// Takes the program off, and removes the pin.
    pub(super) fn detach(&self) -> Result<(), DataplaneError> {
        let error = |source| DataplaneError::pins(&self.pin, source);
        self.link.detach().map_err(error)?;
        match fs::remove_file(&self.pin) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(source)),
            _ => Ok(()),
        }
    }
}

/// Where a link is attached, as seen from this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the interface with this index.
    Here(u32),
    /// To one of another network namespace.
    Elsewhere,
    /// To none: it is gone, or somebody detached the link.
    Nowhere,
}

/// How an interface of the configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceState {
    /// It has the program.
    Attached,
    /// Its device has the program, and this name by now.
    Renamed(String),
    /// Its device has a program that is not of the running generation: it could not be
    /// replaced, or somebody else did replace it.
    Outdated,
    /// There is no interface of this name.
    Missing,
    /// Its name is that of a device that cannot be filtered under it.
    Misplaced {
        /// Why, and where to filter instead.
        why: Misplaced,
        /// What has the program and had the name, as it is called now.
        kept: Option<String>,
    },
    /// It is there, and has not got the program.
    Unattached,
}

impl InterfaceState {
    /// Whether its frames are decided.
    pub fn is_enforced(&self) -> bool {
        matches!(self, Self::Attached | Self::Renamed(_) | Self::Outdated)
    }
}

impl fmt::Display for InterfaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached => f.write_str("attached"),
            Self::Renamed(name) => write!(f, "is called {name} now, and is filtered there"),
            Self::Outdated => f.write_str(
                "the program there is not of the generation in force: `poolguard reload` replaces it",
            ),
            Self::Missing => f.write_str("there is no interface of this name, it is waited for"),
            Self::Misplaced { why, kept: None } => why.fmt(f),
            Self::Misplaced {
                why,
                kept: Some(name),
            } => write!(f, "{why}. The filter stays attached to {name}, as it was"),
            Self::Unattached => f.write_str("the program is not attached, the log says why"),
        }
    }
}

/// How an interface stands at this moment, whatever the data plane knows yet. `programs`
/// are those of the running generation; without one, any will do.
pub fn standing(
    interface: &str,
    links: &Links,
    programs: Option<&BTreeSet<u32>>,
) -> InterfaceState {
    let served = links.values().find(|link| link.serves == interface);
    let device_served = || {
        let index = served.and_then(Attached::index);
        index.and_then(|index| name_of(index).ok().flatten())
    };
    if let Ok(Some(why)) = misplaced_name(interface, links) {
        let kept = device_served();
        return InterfaceState::Misplaced { why, kept };
    }
    let is_attached = match index_of(interface) {
        Ok(Some(index)) => links.get(&index).is_some_and(|link| link.is_on(index)),
        Ok(None) => {
            return device_served().map_or(InterfaceState::Missing, InterfaceState::Renamed);
        }
        // Whoever cannot ask goes by what was.
        Err(_) => served.is_some_and(|link| link.index().is_some()),
    };
    let is_of_now = |program| programs.is_none_or(|programs| programs.contains(&program));
    match is_attached {
        true if !served.and_then(Attached::program_id).is_none_or(is_of_now) => {
            InterfaceState::Outdated
        }
        true => InterfaceState::Attached,
        false => InterfaceState::Unattached,
    }
}

/// The index of the interface that has this name now, if there is one.
///
/// # Errors
///
/// When the kernel cannot be asked, for want of a descriptor: the interface may
/// well be there.
pub(super) fn index_of(interface: &str) -> Result<Option<u32>, DataplaneError> {
    ask(|socket| netdevice::name_to_index(socket, interface))
}

/// The name of the interface that has this index now, if there is one.
///
/// # Errors
///
/// When the kernel cannot be asked, for want of a descriptor.
pub(super) fn name_of(index: u32) -> Result<Option<String>, DataplaneError> {
    ask(|socket| netdevice::index_to_name(socket, index))
}

/// For the log.
pub(super) fn name_or_number(index: u32) -> String {
    let name = name_of(index).ok().flatten();
    name.unwrap_or_else(|| index.to_string())
}

/// The kernel answers questions about interfaces on a socket of any kind.
fn ask<T>(
    question: impl FnOnce(rustix::fd::OwnedFd) -> rustix::io::Result<T>,
) -> Result<Option<T>, DataplaneError> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None);
    match socket.and_then(question) {
        Ok(answer) => Ok(Some(answer)),
        Err(Errno::NODEV | Errno::NXIO) => Ok(None),
        Err(error) => Err(DataplaneError::Interfaces(error.into())),
    }
}

/// What the kernel means by an error number here: `dev_xdp_attach()` in
/// `net/core/dev.c`.
fn attach_error(interface: &str, index: u32, mode: Attach, source: io::Error) -> DataplaneError {
    let name = interface.to_owned();
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::BUSY | Errno::EXIST) => occupied(interface, index),
        Some(Errno::OPNOTSUPP) if mode == Attach::Native => DataplaneError::NoNativeXdp {
            interface: name,
            why: why_not_native(index),
        },
        Some(Errno::NODEV) => DataplaneError::NoInterface { interface: name },
        _ => DataplaneError::Attach {
            interface: name,
            source,
        },
    }
}

/// Whoever cannot ask says what is most often so.
fn why_not_native(index: u32) -> NotNative {
    let device = Device::get(index).ok().flatten();
    let why = device.and_then(|device| not_native(&device).ok());
    why.unwrap_or(NotNative::Driver)
}
