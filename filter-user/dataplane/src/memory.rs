//! The data plane without a kernel: the same promises, in ordinary memory.
//!
//! A [`Machine`] has interfaces, and keeps what is attached to them when a data plane
//! is dropped, as the kernel does. Whatever can fail in the kernel can be made to fail
//! here, one operation at a time. So all that a controller does can be tried without
//! privileges:
//!
//! ```
//! use dataplane::{Dataplane as _, memory::{Machine, Memory}};
//!
//! let machine = Machine::with(&["eth0", "eth1"]);
//! let dataplane = Memory::open(&machine)?;
//! assert!(dataplane.is_new());
//! assert!(machine.tables("eth0").is_none());
//! # Ok::<(), dataplane::DataplaneError>(())
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use filter_common::{Policy, Verdict, decide, prefix_table::Line};
use indexmap::IndexSet;
use ipnet::IpNet;
use policy::{
    compile::{Amendment, Compiled, CompiledInterface, InUse, LiveLines, PortTable, amend_table},
    config::Egress,
    host::HostTables,
    totals::Totals,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Dataplane, DataplaneError, Demand, Event, Events, ExitState, InterfaceState, Readings,
    TableUse, Way,
};

/// The tables of one generation, which the interfaces share.
type Tables = Arc<Mutex<OfGeneration>>;

/// Tables, and the addresses whose exemptions frames have used.
#[derive(Debug)]
struct OfGeneration {
    compiled: Compiled,
    marks: BTreeSet<IpAddr>,
}

/// Interfaces, and what is attached to them.
#[derive(Clone, Debug, Default)]
pub struct Machine(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    interfaces: BTreeSet<String>,
    links: BTreeMap<String, Tables>,
    /// What a data plane has noted for the next one.
    noted: Option<String>,
    /// The interfaces that something was ever counted for.
    counted: BTreeSet<String>,
    /// How many operations still succeed, and how many fail then.
    until_failure: Option<(usize, Failing)>,
    /// How many have failed.
    failures: usize,
}

/// How many operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// So many, one after the other.
    Times(usize),
    /// All from then on, until it is [repaired](Machine::repair).
    Always,
}

impl Machine {
    /// One with these interfaces.
    pub fn with(interfaces: &[&str]) -> Self {
        let machine = Self::default();
        interfaces.iter().for_each(|name| machine.plug_in(name));
        machine
    }

    /// Adds an interface.
    pub fn plug_in(&self, interface: &str) {
        self.lock().interfaces.insert(interface.to_owned());
    }

    /// Takes an interface away, and its link with it.
    pub fn unplug(&self, interface: &str) {
        let mut state = self.lock();
        state.interfaces.remove(interface);
        state.links.remove(interface);
    }

    /// Has operations fail after so many that succeed: loading, noting, attaching or
    /// replacing on an interface, storing in a table in use, asking for the interfaces, taking
    /// the filter off.
    pub fn fail_after(&self, operations: usize, failing: Failing) {
        self.lock().until_failure = Some((operations, failing));
    }

    /// Lets everything succeed again. Says whether nothing has failed yet of what was
    /// to.
    pub fn repair(&self) -> bool {
        let until_failure = self.lock().until_failure.take();
        until_failure.is_some_and(|(left, _)| left > 0)
    }

    /// How many operations were made to fail since it was made.
    pub fn failures(&self) -> usize {
        self.lock().failures
    }

    /// The tables that decide on an interface, as they are now.
    pub fn tables(&self, interface: &str) -> Option<Compiled> {
        let tables = self.lock().links.get(interface).map(Arc::clone);
        tables.map(|tables| locked(&tables).compiled.clone())
    }

    /// Decides a frame that arrives at an interface, and marks what lets it in, as the
    /// program does. `None` where nothing is attached.
    pub fn receive(&self, interface: &str, frame: &[u8]) -> Option<Verdict> {
        let tables = self.lock().links.get(interface).map(Arc::clone)?;
        let mut in_use = locked(&tables);
        let mut interfaces = in_use.compiled.interfaces.iter();
        let ingress = interfaces.find(|known| known.name == interface)?.ingress;
        let host = HostTables::new(&in_use.compiled);
        let verdict = decide(frame, ingress, &host);
        let marks = host.take_marks();
        in_use.marks.extend(marks);
        Some(verdict)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }

    /// Does one operation, or fails.
    fn operate(&self) -> Result<(), DataplaneError> {
        let mut state = self.lock();
        match state.until_failure {
            Some((0, failing)) => {
                state.until_failure = match failing {
                    Failing::Times(0 | 1) => None,
                    Failing::Times(more) => Some((0, Failing::Times(more - 1))),
                    Failing::Always => Some((0, Failing::Always)),
                };
                state.failures += 1;
                let injected = io::Error::other("made to fail");
                Err(DataplaneError::Interfaces(injected))
            }
            Some((left, failing)) => {
                state.until_failure = Some((left - 1, failing));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The data plane of a [`Machine`].
#[derive(Debug)]
pub struct Memory {
    machine: Machine,
    is_new: bool,
    running: Option<MemoryGeneration>,
    in_use: Option<(Arc<PortTable>, IndexSet<Policy>)>,
}

/// A generation.
#[derive(Clone, Debug)]
pub struct MemoryGeneration {
    interfaces: Vec<CompiledInterface>,
    tables: Tables,
}

impl Memory {
    /// Goes on from what an earlier one has left on the machine.
    ///
    /// # Errors
    ///
    /// When the machine fails.
    pub fn open(machine: &Machine) -> Result<Self, DataplaneError> {
        machine.operate()?;
        let state = machine.lock();
        let is_new = state.links.is_empty() && state.noted.is_none();
        drop(state);
        Ok(Self {
            machine: machine.clone(),
            is_new,
            running: None,
            in_use: None,
        })
    }

    /// Attaches to an interface if it is there, and says what was attached before.
    fn attach(&self, interface: &str, tables: &Tables) -> Result<Option<Tables>, DataplaneError> {
        self.machine.operate()?;
        let mut state = self.machine.lock();
        if !state.interfaces.contains(interface) {
            return Ok(None);
        }
        state.counted.insert(interface.to_owned());
        Ok(state.links.insert(interface.to_owned(), Arc::clone(tables)))
    }

    fn decides(&self, interface: &str, tables: &Tables) -> bool {
        let state = self.machine.lock();
        let attached = state.links.get(interface);
        attached.is_some_and(|attached| Arc::ptr_eq(attached, tables))
    }

    fn names(&self, interfaces: &[CompiledInterface]) -> BTreeSet<String> {
        interfaces
            .iter()
            .map(|interface| interface.name.clone())
            .collect()
    }
}

impl Dataplane for Memory {
    type Generation = MemoryGeneration;

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn link_count(&self) -> usize {
        self.machine.lock().links.len()
    }

    fn go_on_counting<T: DeserializeOwned>(&mut self) -> Result<Option<T>, DataplaneError> {
        self.machine.operate()?;
        let state = self.machine.lock();
        let noted = state.noted.as_deref();
        Ok(noted.and_then(|text| serde_json::from_str(text).ok()))
    }

    fn forget_counters(&mut self) -> Result<(), DataplaneError> {
        self.machine.operate()?;
        self.machine.lock().noted = None;
        Ok(())
    }

    fn note<T: Serialize>(&mut self, noted: &T) -> Result<(), DataplaneError> {
        self.machine.operate()?;
        self.machine.lock().noted = serde_json::to_string(noted).ok();
        Ok(())
    }

    fn load(&mut self, compiled: &Compiled) -> Result<MemoryGeneration, DataplaneError> {
        self.machine.operate()?;
        Ok(MemoryGeneration {
            interfaces: compiled.interfaces.clone(),
            tables: Arc::new(Mutex::new(OfGeneration {
                compiled: compiled.clone(),
                marks: BTreeSet::new(),
            })),
        })
    }

    fn discard(&mut self, _: MemoryGeneration) {}

    fn enforce(
        &mut self,
        next: MemoryGeneration,
        demand: Demand,
    ) -> Result<Events, DataplaneError> {
        let mut events = Events::new();
        let mut before = Vec::new();
        for CompiledInterface { name, .. } in &next.interfaces {
            match self.attach(name, &next.tables) {
                Ok(replaced) => before.push((name.clone(), replaced)),
                Err(error) if demand == Demand::WhatCan => {
                    events.push((name.clone(), Event::Failed(error)));
                }
                Err(error) => {
                    let mut state = self.machine.lock();
                    for (name, replaced) in before.into_iter().rev() {
                        match replaced {
                            Some(tables) => drop(state.links.insert(name, tables)),
                            None => drop(state.links.remove(&name)),
                        }
                    }
                    return Err(error);
                }
            }
        }
        let kept = self.names(&next.interfaces);
        self.machine
            .lock()
            .links
            .retain(|name, _| kept.contains(name));
        let tables = locked(&next.tables);
        self.in_use = Some((
            Arc::clone(&tables.compiled.ports),
            tables.compiled.policies.clone(),
        ));
        drop(tables);
        self.running = Some(next);
        Ok(events)
    }

    fn in_use(&self) -> Option<InUse<'_>> {
        let (ports, policies) = self.in_use.as_ref()?;
        Some(InUse { ports, policies })
    }

    fn amend(&mut self, amendment: &Amendment) -> Result<(), DataplaneError> {
        let Some(running) = &self.running else {
            return Ok(());
        };
        locked(&running.tables)
            .compiled
            .policies
            .clone_from(&amendment.policies);
        if let Some((_, policies)) = &mut self.in_use {
            policies.clone_from(&amendment.policies);
        }
        for (prefix, wanted) in &amendment.tables {
            let mut tables = locked(&running.tables);
            let lines = match prefix {
                IpNet::V4(_) => &mut tables.compiled.prefixes_v4,
                IpNet::V6(_) => &mut tables.compiled.prefixes_v6,
            };
            let machine = &self.machine;
            amend_table(&mut Lines { lines, machine }, wanted, prefix)?;
        }
        Ok(())
    }

    fn used(&mut self) -> Result<Vec<IpAddr>, DataplaneError> {
        let state = self.machine.lock();
        // Interfaces share them: the first one has all that there is to tell.
        let used = state
            .links
            .values()
            .flat_map(|tables| std::mem::take(&mut locked(tables).marks));
        Ok(used.collect())
    }

    fn reconcile(&mut self, waiting: &BTreeSet<String>) -> Result<Events, DataplaneError> {
        self.machine.operate()?;
        let Some(running) = self.running.clone() else {
            return Ok(Events::new());
        };
        let mut events = Events::new();
        for CompiledInterface { name, .. } in &running.interfaces {
            if waiting.contains(name) || self.decides(name, &running.tables) {
                continue;
            }
            match self.attach(name, &running.tables) {
                Ok(_) if self.decides(name, &running.tables) => {
                    events.push((name.clone(), Event::Attached))
                }
                Ok(_) => {}
                Err(error) => events.push((name.clone(), Event::Failed(error))),
            }
        }
        Ok(events)
    }

    fn would_leave(&self, interfaces: &[CompiledInterface]) -> Result<Vec<String>, DataplaneError> {
        self.machine.operate()?;
        let kept = self.names(interfaces);
        let state = self.machine.lock();
        let left = state.links.keys().filter(|name| !kept.contains(*name));
        Ok(left.cloned().collect())
    }

    fn unpinned(&self) -> Vec<String> {
        Vec::new()
    }

    fn counts(&self, interface: &str) -> bool {
        self.machine.lock().counted.contains(interface)
    }

    fn readings(&self) -> Arc<dyn Readings> {
        Arc::new(self.machine.clone())
    }

    fn detach(self) -> Result<(), DataplaneError> {
        self.machine.operate()?;
        let mut state = self.machine.lock();
        state.links.clear();
        state.noted = None;
        Ok(())
    }
}

impl Readings for Machine {
    fn standing(&self, interface: &str) -> InterfaceState {
        let state = self.lock();
        match (
            state.links.contains_key(interface),
            state.interfaces.contains(interface),
        ) {
            (true, _) => InterfaceState::Attached,
            (false, true) => InterfaceState::Unattached,
            (false, false) => InterfaceState::Missing,
        }
    }

    /// The tables that decide on an interface say whether they do so at its way out.
    fn way_out(&self, interface: &str) -> ExitState {
        let tables = self.tables(interface);
        let mut interfaces = tables.iter().flat_map(|tables| &tables.interfaces);
        let is_filtered =
            interfaces.any(|known| known.name == interface && known.egress == Egress::Filter);
        match is_filtered {
            true => ExitState::Attached(Way::Tcx),
            false => ExitState::Open,
        }
    }

    fn wire_problem(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn totals(&self) -> Result<Totals, DataplaneError> {
        Ok(Totals::default())
    }

    fn tables(&self) -> Vec<TableUse> {
        Vec::new()
    }
}

/// A table that is changed in place.
struct Lines<'a> {
    lines: &'a mut Vec<Line>,
    machine: &'a Machine,
}

impl LiveLines for Lines<'_> {
    type Error = DataplaneError;

    fn read(&self, number: u32) -> Result<Line, DataplaneError> {
        Ok(self.lines[number as usize])
    }

    fn add(&mut self, lines: &[Line]) -> Result<u32, DataplaneError> {
        let first = self.lines.len() as u32;
        self.lines.extend_from_slice(lines);
        Ok(first)
    }

    fn set(&mut self, number: u32, word: usize, value: u32) -> Result<(), DataplaneError> {
        self.machine.operate()?;
        self.lines[number as usize][word] = value;
        Ok(())
    }
}
