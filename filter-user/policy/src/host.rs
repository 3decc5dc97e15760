//! The tables and counters of the XDP program, in ordinary memory.
//!
//! For `explain` and the tests: the same tables and the same
//! [`decide`](filter_common::decide()), without a kernel.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::IpAddr,
};

use filter_common::{
    Address, Policy, PortClass, Settings, Tables,
    counters::{Ledger, ROWS, Row},
    flow::Flow,
    prefix_table::find_policy,
};

use crate::{compile::Compiled, totals::CounterSource};

/// A generation's tables, with a memory of flows and a clock that stands still.
#[derive(Debug)]
pub struct HostTables<'a> {
    compiled: &'a Compiled,
    flows: RefCell<BTreeMap<Flow, u64>>,
    marks: RefCell<BTreeSet<IpAddr>>,
    now_seconds: Cell<u64>,
}

impl<'a> HostTables<'a> {
    /// With no flow remembered, at second 0.
    pub fn new(compiled: &'a Compiled) -> Self {
        Self {
            compiled,
            flows: RefCell::default(),
            marks: RefCell::default(),
            now_seconds: Cell::new(0),
        }
    }

    /// Sets the clock.
    pub fn set_now_seconds(&self, now_seconds: u64) {
        self.now_seconds.set(now_seconds);
    }

    /// The addresses whose exemptions let frames pass. None is marked then.
    pub fn take_marks(&self) -> BTreeSet<IpAddr> {
        self.marks.take()
    }

    /// The flows remembered, and when each was last seen.
    pub fn flows(&self) -> BTreeMap<Flow, u64> {
        self.flows.borrow().clone()
    }
}

impl Tables for HostTables<'_> {
    fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T {
        *which(&self.compiled.settings)
    }

    fn port_class(&self, port: u16) -> PortClass {
        self.compiled.ports.class(port)
    }

    fn port_slot(&self, port: u16) -> u32 {
        self.compiled.ports.slots[usize::from(port)].into()
    }

    fn policy_of(&self, address: Address) -> &Policy {
        let compiled = self.compiled;
        find_policy(
            address,
            |number| compiled.prefixes_v4.get(number as usize),
            |number| compiled.prefixes_v6.get(number as usize),
            |number| compiled.policies.get_index(number as usize),
        )
    }

    fn mark_used(&self, address: Address) {
        self.marks.borrow_mut().insert(address.into());
    }

    fn now_seconds(&self) -> u64 {
        self.now_seconds.get()
    }

    fn flow_seen(&self, flow: &Flow) -> Option<u64> {
        self.flows.borrow().get(flow).copied()
    }

    fn remember_flow(&self, flow: &Flow, now_seconds: u64) {
        self.flows.borrow_mut().insert(*flow, now_seconds);
    }
}

/// Counters as the program keeps them, of one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCounters {
    rows: Vec<Row>,
}

/// All zero.
impl Default for HostCounters {
    fn default() -> Self {
        Self {
            rows: vec![Row::default(); ROWS as usize],
        }
    }
}

impl CounterSource for HostCounters {
    type Error = Infallible;

    fn row(&self, row: u32) -> Result<Row, Infallible> {
        Ok(self.rows.get(row as usize).copied().unwrap_or_default())
    }
}

impl Ledger for HostCounters {
    fn row(&mut self, number: u32) -> Option<&mut Row> {
        self.rows.get_mut(number as usize)
    }
}
