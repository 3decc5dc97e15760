//! The maps of an earlier run: whether this program can go on with them.

use std::{io, path::Path};

use aya::maps::{MapInfo, MapType};
use filter_common::{
    counters::{ROWS, Row},
    flow::{CAPACITY, Flow},
};

use super::{DataplaneError, notes, pins::Pins};
use crate::remedy::cause;

/// What makes a map usable.
#[derive(Debug, PartialEq)]
struct Shape {
    kind: MapType,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
}

/// Removes the maps of an earlier run unless all of them are there and as this
/// program makes them: it died while it made them, or somebody else was at work.
/// The names in the notes belong to the counters, so it is all of them or none.
pub(super) fn discard_unfit(pins: &Pins) -> Result<(), DataplaneError> {
    let index_bytes = size_of::<u32>() as u32;
    let maps = [
        (
            pins.counters(),
            Shape {
                kind: MapType::PerCpuArray,
                key_bytes: index_bytes,
                value_bytes: size_of::<Row>() as u32,
                entries: ROWS,
            },
        ),
        (
            pins.flows(),
            Shape {
                kind: MapType::LruHash,
                key_bytes: size_of::<Flow>() as u32,
                value_bytes: size_of::<u64>() as u32,
                entries: CAPACITY,
            },
        ),
        (pins.notes(), notes_shape()),
    ];
    let mut are_fit = true;
    for (path, wanted) in &maps {
        match shape(path) {
            Ok(found) => are_fit &= found == *wanted,
            Err(error) => match cause(&error).map(io::Error::kind) {
                // Nothing, or something else.
                None | Some(io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                    are_fit = false;
                }
                // It may be fit, and cannot be looked at.
                Some(_) => return Err(DataplaneError::map("of an earlier run", error)),
            },
        }
    }
    if are_fit {
        return Ok(());
    }
    if maps.iter().any(|(path, _)| path.exists()) {
        tracing::warn!(
            "the counters that an earlier run has left are incomplete or not poolguard's: \
             counting begins anew. What is attached goes on filtering"
        );
    }
    pins.remove_maps()
}

/// Whether these are notes that can be read.
pub(super) fn are_notes(place: &Path) -> Result<bool, DataplaneError> {
    let error = |source| DataplaneError::map("of an earlier run", source);
    shape(place)
        .map(|found| found == notes_shape())
        .map_err(error)
}

fn notes_shape() -> Shape {
    Shape {
        kind: MapType::Array,
        key_bytes: size_of::<u32>() as u32,
        value_bytes: notes::ELEMENT_BYTES as u32,
        entries: 1,
    }
}

fn shape(pin: &Path) -> Result<Shape, aya::maps::MapError> {
    let info = MapInfo::from_pin(pin)?;
    Ok(Shape {
        kind: info.map_type()?,
        key_bytes: info.key_size(),
        value_bytes: info.value_size(),
        entries: info.max_entries(),
    })
}
