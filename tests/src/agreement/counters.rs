//! All counters at once, as quickly as it can be done.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt::Debug,
};

use filter_common::counters::{ROW_LENGTH, Row};
use filter_user::metrics;
use policy::{
    compile::Slots,
    totals::{CounterSource, Totals},
};

use crate::fixture::Counters;

/// Where the counter of each name is.
///
/// Names are made once for a configuration; after each frame only numbers are
/// read. The rows that have names are read whole, so that a counter that moves
/// without a name is noticed too.
#[derive(Debug)]
pub struct Places {
    rows: Vec<u32>,
    /// For each counter of each row, in order, its name.
    names: Vec<String>,
}

/// A source whose counters say where they are.
struct Signposts;

impl CounterSource for Signposts {
    type Error = Infallible;

    fn row(&self, row: u32) -> Result<Row, Infallible> {
        let mut values = Row::default();
        for (column, value) in values.iter_mut().enumerate() {
            *value = u64::from(row) * ROW_LENGTH as u64 + column as u64;
        }
        Ok(values)
    }
}

impl Places {
    /// For these names.
    pub fn new(slots: &Slots) -> Self {
        let Ok(totals) = Totals::of(slots, &Signposts);
        let counters = metrics::counters(&totals);
        let row_of = |place: u64| (place / ROW_LENGTH as u64) as u32;
        let rows: BTreeSet<u32> = counters.iter().map(|(_, place)| row_of(*place)).collect();
        let rows: Vec<u32> = rows.into_iter().collect();
        let mut names: Vec<String> = rows
            .iter()
            .flat_map(|row| (0..ROW_LENGTH).map(move |c| format!("row {row} column {c}")))
            .collect();
        for (name, place) in counters {
            let row = rows.binary_search(&row_of(place)).unwrap();
            let column = (place % ROW_LENGTH as u64) as usize;
            names[row * ROW_LENGTH + column] = name;
        }
        Self { rows, names }
    }

    /// The values, in the order of the names.
    pub fn read<C: CounterSource<Error: Debug>>(&self, source: &C) -> Vec<u64> {
        let rows = self.rows.iter();
        rows.flat_map(|row| source.row(*row).unwrap()).collect()
    }

    /// The counters of these rows that are not zero, by name.
    pub fn named(&self, rows: &BTreeMap<u32, Row>) -> Counters {
        let places = rows
            .iter()
            .flat_map(|(row, values)| (0..).zip(values).map(move |(column, n)| (*row, column, n)));
        places
            .filter(|(_, _, n)| **n > 0)
            .map(|(row, column, n)| {
                let name = match self.rows.binary_search(&row) {
                    Ok(row) => self.names[row * ROW_LENGTH + column].clone(),
                    Err(_) => format!("row {row} column {column}"),
                };
                (name, *n)
            })
            .collect()
    }

    /// What moved, by name.
    pub fn moved(&self, before: &[u64], after: &[u64]) -> Counters {
        let values = before.iter().zip(after);
        let changes = self.names.iter().zip(values);
        changes
            .filter(|(_, (before, after))| before != after)
            .map(|(name, (before, after))| (name.clone(), after.wrapping_sub(*before)))
            .collect()
    }
}
