//! A prefix table in the kernel that frames are looked up in.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::Ordering,
};

use aya::{
    Ebpf,
    maps::{Array, Map},
};
use filter_common::prefix_table::{LINE_WORDS, Line};
use policy::compile::LiveLines;
use rustix::param::page_size;

use super::{DataplaneError, mapped::Mapped};

/// The table with a name, of a loaded object.
pub(super) struct LiveTable<'a> {
    name: &'static str,
    object: &'a mut Ebpf,
    descriptor: OwnedFd,
    /// How many lines there is something in.
    pub(super) used: u32,
    room: u32,
}

impl<'a> LiveTable<'a> {
    pub(super) fn new(
        object: &'a mut Ebpf,
        name: &'static str,
        used: u32,
        room: u32,
    ) -> Result<Self, DataplaneError> {
        let Some(Map::Array(data)) = object.map(name) else {
            return Err(DataplaneError::NoProgram);
        };
        let descriptor = data.fd().as_fd().try_clone_to_owned();
        Ok(Self {
            name,
            descriptor: descriptor.map_err(|source| DataplaneError::amend(name, source))?,
            object,
            used,
            room,
        })
    }
}

impl LiveLines for LiveTable<'_> {
    type Error = DataplaneError;

    fn read(&self, number: u32) -> Result<Line, DataplaneError> {
        let error = |source| DataplaneError::map(self.name, source);
        let map = self
            .object
            .map(self.name)
            .ok_or(DataplaneError::NoProgram)?;
        let array: Array<_, Line> = Array::try_from(map).map_err(error)?;
        array.get(&number, 0).map_err(error)
    }

    fn add(&mut self, lines: &[Line]) -> Result<u32, DataplaneError> {
        let (first, end) = (self.used, self.used + lines.len() as u32);
        if end > self.room {
            return Err(DataplaneError::NoRoom { table: self.name });
        }
        let error = |source| DataplaneError::map(self.name, source);
        let map = self.object.map_mut(self.name);
        let map = map.ok_or(DataplaneError::NoProgram)?;
        let mut array: Array<_, Line> = Array::try_from(map).map_err(error)?;
        for (number, line) in (first..).zip(lines) {
            array.set(number, line, 0).map_err(error)?;
        }
        self.used = end;
        Ok(first)
    }

    fn set(&mut self, number: u32, word: usize, value: u32) -> Result<(), DataplaneError> {
        let at = number as usize * size_of::<Line>() + word * size_of::<u32>();
        assert!(
            number < self.room && word < LINE_WORDS,
            "word {word} of line {number}"
        );
        store(&self.descriptor, at, value)
            .map_err(|source| DataplaneError::amend(self.name, source))
    }
}

/// Stores four bytes of a map's values in one piece.
fn store(map: &OwnedFd, at: usize, value: u32) -> io::Result<()> {
    let page_bytes = page_size();
    let (page, within) = (at / page_bytes, at % page_bytes);
    // One page: to map the table is to have all of it in this process's memory.
    let page = Mapped::new(map, page * page_bytes, page_bytes)?;
    // After all that it leads to.
    page.words()[within / size_of::<u32>()].store(value, Ordering::Release);
    Ok(())
}
