//! The marks that frames leave when an exemption lets them pass.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::IpAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::Ordering,
};

use aya::{
    Ebpf,
    maps::{Map, MapError, MapInfo},
    programs::loaded_programs,
};
use filter_common::{
    Address, Family,
    abi::map,
    last_use::{FAMILY_LINES, MARK_LINES, MARKS, MarkLine},
};

use super::{DataplaneError, mapped::Mapped};

/// The marks of a generation. They stay as long as this does, whatever becomes of the
/// generation.
pub(super) struct Marks(OwnedFd);

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}

impl Marks {
    /// Those of a loaded object.
    pub(super) fn of(object: &Ebpf) -> Result<Self, DataplaneError> {
        let Some(Map::Array(data)) = object.map(map::MARKS) else {
            return Err(DataplaneError::NoProgram);
        };
        let descriptor = data.fd().as_fd().try_clone_to_owned();
        descriptor.map(Self).map_err(DataplaneError::LastUse)
    }

    /// Those that programs use which an earlier run has left. A poolguard that knew no marks
    /// has left none.
    pub(super) fn left_by(programs: &BTreeSet<u32>) -> Vec<Self> {
        if programs.is_empty() {
            return Vec::new();
        }
        let programs = loaded_programs()
            .flatten()
            .filter(|program| programs.contains(&program.id()));
        let ids = programs.filter_map(|program| program.map_ids().ok().flatten());
        // The copies of a generation share theirs.
        let ids: BTreeSet<u32> = ids.flatten().collect();
        let infos = ids.iter().filter_map(|id| MapInfo::from_id(*id).ok());
        let marks = infos.filter(|info| {
            info.name_as_str() == Some(map::MARKS)
                && info.value_size() as usize == size_of::<MarkLine>()
                && info.max_entries() == MARK_LINES
        });
        marks.filter_map(|info| opened(&info).ok()).collect()
    }

    /// The addresses that are marked, and takes the marks away: what frames mark from here
    /// on is told the next time.
    pub(super) fn take(&self) -> Result<Vec<IpAddr>, DataplaneError> {
        self.taken().map_err(DataplaneError::LastUse)
    }

    fn taken(&self) -> io::Result<Vec<IpAddr>> {
        let bytes = MARK_LINES as usize * size_of::<MarkLine>();
        let words = Mapped::new(&self.0, 0, bytes)?;
        let (marks, _) = words.long_words().as_chunks::<2>();
        let mut taken = Vec::new();
        for (place, [high, low]) in marks.iter().enumerate() {
            if high.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let low = low.load(Ordering::Relaxed);
            // Free from here on.
            let high = high.swap(0, Ordering::Relaxed);
            let family = match place < FAMILY_LINES as usize * MARKS {
                true => Family::V4,
                false => Family::V6,
            };
            taken.push(Address { family, high, low }.into());
        }
        Ok(taken)
    }
}

fn opened(info: &MapInfo) -> Result<Marks, MapError> {
    let descriptor = info.fd()?.as_fd().try_clone_to_owned();
    descriptor.map(Marks).map_err(MapError::from)
}
