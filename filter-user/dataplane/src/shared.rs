//! What frames write, for readers that need nothing else of the data
//! plane: a scrape never waits for a reload.

use std::{fmt, path::Path};

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use filter_common::{
    abi::map,
    counters::Row,
    flow::{CAPACITY, Flow},
};
use policy::totals::CounterSource;

use super::{DataplaneError, TableUse, generation::FlowKey, pins::Pins};

/// The counters of a generation, of all CPUs.
pub struct Counters(PerCpuArray<MapData, Row>);

impl Counters {
    pub(super) fn open(place: &Path) -> Result<Self, DataplaneError> {
        let error = |source| DataplaneError::map(map::COUNTERS, source);
        let map = MapData::from_pin(place).map_err(error)?;
        PerCpuArray::try_from(Map::PerCpuArray(map))
            .map(Self)
            .map_err(error)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

impl CounterSource for Counters {
    type Error = DataplaneError;

    fn row(&self, row: u32) -> Result<Row, DataplaneError> {
        let per_cpu = self
            .0
            .get(&row, 0)
            .map_err(|source| DataplaneError::map(map::COUNTERS, source))?;
        let mut sum = Row::default();
        for cpu in per_cpu.iter() {
            for (total, value) in sum.iter_mut().zip(cpu) {
                *total = total.wrapping_add(*value);
            }
        }
        Ok(sum)
    }
}

/// The flows that customers opened from forbidden ports.
pub struct FlowMemory(HashMap<MapData, FlowKey, u64>);

impl FlowMemory {
    pub(super) fn open(pins: &Pins) -> Result<Self, DataplaneError> {
        let error = |source| DataplaneError::map(map::FLOWS, source);
        let map = MapData::from_pin(pins.flows()).map_err(error)?;
        HashMap::try_from(Map::LruHashMap(map))
            .map(Self)
            .map_err(error)
    }

    /// How many there are. Flows come and go while they are counted, so this
    /// is close rather than exact.
    pub fn table_use(&self) -> TableUse {
        let entries = self.0.keys().take(CAPACITY as usize);
        TableUse {
            table: "flows",
            entries: entries.filter(Result::is_ok).count() as u64,
            capacity: u64::from(CAPACITY),
            bytes: u64::from(CAPACITY) * (size_of::<Flow>() + size_of::<u64>()) as u64,
        }
    }
}

impl fmt::Debug for FlowMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowMemory")
    }
}
