//! The watched ports, numbered.

use std::collections::BTreeSet;

use filter_common::{PortClass, PortClasses, Protocol};

use super::{CompileError, Slots};
use crate::config::{Config, PortSpec};

/// Which port is which class, and where it is counted.
#[derive(Clone, Debug)]
pub struct PortTable {
    /// Port to class.
    pub classes: Box<PortClasses>,
    /// Class to port; index 0 is no class.
    pub numbers: Vec<u16>,
    /// Class to counter slot; 0 for what is no class.
    pub slots: [u32; PortClass::MAX as usize + 1],
}

impl PortTable {
    /// Numbers every port that is forbidden anywhere or that mail is sent to.
    pub(super) fn new(config: &Config, slots: &mut Slots) -> Result<Self, CompileError> {
        let watched: BTreeSet<u16> = config
            .pools
            .iter()
            .filter_map(|pool| pool.forbidden.as_ref())
            .chain([&config.ports.forbidden])
            .flatten()
            .map(|spec| spec.port)
            .chain(config.mail.ports.iter().copied())
            .collect();
        if watched.len() > PortClass::MAX as usize {
            return Err(CompileError::TooManyPorts {
                count: watched.len(),
            });
        }
        let mut table = Self {
            classes: Box::new([0; 1 << 16]),
            numbers: vec![0],
            slots: [0; PortClass::MAX as usize + 1],
        };
        for (port, class) in watched.into_iter().zip(1_u8..) {
            table.classes[usize::from(port)] = class;
            table.numbers.push(port);
            table.slots[class as usize] = slots.port(port)?;
        }
        Ok(table)
    }

    /// The class of a port.
    pub fn class(&self, port: u16) -> PortClass {
        PortClass(self.classes[usize::from(port)])
    }

    /// The mask of these ports' classes.
    pub(super) fn mask(&self, ports: impl Iterator<Item = u16>) -> u64 {
        ports.fold(0, |mask, port| mask | self.class(port).bit())
    }

    /// The mask of the classes of ports that a connection can be opened from.
    pub(super) fn high_ports(&self) -> u64 {
        let high = self.numbers.iter().filter(|&&port| port >= 1024);
        self.mask(high.copied())
    }

    /// For each protocol, the mask of what `specs` cover.
    pub(super) fn masks(&self, specs: &[PortSpec]) -> [u64; Protocol::COUNT] {
        Protocol::ALL.map(|protocol| {
            let covered = specs.iter().filter(|s| s.covers(s.port, protocol));
            self.mask(covered.map(|spec| spec.port))
        })
    }
}
