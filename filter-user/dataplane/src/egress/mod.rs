//! The program at the way out of interfaces.
//!
//! XDP sees what arrives. What this box sends itself, what comes out of a tunnel, and
//! what arrives at an interface without the filter is judged where it leaves toward
//! customers: by a program that tcx runs, from Linux 6.6 on, or else a `clsact` filter.

mod clsact;
mod judged;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::BorrowedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use policy::{compile::CompiledInterface, config::Egress};
use rustix::io::Errno;

use super::{
    DataplaneError, Generation,
    bpf_link::{BpfLink, tcx_programs},
    link::name_or_number,
    pins::{PinnedExit, Pins, create_directory, remove_directory},
};
use clsact::Filter;
pub(super) use judged::Judged;

/// How a program is attached at a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a link, before all `clsact` filters.
    Tcx,
    /// As a filter of the `clsact` qdisc.
    Clsact,
}

impl Way {
    /// As `status` shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// How the way out of an interface stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitState {
    /// The program of the running generation is there.
    Attached(Way),
    /// One of another generation is.
    Outdated(Way),
    /// The program of the running generation is there, after one of somebody else's, which
    /// may keep frames from it.
    Behind(Way),
    /// None is.
    Open,
}

/// What is attached at the way out of a device.
#[derive(Clone, Debug)]
struct Exit {
    serves: String,
    hold: Hold,
    /// Where it is pinned or noted.
    pin: PathBuf,
}

/// What keeps it there.
#[derive(Clone, Debug)]
enum Hold {
    Link(Arc<BpfLink>),
    /// A filter, and the program that it was last seen with.
    Filter(Filter, Arc<AtomicU32>),
}

impl Hold {
    fn filter(name: &str) -> Self {
        Self::Filter(Filter::named(name), Arc::default())
    }
}

/// What an earlier run has left at a way out.
#[derive(Clone, Debug)]
pub(super) struct Remnant {
    /// The interface that it was made for, as it was called then.
    pub(super) serves: String,
    /// The index of the device that has it; none where that is in another network
    /// namespace.
    pub(super) device: Option<u32>,
    pub(super) way: Way,
    /// The program, by the kernel's number.
    pub(super) program: u32,
}

/// Where there is a program at the way out, by the index of the device.
#[derive(Clone, Debug)]
pub(super) struct Exits {
    exits: BTreeMap<u32, Exit>,
    /// The name that filters are known by.
    name: String,
    /// Whether tcx is left out, as on a kernel that has none.
    pub(super) without_tcx: bool,
}

impl Exits {
    /// None, under the name of an instance.
    pub(super) fn none(instance: &str) -> Self {
        Self {
            exits: BTreeMap::new(),
            name: format!("poolguard-{instance}"),
            without_tcx: false,
        }
    }

    /// Takes over what an earlier run has left here. What is left of what is gone, or
    /// was given to another network namespace, is removed.
    ///
    /// # Errors
    ///
    /// When a pin makes no sense, or something cannot be removed.
    pub(super) fn take_over(&mut self, pins: &Pins) -> Result<(), DataplaneError> {
        for pinned in pins.pinned_exits()? {
            let index = pinned.number;
            let exit = self.adopt(pinned);
            match exit.index(index) {
                Some(index) => drop(self.exits.insert(index, exit)),
                None => exit.detach(index)?,
            }
        }
        Ok(())
    }

    /// What an earlier run has left at ways out, as it is. What is of devices that are gone
    /// is left out, and so are filters in another network namespace, of which nothing can
    /// be told from here.
    ///
    /// # Errors
    ///
    /// When a pin makes no sense.
    pub(super) fn left(&self, pins: &Pins) -> Result<Vec<Remnant>, DataplaneError> {
        let pinned = pins.pinned_exits()?.into_iter();
        let remnants = pinned.filter_map(|pinned| {
            let number = pinned.number;
            let exit = self.adopt(pinned);
            let device = exit.index(number);
            let program = match &exit.hold {
                // In whichever network namespace the device is.
                Hold::Link(link) => link.target().ok().flatten()?.program,
                Hold::Filter(..) => exit.program(device?)?,
            };
            Some(Remnant {
                way: exit.way(),
                serves: exit.serves,
                device,
                program,
            })
        });
        Ok(remnants.collect())
    }

    fn adopt(&self, pinned: PinnedExit) -> Exit {
        let hold = match pinned.link {
            Some(link) => Hold::Link(Arc::new(link)),
            None => Hold::filter(&self.name),
        };
        Exit {
            serves: pinned.interface,
            hold,
            pin: pinned.pin,
        }
    }

    /// Gives a device the program of a generation: in the place of the one that is there,
    /// between two frames, or where none is.
    ///
    /// # Errors
    ///
    /// When neither way can be had; and when it cannot be pinned, it is not attached.
    pub(super) fn settle(
        &mut self,
        pins: &Pins,
        index: u32,
        generation: &mut Generation,
        interface: &str,
    ) -> Result<(), DataplaneError> {
        let program = generation.program_out(interface)?;
        let error = |source| DataplaneError::Egress {
            interface: interface.to_owned(),
            source,
        };
        if let Some(exit) = self.exits.get_mut(&index)
            && exit.is_on(index)
        {
            exit.replace(index, program).map_err(error)?;
            if exit.serves != interface {
                let pin = pins.exit(index, interface, exit.way());
                exit.move_to(interface, pin)?;
            }
            return exit.keep();
        }
        self.remove(index)?;
        let exit = match self.attach(pins, index, program, interface) {
            Err(DataplaneError::Egress { source, .. }) if is_gone(&source) => return Ok(()),
            attached => attached?,
        };
        self.exits.insert(index, exit);
        Ok(())
    }

    fn attach(
        &self,
        pins: &Pins,
        index: u32,
        program: BorrowedFd<'_>,
        interface: &str,
    ) -> Result<Exit, DataplaneError> {
        let error = |source| DataplaneError::Egress {
            interface: interface.to_owned(),
            source,
        };
        let link = match self.without_tcx {
            true => Err(Errno::INVAL.into()),
            false => BpfLink::create_at_way_out(program, index),
        };
        let exit = |hold, way| Exit {
            serves: interface.to_owned(),
            hold,
            pin: pins.exit(index, interface, way),
        };
        match link {
            Ok(link) => {
                let exit = exit(Hold::Link(Arc::new(link)), Way::Tcx);
                if let Err(error) = exit.keep() {
                    exit.detach(index)?;
                    return Err(error);
                }
                Ok(exit)
            }
            // So says a kernel that does not know tcx.
            Err(refused) if refused.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                let exit = exit(Hold::filter(&self.name), Way::Clsact);
                // Noted before: whoever comes after a crash looks there.
                exit.keep()?;
                let Hold::Filter(filter, _) = &exit.hold else {
                    return Ok(exit);
                };
                let attached = filter.attach(index, program, || {
                    let made = exit.pin.join(clsact::MADE);
                    create_directory(&made).map_err(io::Error::other)
                });
                if let Err(source) = attached {
                    exit.detach(index)?;
                    return Err(error(source));
                }
                Ok(exit)
            }
            Err(refused) => Err(error(refused)),
        }
    }

    /// Sees that what is there is pinned, where somebody removed the pin.
    pub(super) fn keep(&self, index: u32) -> Result<(), DataplaneError> {
        self.exits.get(&index).map_or(Ok(()), Exit::keep)
    }

    /// Whether the device has a program there for this interface.
    pub(super) fn serves(&self, index: u32, interface: &str) -> bool {
        let exit = self.exits.get(&index);
        exit.is_some_and(|exit| exit.serves == interface && exit.is_on(index))
    }

    /// The program at the way out of a device.
    pub(super) fn program(&self, index: u32) -> Option<u32> {
        self.exits.get(&index)?.program(index)
    }

    /// All of them.
    pub(super) fn programs(&self) -> impl Iterator<Item = u32> {
        self.exits
            .iter()
            .filter_map(|(index, exit)| exit.program(*index))
    }

    /// The devices that have one.
    pub(super) fn devices(&self) -> Vec<u32> {
        self.exits.keys().copied().collect()
    }

    /// Those whose pin somebody removed.
    pub(super) fn unpinned(&self) -> impl Iterator<Item = u32> {
        let unpinned = self.exits.iter().filter(|(_, exit)| exit.is_unpinned());
        unpinned.map(|(index, _)| *index)
    }

    /// Takes the program off one way out.
    pub(super) fn remove(&mut self, index: u32) -> Result<(), DataplaneError> {
        if let Some(exit) = self.exits.get(&index) {
            exit.detach(index)?;
            self.exits.remove(&index);
        }
        Ok(())
    }

    /// Takes the program off all ways out but those that interfaces want filtered.
    pub(super) fn keep_only(&mut self, claims: &[(u32, &CompiledInterface)]) {
        for index in self.devices() {
            let mut claims = claims.iter();
            if claims.any(|(claimed, wanted)| *claimed == index && wanted.egress == Egress::Filter)
            {
                continue;
            }
            let interface = name_or_number(index);
            match self.remove(index) {
                Ok(()) => tracing::warn!(
                    %interface,
                    "what leaves here is not judged any more: the configuration does not ask for it"
                ),
                Err(error) => tracing::error!(
                    %interface, %error,
                    "cannot take the program off the way out: frames are still decided there. \
                     `bpftool net` shows it"
                ),
            }
        }
    }

    /// Forgets what is gone with its device, or that somebody has taken off.
    pub(super) fn remove_dead(&mut self) {
        for index in self.devices() {
            if self.exits[&index].is_on(index) {
                continue;
            }
            let interface = self.exits[&index].serves.clone();
            tracing::warn!(
                %interface,
                "the program at the way out is gone with the interface, or somebody took it off: \
                 attached again as soon as it can be"
            );
            if let Err(error) = self.remove(index) {
                tracing::warn!(%error, "cannot remove what is left of it, which does no harm");
                self.exits.remove(&index);
            }
        }
    }

    /// Takes the program off all of them.
    pub(super) fn detach(&mut self) -> Result<(), DataplaneError> {
        let mut devices = self.devices().into_iter();
        devices.try_for_each(|index| self.remove(index))
    }

    /// How the way out of an interface stands. `programs` are those of the running
    /// generation.
    pub(super) fn state(&self, interface: &str, is_of_now: impl Fn(u32) -> bool) -> ExitState {
        let mut exits = self.exits.iter();
        let found = exits.find_map(|(index, exit)| {
            let program = exit.program(*index).filter(|_| exit.serves == interface)?;
            Some((exit.way(), program, exit.is_first(*index, program)))
        });
        match found {
            Some((way, program, _)) if !is_of_now(program) => ExitState::Outdated(way),
            Some((way, _, false)) => ExitState::Behind(way),
            Some((way, _, true)) => ExitState::Attached(way),
            None => ExitState::Open,
        }
    }

    /// The interfaces at whose way out somebody else's program comes first.
    pub(super) fn behind(&self) -> BTreeSet<String> {
        let exits = self.exits.iter().filter(|(index, exit)| {
            let program = exit.program(**index);
            program.is_some_and(|program| !exit.is_first(**index, program))
        });
        exits.map(|(_, exit)| exit.serves.clone()).collect()
    }
}

impl Exit {
    fn way(&self) -> Way {
        match self.hold {
            Hold::Link(_) => Way::Tcx,
            Hold::Filter(..) => Way::Clsact,
        }
    }

    /// The index of the device that it is attached to here, which had this one.
    fn index(&self, index: u32) -> Option<u32> {
        let index = match &self.hold {
            Hold::Link(link) => link.target().ok().flatten()?.index,
            Hold::Filter(..) => index,
        };
        self.program(index).map(|_| index)
    }

    fn is_on(&self, index: u32) -> bool {
        self.index(index) == Some(index)
    }

    /// The program that decides at the way out of the device with an index here. An index
    /// alone does not tell whether that is the device: each program is one device's.
    fn program(&self, index: u32) -> Option<u32> {
        match &self.hold {
            Hold::Link(link) => {
                let target = link.target().ok().flatten()?;
                // Whoever cannot ask goes by what the link says.
                let is_here =
                    tcx_programs(index).map_or(true, |programs| programs.contains(&target.program));
                (is_here && target.index == index).then_some(target.program)
            }
            // The same of a filter.
            Hold::Filter(filter, known) => match filter.program(index) {
                Ok(program) => {
                    known.store(program.unwrap_or_default(), Ordering::Relaxed);
                    program
                }
                Err(_) => Some(known.load(Ordering::Relaxed)).filter(|&program| program != 0),
            },
        }
    }

    /// Whether a program that is there comes before all others that tcx runs.
    fn is_first(&self, index: u32, program: u32) -> bool {
        match self.hold {
            Hold::Link(_) => {
                tcx_programs(index).map_or(true, |programs| programs.first() == Some(&program))
            }
            Hold::Filter(..) => true,
        }
    }

    fn replace(&mut self, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
        match &self.hold {
            Hold::Link(link) => link.replace(program),
            Hold::Filter(filter, _) => filter.replace(index, program),
        }
    }

    /// Serves another interface from now on. The next run goes by the name of the pin.
    fn move_to(&mut self, interface: &str, pin: PathBuf) -> Result<(), DataplaneError> {
        let old = std::mem::replace(&mut self.pin, pin);
        interface.clone_into(&mut self.serves);
        self.keep()?;
        let made = old.join(clsact::MADE);
        if made.is_dir() {
            create_directory(&self.pin.join(clsact::MADE))?;
        }
        remove(&old)
    }

    fn is_unpinned(&self) -> bool {
        !self.pin.exists()
    }

    fn keep(&self) -> Result<(), DataplaneError> {
        if self.pin.exists() {
            return Ok(());
        }
        match &self.hold {
            Hold::Link(link) => {
                let directory = self.pin.parent().map_or(Ok(()), fs::create_dir_all);
                directory
                    .and_then(|()| link.pin(&self.pin))
                    .map_err(|source| DataplaneError::pins(&self.pin, source))
            }
            Hold::Filter(..) => create_directory(&self.pin),
        }
    }

    fn detach(&self, index: u32) -> Result<(), DataplaneError> {
        let detached = match &self.hold {
            Hold::Link(link) => link.detach(),
            Hold::Filter(filter, _) => filter.detach(index, self.pin.join(clsact::MADE).is_dir()),
        };
        detached.map_err(|source| DataplaneError::pins(&self.pin, source))?;
        remove(&self.pin)
    }
}

/// Removes a pin or a note, if it is there.
fn remove(pin: &std::path::Path) -> Result<(), DataplaneError> {
    if pin.is_dir() {
        return remove_directory(pin);
    }
    match fs::remove_file(pin) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DataplaneError::pins(pin, source))
        }
        _ => Ok(()),
    }
}

/// Whether it says that there is no such device any more.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}
