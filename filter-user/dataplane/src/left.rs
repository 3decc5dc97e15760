//! What a controller has left in the kernel, for whoever asks while none runs. Nothing is
//! opened for writing, made or removed.

use std::{fs, io};

use aya::programs::loaded_programs;
use jiff::Timestamp;
use policy::{config::Attach, instance::Instance};
use serde::de::DeserializeOwned;

use super::{
    Attached, DataplaneError, books,
    egress::{Exits, Way},
    kernel::Noted,
    link::{Place, name_or_number},
    maps,
    namespace::Namespace,
    notes::{BOOKS_BYTES, Notes},
    pins::Pins,
    preflight,
};

/// What an instance has left.
#[derive(Debug)]
pub struct Left<T> {
    /// What the controller noted last of itself; none where it makes no sense.
    pub noted: Option<T>,
    /// The interfaces of the generation that was in force then.
    pub interfaces: Vec<String>,
    /// The links that still have a program, by interface.
    pub links: Vec<LeftLink>,
    /// The ways out that still have a program.
    pub exits: Vec<LeftExit>,
    /// The network namespace in which something was attached the last time; none where
    /// nothing says so.
    pub namespace: Option<Namespace>,
}

/// A link that still has a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftLink {
    /// The interface of the configuration that it was made for.
    pub serves: String,
    /// How its device is called in this network namespace; none where no device of this
    /// one has the program.
    pub device: Option<String>,
    /// How it is attached.
    pub mode: Attach,
    /// When the program that decides there was loaded; none where the kernel does not say.
    pub since: Option<Timestamp>,
    /// Whether that program is of the generation that was noted. Otherwise its controller
    /// died while another one came into force.
    pub is_as_noted: bool,
}

/// A way out that still has a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftExit {
    /// The interface of the configuration that it was made for.
    pub serves: String,
    /// How its device is called in this network namespace; none where no device of this
    /// one has the program.
    pub device: Option<String>,
    /// How it is attached.
    pub way: Way,
    /// Whether that program is of the generation that was noted.
    pub is_as_noted: bool,
}

/// Looks at what an instance has left; none where there is nothing.
///
/// # Errors
///
/// When privileges or bpffs are missing, or a pin makes no sense.
pub fn left_behind<T: DeserializeOwned>(
    instance: &Instance,
) -> Result<Option<Left<T>>, DataplaneError> {
    preflight(instance)?;
    // `Path::exists` takes a directory that may not be looked into for none.
    let root = instance.pin_directory();
    match fs::symlink_metadata(&root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataplaneError::pins(root, error)),
        Ok(_) => {}
    }
    let Some(pins) = Pins::existing(instance) else {
        return Ok(None);
    };
    let (noted, running) = match noted(&pins)? {
        Some(Noted { noted, books }) => (Some(noted), books.running()),
        None => (None, None),
    };
    let running = running.unwrap_or_default();
    let attached = pins.pinned_links()?.into_iter().map(Attached::adopt);
    let links = attached.filter_map(|link| {
        let device = match link.place() {
            Place::Here(index) => Some(name_or_number(index)),
            Place::Elsewhere => None,
            Place::Nowhere => return None,
        };
        let program = link.program_id()?;
        Some(LeftLink {
            serves: link.serves.clone(),
            device,
            mode: link.mode,
            since: loaded_at(program),
            is_as_noted: running.programs.contains(&program),
        })
    });
    let links = links.collect();
    let exits = Exits::none(instance.name()).left(&pins)?.into_iter();
    let exits = exits.map(|exit| LeftExit {
        serves: exit.serves,
        device: exit.device.map(name_or_number),
        way: exit.way,
        is_as_noted: running.programs.contains(&exit.program),
    });
    let exits = exits.collect();
    Ok(Some(Left {
        noted,
        interfaces: running.interfaces,
        links,
        exits,
        namespace: pins.namespaces()?.first().copied(),
    }))
}

fn noted<T: DeserializeOwned>(
    pins: &Pins,
) -> Result<Option<Noted<T, books::KeptBooks>>, DataplaneError> {
    let place = pins.books();
    if !maps::are_notes(&place, BOOKS_BYTES)? {
        return Ok(None);
    }
    let text = Notes::<BOOKS_BYTES>::at(place)?.read()?;
    Ok(serde_json::from_slice(&text).ok())
}

/// When the kernel loaded a program.
fn loaded_at(program: u32) -> Option<Timestamp> {
    let mut programs = loaded_programs().flatten();
    let program = programs.find(|info| info.id() == program)?;
    Timestamp::try_from(program.loaded_at()?).ok()
}
