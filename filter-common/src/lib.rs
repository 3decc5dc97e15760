//! What poolguard decides, and nothing else.
//!
//! The XDP program, `poolguard explain`, `poolguard diff` and every test ask it; there
//! is no other implementation of the rules in the product. The crate reads
//! frames through [`Frame`] and tables through [`Tables`], so it neither knows
//! nor cares whether it runs in the kernel.
//!
//! A frame goes through the modules in this order: [`parse`] finds its
//! addresses and ports, [`decide`](mod@decide) holds them against the
//! [`policy`] that [`prefix_table`] finds for an address, [`verdict`] names the
//! outcome, [`counters`] says which counters it moves. [`abi`] has the names that the
//! program and its loader share.
//!
//! ```
//! use filter_common::{
//!     Address, DropReason, Ingress, Outcome, Policy, PortClass, Role, Settings, Sources, Tables,
//!     decide, flow::Flow, policy::NO_POLICY,
//! };
//!
//! /// Tables in which nobody is a customer.
//! struct Nobody;
//!
//! impl Tables for Nobody {
//!     fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T {
//!         *which(&Settings::UNSET)
//!     }
//!     fn port_class(&self, _port: u16) -> PortClass {
//!         PortClass::UNWATCHED
//!     }
//!     fn port_slot(&self, _port: u16) -> u32 {
//!         0
//!     }
//!     fn policy_of(&self, _address: Address) -> &Policy {
//!         &NO_POLICY
//!     }
//!     fn now_seconds(&self) -> u64 {
//!         0
//!     }
//!     fn flow_seen(&self, _flow: &Flow) -> Option<u64> {
//!         None
//!     }
//!     fn remember_flow(&self, _flow: &Flow, _now_seconds: u64) {}
//! }
//!
//! let ingress = Ingress { role: Role::Network, sources: Sources::Any };
//! // ARP, and a frame that says that it is IPv4 and ends there.
//! let arp = [&[0; 12][..], &[0x08, 0x06], &[0; 28]].concat();
//! assert_eq!(decide(&arp[..], ingress, &Nobody).outcome, Outcome::NotIp);
//! let cut = [&[0; 12][..], &[0x08, 0x00]].concat();
//! assert_eq!(decide(&cut[..], ingress, &Nobody).reason, Some(DropReason::IpTruncated));
//! ```

#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod address;
pub mod counters;
pub mod decide;
pub mod flow;
pub mod frame;
pub mod last_use;
pub mod parse;
pub mod policy;
pub mod prefix_table;
pub mod verdict;

pub use address::{Address, Family};
pub use decide::{Ingress, Role, Sources, Tables, decide};
pub use frame::Frame;
pub use policy::{Policy, PortClass, PortClasses, PortSlots, Protocol, ReturnTraffic, Settings};
pub use verdict::{DropReason, Outcome, Rule, Uninspected, Verdict};
