//! The tables and counters of the XDP program, in ordinary memory.
//!
//! For `explain` and the tests: the same tables and the same
//! [`decide`](filter_common::decide()), without a kernel.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    convert::Infallible,
};

use filter_common::{
    Policy, PortClass, ReturnTraffic, Tables,
    counters::{Ledger, ROWS, Row},
    flow::Flow,
    prefix_table::Line,
};

use crate::{compile::Compiled, metrics::CounterSource};

/// A generation's tables, with a memory of flows and a clock that stands still.
#[derive(Debug)]
pub struct HostTables<'a> {
    compiled: &'a Compiled,
    flows: RefCell<BTreeMap<Flow, u64>>,
    now_seconds: Cell<u64>,
}

impl<'a> HostTables<'a> {
    /// With no flow remembered, at second 0.
    pub fn new(compiled: &'a Compiled) -> Self {
        Self {
            compiled,
            flows: RefCell::default(),
            now_seconds: Cell::new(0),
        }
    }

    /// Sets the clock.
    pub fn set_now_seconds(&self, now_seconds: u64) {
        self.now_seconds.set(now_seconds);
    }

    /// The flows remembered, and when each was last seen.
    pub fn flows(&self) -> BTreeMap<Flow, u64> {
        self.flows.borrow().clone()
    }
}

impl Tables for HostTables<'_> {
    fn mail_ports(&self) -> u64 {
        self.compiled.settings.mail_ports
    }

    fn high_ports(&self) -> u64 {
        self.compiled.settings.high_ports
    }

    fn return_traffic(&self) -> ReturnTraffic {
        self.compiled.settings.return_traffic
    }

    fn direct_smtp(&self) -> bool {
        self.compiled.settings.direct_smtp
    }

    fn monitor(&self) -> bool {
        self.compiled.settings.monitor
    }

    fn port_class(&self, port: u16) -> PortClass {
        self.compiled.ports.class(port)
    }

    fn line_v4(&self, number: u32) -> Option<&Line> {
        self.compiled.prefixes_v4.get(number as usize)
    }

    fn line_v6(&self, number: u32) -> Option<&Line> {
        self.compiled.prefixes_v6.get(number as usize)
    }

    fn policy(&self, number: u32) -> Option<&Policy> {
        self.compiled.policies.get_index(number as usize)
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
    port_slots: [u32; PortClass::MAX as usize + 1],
}

impl HostCounters {
    /// All zero.
    pub fn new(compiled: &Compiled) -> Self {
        Self {
            rows: vec![Row::default(); ROWS as usize],
            port_slots: compiled.ports.slots,
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

    fn port_slot(&self, class: PortClass) -> u32 {
        self.port_slots[class.0 as usize]
    }
}
