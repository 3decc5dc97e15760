//! Names and their counters.

use filter_common::counters::{INTERFACES, NO_POOL, POOLS, PORTS};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::PortRange;

/// Which counter slot belongs to which pool, port and interface of one
/// configuration.
///
/// Each generation counts in rows of its own, so slots are numbered from the
/// beginning for each: a name that is gone takes no room from those that come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    pools: IndexSet<String>,
    ports: IndexSet<PortRange>,
    interfaces: IndexSet<String>,
}

/// The pool label of frames that concern no pool.
pub const NO_POOL_NAME: &str = "none";

/// More names than counters. `check` refuses such a configuration where it is
/// read, so that this is about one that came another way.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{kind} {name} has no counters left: {capacity} are possible")]
pub struct SlotsFull {
    /// "pool", "port" or "interface".
    pub kind: &'static str,
    /// The one that did not fit.
    pub name: String,
    /// How many fit.
    pub capacity: u32,
}

impl Default for Slots {
    fn default() -> Self {
        let pools = IndexSet::from([NO_POOL_NAME.to_owned()]);
        debug_assert_eq!(pools.get_index_of(NO_POOL_NAME), Some(NO_POOL as usize));
        Self {
            pools,
            ports: IndexSet::new(),
            interfaces: IndexSet::new(),
        }
    }
}

impl Slots {
    /// The slot of a pool.
    ///
    /// # Errors
    ///
    /// When the name is new and there is none left; so for the others.
    pub fn pool(&mut self, name: &str) -> Result<u32, SlotsFull> {
        assign(&mut self.pools, name.to_owned(), "pool", POOLS)
    }

    /// The slot of a port, or of a range as it is written.
    ///
    /// # Errors
    ///
    /// When it is new and there is none left.
    pub fn port(&mut self, ports: impl Into<PortRange>) -> Result<u32, SlotsFull> {
        assign(&mut self.ports, ports.into(), "port", PORTS)
    }

    /// The slot of an interface.
    ///
    /// # Errors
    ///
    /// When the name is new and there is none left.
    pub fn interface(&mut self, name: &str) -> Result<u32, SlotsFull> {
        assign(
            &mut self.interfaces,
            name.to_owned(),
            "interface",
            INTERFACES,
        )
    }

    /// The pools after [`NO_POOL_NAME`], with their slots.
    pub fn pools(&self) -> impl Iterator<Item = (&str, u32)> {
        self.pools.iter().map(String::as_str).zip(0..)
    }

    /// The ports and ranges, with their slots.
    pub fn ports(&self) -> impl Iterator<Item = (PortRange, u32)> {
        self.ports.iter().copied().zip(0..)
    }

    /// The interfaces, with their slots.
    pub fn interfaces(&self) -> impl Iterator<Item = (&str, u32)> {
        self.interfaces.iter().map(String::as_str).zip(0..)
    }
}

fn assign<T: std::hash::Hash + Eq + std::fmt::Display>(
    names: &mut IndexSet<T>,
    name: T,
    kind: &'static str,
    capacity: u32,
) -> Result<u32, SlotsFull> {
    if let Some(slot) = names.get_index_of(&name) {
        return Ok(slot as u32);
    }
    if names.len() >= capacity as usize {
        return Err(SlotsFull {
            kind,
            name: name.to_string(),
            capacity,
        });
    }
    Ok(names.insert_full(name).0 as u32)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_name_keeps_its_slot() {
        let mut slots = Slots::default();
        assert_eq!(slots.pool("none"), Ok(NO_POOL));
        assert_eq!(slots.pool("east"), Ok(1));
        assert_eq!(slots.pool("west"), Ok(2));
        assert_eq!(slots.pool("east"), Ok(1));
    }

    #[test]
    fn the_last_slot_is_given_and_none_after_it() {
        let mut slots = Slots::default();
        for interface in 0..INTERFACES {
            let name = format!("eth{interface}");
            assert_eq!(slots.interface(&name), Ok(interface));
        }
        let error = slots.interface("one-more").unwrap_err();
        assert_eq!(
            error.to_string(),
            "interface one-more has no counters left: 256 are possible"
        );
        assert_eq!(slots.interface("eth0"), Ok(0));
    }

    #[test]
    fn what_was_kept_before_there_were_ranges_is_read() {
        let kept = r#"{"pools":["none"],"ports":[25,8080],"interfaces":["eth0"]}"#;
        let mut slots: Slots = serde_json::from_str(kept).unwrap();
        assert_eq!(serde_json::to_string(&slots).unwrap(), kept);
        assert_eq!(slots.port(8080), Ok(1));
        let range = PortRange::new(8000, 8080).unwrap();
        assert_eq!(slots.port(range), Ok(2));
        let kept = serde_json::to_string(&slots).unwrap();
        assert_eq!(
            kept,
            r#"{"pools":["none"],"ports":[25,8080,"8000-8080"],"interfaces":["eth0"]}"#
        );
        assert_eq!(serde_json::from_str::<Slots>(&kept).unwrap(), slots);
    }
}
