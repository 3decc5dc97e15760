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

mod bpf_link;
mod error;
mod generation;
mod link;
mod pins;
mod preflight;
mod shared;

use std::{collections::BTreeMap, path::PathBuf};

pub use error::DataplaneError;
pub use generation::{Generation, TableUse};
pub use link::is_attached;
pub use pins::{BadInstanceName, Instance};
pub use preflight::check as preflight;
pub use shared::{Counters, FlowMemory};

use crate::{
    compile::{Compiled, CompiledInterface},
    config::Attach,
};
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
    /// Where the link is pinned. The pin is what keeps it.
    pub pin: PathBuf,
}

/// What was done to an interface on the way to the next generation.
enum Step {
    /// It had no link, and has one.
    Attached(String),
    /// It had a link, and has none.
    Detached(String),
    /// Its link went over to the next program.
    Replaced(String),
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
    /// interface. On each, the change happens between two frames, unless it has
    /// to be attached in another mode.
    ///
    /// # Errors
    ///
    /// When an interface cannot be attached to. All interfaces then go on with
    /// the generation that was running.
    pub fn enforce(&mut self, mut next: Generation) -> Result<(), DataplaneError> {
        let mut done = Vec::new();
        if let Err(error) = self.take_over(&mut next, &mut done) {
            self.take_back(done);
            return Err(error);
        }
        let wanted = next.interfaces();
        let mut gone: Vec<_> = self.attached.keys().cloned().collect();
        gone.retain(|name| wanted.iter().all(|interface| interface.name != *name));
        for name in gone {
            if let Err(error) = self.detach_interface(&name) {
                tracing::error!(
                    interface = %name, %error,
                    "cannot detach: the program stays attached. Remove its pin by hand"
                );
            }
        }
        self.running = Some(next);
        Ok(())
    }

    /// Does what can fail before what hardly can, and notes each step.
    fn take_over(
        &mut self,
        next: &mut Generation,
        done: &mut Vec<Step>,
    ) -> Result<(), DataplaneError> {
        let (replaced, attached): (Vec<_>, Vec<_>) = next
            .interfaces()
            .into_iter()
            .partition(|interface| self.can_replace(interface));
        for interface in &attached {
            if self.attached.contains_key(&interface.name) {
                self.detach_interface(&interface.name)?;
                done.push(Step::Detached(interface.name.clone()));
            }
            self.attach(next, interface)?;
            done.push(Step::Attached(interface.name.clone()));
        }
        for interface in &replaced {
            self.replace(next, interface)?;
            done.push(Step::Replaced(interface.name.clone()));
        }
        Ok(())
    }

    /// Whether there is a link that can go over to another program. Another
    /// mode takes another link, and so does an interface that has lost it.
    fn can_replace(&self, interface: &CompiledInterface) -> bool {
        self.attached.get(&interface.name).is_some_and(|attached| {
            attached.mode == interface.attach && link::is_attached(&interface.name, attached)
        })
    }

    /// Undoes the steps that were done, the last one first.
    fn take_back(&mut self, done: Vec<Step>) {
        let Some(mut running) = self.running.take() else {
            // There was nothing before: whoever asked gives up and detaches.
            return;
        };
        for step in done.into_iter().rev() {
            let result = match &step {
                Step::Attached(name) => self.detach_interface(name),
                Step::Detached(name) => running
                    .interface(name)
                    .and_then(|interface| self.attach(&mut running, &interface)),
                Step::Replaced(name) => running
                    .interface(name)
                    .and_then(|interface| self.replace(&mut running, &interface)),
            };
            if let Err(error) = result {
                let (Step::Attached(name) | Step::Detached(name) | Step::Replaced(name)) = step;
                tracing::error!(
                    interface = %name, %error,
                    "cannot go back to the configuration in force. `poolguard status` shows \
                     whether this interface is attached; reload once it can be"
                );
            }
        }
        self.running = Some(running);
    }

    fn attach(
        &mut self,
        generation: &mut Generation,
        interface: &CompiledInterface,
    ) -> Result<(), DataplaneError> {
        let attached = link::attach(&self.pins, generation, interface)?;
        self.attached.insert(interface.name.clone(), attached);
        Ok(())
    }

    fn replace(
        &mut self,
        generation: &mut Generation,
        interface: &CompiledInterface,
    ) -> Result<(), DataplaneError> {
        let Some(attached) = self.attached.get_mut(&interface.name) else {
            return self.attach(generation, interface);
        };
        link::replace(attached, generation, interface)?;
        attached.role = interface.role;
        Ok(())
    }

    fn detach_interface(&mut self, interface: &str) -> Result<(), DataplaneError> {
        if self.attached.contains_key(interface) {
            self.pins.remove_link(interface)?;
            self.attached.remove(interface);
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
