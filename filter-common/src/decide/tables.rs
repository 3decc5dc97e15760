//! What the rules look up.

use crate::{
    address::Address,
    flow::Flow,
    policy::{Policy, PortClass, Settings},
};

/// What a configuration becomes, and the memory of flows.
pub trait Tables {
    /// One of the [`Settings`]: `tables.setting(|settings| &settings.monitor)`. They
    /// are asked for one by one: for the program each is a load that the compiler
    /// may not leave out.
    fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T;

    /// What a port number, host byte order, is to this configuration.
    fn port_class(&self, port: u16) -> PortClass;

    /// The counter slot of a watched port, by its number in host byte order.
    fn port_slot(&self, port: u16) -> u32;

    /// The policy of an address: [`NO_POLICY`](crate::policy::NO_POLICY) outside
    /// every pool. [`find_policy`](crate::prefix_table::find_policy) finds it.
    fn policy_of(&self, address: Address) -> &Policy;

    /// Marks that a frame passes because of an exemption of this address. Whoever only wants
    /// to know a verdict marks nothing.
    #[inline(always)]
    fn mark_used(&self, _address: Address) {}

    /// Seconds on a clock that never goes back.
    fn now_seconds(&self) -> u64;

    /// When the customer last sent a packet of this flow, by
    /// [`now_seconds`](Self::now_seconds).
    fn flow_seen(&self, flow: &Flow) -> Option<u64>;

    /// Remembers that the customer sent a packet of this flow.
    fn remember_flow(&self, flow: &Flow, now_seconds: u64);
}
