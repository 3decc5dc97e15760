//! The filter in the kernel: loading, attaching, replacing, counting.
//!
//! aya is used here and nowhere else. A [`Generation`] is one configuration's
//! tables with a copy of the program for each interface; it is loaded whole
//! before the first frame sees it, and nothing in it is edited afterwards. A
//! [`Dataplane`] holds the links that attach a generation to the interfaces,
//! and the counters and the memory of flows, which outlive generations.
//!
//! Links and shared maps are pinned in the instance's own directory, so that
//! the kernel keeps them should this process die.

mod error;
mod generation;
mod link;
mod pins;
mod preflight;
mod shared;

use std::collections::BTreeMap;

pub use error::DataplaneError;
pub use generation::{Generation, TableUse};
pub use pins::{BadInstanceName, Instance};
pub use preflight::check as preflight;
pub use shared::{Counters, FlowMemory};

use crate::{compile::Compiled, config::Attach};
use filter_common::Role;
use pins::Pins;

/// The links, the counters and the memory of flows of one instance.
#[derive(Debug)]
pub struct Dataplane {
    pins: Pins,
    running: Option<Generation>,
    attached: BTreeMap<String, Attached>,
    generations: u64,
}

/// An interface that the program is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// What the interface faces.
    pub role: Role,
    /// How the program is attached.
    pub mode: Attach,
    /// The interface that the link belongs to. One of the same name that is
    /// made later has another index.
    pub index: u32,
}

impl Dataplane {
    /// Prepares to filter, and takes away what an earlier run left behind.
    ///
    /// # Errors
    ///
    /// When something that a filter needs is missing, as [`preflight`] says,
    /// or the pins cannot be made.
    pub fn open(instance: &Instance) -> Result<Self, DataplaneError> {
        preflight(instance)?;
        Ok(Self {
            pins: Pins::create(instance)?,
            running: None,
            attached: BTreeMap::new(),
            generations: 0,
        })
    }

    /// Loads a generation. Nothing that is running is touched.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a table or the program.
    pub fn load(&mut self, compiled: &Compiled) -> Result<Generation, DataplaneError> {
        self.generations += 1;
        Generation::load(compiled, &self.pins, self.generations)
    }

    /// Puts a generation in the place of the running one, interface by
    /// interface. On each, the change happens between two frames.
    ///
    /// # Errors
    ///
    /// When an interface cannot be attached to. All interfaces then go on with
    /// the generation that was running.
    pub fn enforce(&mut self, mut next: Generation) -> Result<(), DataplaneError> {
        // What can fail comes first: attaching where nothing is attached yet.
        let mut fresh = Vec::new();
        for interface in next.interfaces() {
            let attached = self.attached.get(&interface.name);
            if attached
                .is_some_and(|a| a.mode == interface.attach && link::is_current(&interface.name, a))
            {
                continue;
            }
            // Another mode, or another interface of that name, takes another link.
            self.detach_interface(&interface.name)?;
            match link::attach(&self.pins, &mut next, &interface) {
                Ok(attached) => {
                    self.attached.insert(interface.name.clone(), attached);
                    fresh.push(interface.name.clone());
                }
                Err(error) => {
                    self.withdraw(&fresh);
                    return Err(error);
                }
            }
        }
        let mut replaced = Vec::new();
        for interface in next.interfaces() {
            if fresh.contains(&interface.name) {
                continue;
            }
            if let Err(error) = link::replace(&self.pins, &mut next, &interface) {
                self.restore(&replaced);
                self.withdraw(&fresh);
                return Err(error);
            }
            replaced.push(interface.name.clone());
            if let Some(attached) = self.attached.get_mut(&interface.name) {
                attached.role = interface.role;
            }
        }
        let kept: Vec<_> = next.interfaces().into_iter().map(|i| i.name).collect();
        let gone: Vec<_> = self
            .attached
            .keys()
            .filter(|n| !kept.contains(n))
            .cloned()
            .collect();
        self.withdraw(&gone);
        self.running = Some(next);
        Ok(())
    }

    /// Takes new links away again.
    fn withdraw(&mut self, interfaces: &[String]) {
        for interface in interfaces {
            if let Err(error) = self.detach_interface(interface) {
                tracing::error!(%interface, %error, "cannot detach: the program stays attached");
            }
        }
    }

    /// Gives links back to the generation that was running.
    fn restore(&mut self, interfaces: &[String]) {
        let Some(running) = &mut self.running else {
            return;
        };
        for interface in running.interfaces() {
            if !interfaces.contains(&interface.name) {
                continue;
            }
            if let Err(error) = link::replace(&self.pins, running, &interface) {
                tracing::error!(
                    interface = %interface.name, %error,
                    "cannot go back: the interface enforces the new configuration"
                );
            } else if let Some(attached) = self.attached.get_mut(&interface.name) {
                attached.role = interface.role;
            }
        }
    }

    fn detach_interface(&mut self, interface: &str) -> Result<(), DataplaneError> {
        if self.attached.remove(interface).is_some() {
            self.pins.remove_link(interface)?;
        }
        Ok(())
    }

    /// The interfaces that the program is attached to, by name.
    pub fn attached(&self) -> &BTreeMap<String, Attached> {
        &self.attached
    }

    /// How full the tables of the running generation are.
    pub fn tables(&self) -> Vec<TableUse> {
        self.running
            .as_ref()
            .map_or_else(Vec::new, Generation::tables)
    }

    /// The counters, for a reader of its own.
    ///
    /// # Errors
    ///
    /// Before the first generation is loaded.
    pub fn counters(&self) -> Result<Counters, DataplaneError> {
        Counters::open(&self.pins)
    }

    /// The memory of flows, for a reader of its own.
    ///
    /// # Errors
    ///
    /// Before the first generation is loaded.
    pub fn flows(&self) -> Result<FlowMemory, DataplaneError> {
        FlowMemory::open(&self.pins)
    }

    /// Detaches from every interface and removes every pin.
    ///
    /// # Errors
    ///
    /// When a pin cannot be removed; the rest is removed all the same.
    pub fn detach(self) -> Result<(), DataplaneError> {
        self.pins.remove_all()
    }
}
