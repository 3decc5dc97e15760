//! Forwarding by wire: what the program permits goes straight out of the other
//! end ([`peer`]), which asks something of both ends.
//!
//! What they are is asked over netlink ([`generic`], [`offload`], [`ability`],
//! [`address`]). What must hold before anything is attached is
//! checked in [`check`]; what can be set is set, and set back, by [`settings`];
//! how a wire is at a moment says [`state`].

mod ability;
mod address;
mod check;
mod error;
mod offload;
pub(super) mod peer;
mod settings;
mod state;

pub use error::WireError;
pub(super) use state::problem;

pub(super) use check::{check, check_ability, warn_of_side_effects};
pub(super) use settings::SetDevices;

use policy::compile::CompiledInterface;

/// An interface that is the end of a wire, and is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The index of its device.
    pub(super) index: u32,
    /// As the configuration calls it.
    pub(super) interface: String,
    /// The interface at the other end.
    pub(super) peer: String,
    /// The index of the device there, if there is one.
    pub(super) peer_index: Option<u32>,
}

/// The ends of wires among the devices that are claimed by interfaces.
pub(super) fn ends(claims: &[(u32, &CompiledInterface)]) -> Vec<End> {
    let index_of = |name: &str| {
        let mut claims = claims.iter();
        claims.find_map(|(index, interface)| (interface.name == name).then_some(*index))
    };
    let with_peer = |&(index, interface): &(u32, &CompiledInterface)| {
        let peer = interface.peer.clone()?;
        Some(End {
            index,
            interface: interface.name.clone(),
            peer_index: index_of(&peer),
            peer,
        })
    };
    claims.iter().filter_map(with_peer).collect()
}
