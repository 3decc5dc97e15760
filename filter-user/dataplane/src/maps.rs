//! The maps of an earlier run: whether this program can go on with them.

use std::{io, path::Path};

use aya::maps::{MapInfo, MapType};
use filter_common::{
    counters::{ROWS, Row},
    flow::{CAPACITY, Flow},
};

use super::cause::cause;
use super::{
    DataplaneError,
    books::{SHARED, SHARED_NOTES_BYTES},
    notes::BOOKS_BYTES,
    pins::Pins,
};

/// What makes a map usable.
#[derive(Debug, PartialEq)]
struct Shape {
    kind: MapType,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
}

/// Removes the maps of an earlier run unless those that every run leaves are
/// there and as this program makes them: it died while it made them, or somebody
/// else was at work.
/// The names in the books belong to the counters, so it is all of them or none.
pub(super) fn discard_unfit(pins: &Pins) -> Result<(), DataplaneError> {
    let of_books = (pins.books(), notes_shape(BOOKS_BYTES));
    let of_flows = (pins.flows(), flows_shape());
    let maps = if of_books.0.exists() {
        vec![of_books, of_flows]
    } else {
        let counters = (pins.counters(SHARED), counters_shape());
        let notes = (pins.shared_notes(), notes_shape(SHARED_NOTES_BYTES));
        vec![counters, notes, of_flows]
    };
    let mut are_fit = true;
    for (path, wanted) in &maps {
        are_fit &= is(path, wanted)?;
    }
    if are_fit {
        return Ok(());
    }
    if maps.iter().any(|(path, _)| path.exists()) {
        warn_of_unfit();
    }
    pins.remove_maps()
}

/// Says why counting starts over.
pub(super) fn warn_of_unfit() {
    tracing::warn!(
        "the counters that an earlier run has left are incomplete or not poolguard's: \
         counting starts over. What is attached keeps filtering"
    );
}

/// Whether these are notes of this size that can be read.
pub(super) fn are_notes(place: &Path, element_bytes: usize) -> Result<bool, DataplaneError> {
    is(place, &notes_shape(element_bytes))
}

/// Whether these are counters that can be read.
pub(super) fn are_counters(place: &Path) -> Result<bool, DataplaneError> {
    is(place, &counters_shape())
}

/// Whether a usable map is pinned here.
fn is(place: &Path, wanted: &Shape) -> Result<bool, DataplaneError> {
    match shape(place) {
        Ok(found) => Ok(found == *wanted),
        Err(error) => match cause(&error).map(io::Error::kind) {
            // Nothing, or something else.
            None | Some(io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(false),
            // It may be fit, and cannot be looked at.
            Some(_) => Err(DataplaneError::map("of an earlier run", error)),
        },
    }
}

const INDEX_BYTES: u32 = size_of::<u32>() as u32;

fn counters_shape() -> Shape {
    Shape {
        kind: MapType::PerCpuArray,
        key_bytes: INDEX_BYTES,
        value_bytes: size_of::<Row>() as u32,
        entries: ROWS,
    }
}

fn flows_shape() -> Shape {
    Shape {
        kind: MapType::LruHash,
        key_bytes: size_of::<Flow>() as u32,
        value_bytes: size_of::<u64>() as u32,
        entries: CAPACITY,
    }
}

fn notes_shape(element_bytes: usize) -> Shape {
    Shape {
        kind: MapType::Array,
        key_bytes: INDEX_BYTES,
        value_bytes: element_bytes as u32,
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
