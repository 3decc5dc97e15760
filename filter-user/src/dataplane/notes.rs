//! What the controller has to know after it has died.
//!
//! It is kept beside the counters, in a map that no program reads, because it
//! says which counter belongs to whom: the two are lost together or not at
//! all. A file on a disk would outlive a reboot, which the counters do not, and
//! could be full.

use std::{io, path::PathBuf};

use super::{DataplaneError, bpf::OneElement, pins::Pins};

/// Room for the longest names of as many pools, ports and interfaces as there
/// are counters for, in JSON.
const CAPACITY: usize = 256 * 1024;
/// The length of what is kept comes before it.
const HEADER: usize = size_of::<u32>();

/// The size of the map's element.
pub(super) const ELEMENT_BYTES: usize = HEADER + CAPACITY;

/// The map.
#[derive(Debug)]
pub(super) struct Notes {
    map: OneElement<ELEMENT_BYTES>,
    place: PathBuf,
}

impl Notes {
    /// Pins the map again where somebody removed the pin.
    pub(super) fn pin(&self) -> Result<(), DataplaneError> {
        if self.place.exists() {
            return Ok(());
        }
        let pinned = self.map.pin(&self.place);
        pinned.map_err(|source| DataplaneError::pins(&self.place, source))
    }

    /// Opens the map, and makes it where there is none.
    pub(super) fn open(pins: &Pins) -> Result<Self, DataplaneError> {
        Self::at(pins.notes())
    }

    /// The same elsewhere. What is there are notes, or nothing.
    pub(super) fn at(place: PathBuf) -> Result<Self, DataplaneError> {
        let map = if place.exists() {
            OneElement::open(&place)
        } else {
            OneElement::create().and_then(|map| map.pin(&place).map(|()| map))
        };
        match map {
            Ok(map) => Ok(Self { map, place }),
            Err(source) => Err(DataplaneError::pins(place, source)),
        }
    }

    /// What was written last; nothing in a map that is new.
    pub(super) fn read(&self) -> Result<Vec<u8>, DataplaneError> {
        let mut element = room();
        self.map
            .read(&mut element)
            .map_err(|source| DataplaneError::pins(&self.place, source))?;
        let (header, text) = element.split_at(HEADER);
        let length = header.try_into().map_or(0, u32::from_ne_bytes);
        Ok(text.get(..length as usize).unwrap_or_default().to_vec())
    }

    /// Puts this in the place of what was written before.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), DataplaneError> {
        let mut element = room();
        let (header, rest) = element.split_at_mut(HEADER);
        let written = match rest.get_mut(..text.len()) {
            Some(rest) => {
                header.copy_from_slice(&(text.len() as u32).to_ne_bytes());
                rest.copy_from_slice(text);
                self.map.write(&element)
            }
            None => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        };
        written.map_err(|source| DataplaneError::pins(&self.place, source))
    }
}

/// Made where it stays: no stack has to hold it.
fn room() -> Box<[u8; ELEMENT_BYTES]> {
    let room = vec![0; ELEMENT_BYTES].into_boxed_slice();
    room.try_into()
        .unwrap_or_else(|_| unreachable!("made in that size"))
}
