//! What the controller has to know after it has died.
//!
//! It is kept beside the counters, in a map that no program reads, because it
//! says which counter belongs to whom: the two are lost together or not at
//! all. A file on a disk would outlive a reboot, which the counters do not, and
//! could be full.

use std::{io, path::PathBuf};

use super::{DataplaneError, bpf::OneElement};

/// The length of what is kept comes before it.
const HEADER: usize = size_of::<u32>();

/// The element of a map for what was set on the ends of wires.
pub(super) const SETTINGS_BYTES: usize = HEADER + 256 * 1024;
/// The element of a map for what the controller keeps, and for the [books]. A test
/// of theirs shows that the longest fit.
///
/// [books]: super::books
pub(super) const BOOKS_BYTES: usize = HEADER + 2 * 1024 * 1024;

/// The map, with an element of `BYTES` bytes.
#[derive(Debug)]
pub(super) struct Notes<const BYTES: usize> {
    map: OneElement<BYTES>,
    place: PathBuf,
}

impl<const BYTES: usize> Notes<BYTES> {
    /// How long a text there is room for.
    #[cfg(test)]
    pub(super) const CAPACITY: usize = BYTES - HEADER;

    /// Pins the map again where somebody removed the pin.
    pub(super) fn pin(&self) -> Result<(), DataplaneError> {
        if self.place.exists() {
            return Ok(());
        }
        let pinned = self.map.pin(&self.place);
        pinned.map_err(|source| DataplaneError::pins(&self.place, source))
    }

    /// Opens the map, and makes it where there is none. What is there are notes of
    /// this size, or nothing.
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
        let mut element = Self::room();
        self.map
            .read(&mut element)
            .map_err(|source| DataplaneError::pins(&self.place, source))?;
        let (header, text) = element.split_at(HEADER);
        let length = header.try_into().map_or(0, u32::from_ne_bytes);
        Ok(text.get(..length as usize).unwrap_or_default().to_vec())
    }

    /// Puts this in the place of what was written before.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), DataplaneError> {
        let mut element = Self::room();
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

    /// Made where it stays: no stack has to hold it.
    fn room() -> Box<[u8; BYTES]> {
        let room = vec![0; BYTES].into_boxed_slice();
        room.try_into()
            .unwrap_or_else(|_| unreachable!("made in that size"))
    }
}
