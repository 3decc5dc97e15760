//! What must hold of the ends of wires.

use std::{collections::BTreeSet, io, sync::Once};

use rustix::param::page_size;

use super::{End, WireError, ability::Ability, address::addresses};
use crate::{device::Device, link::name_or_number};

/// The largest MTU whose frames fit into one buffer: a page, less the room that the
/// kernel keeps before and after a frame, an Ethernet header and two VLAN tags.
pub(super) fn largest_in_one_buffer() -> u32 {
    const HEADROOM: usize = 256;
    const SHARED_INFO: usize = 320;
    const ETHERNET: usize = 14 + 2 * 4;
    (page_size() - HEADROOM - SHARED_INFO - ETHERNET) as u32
}

/// Checks what can be checked before anything is attached.
pub(in super::super) fn check(ends: &[End]) -> Result<(), WireError> {
    for end in ends {
        let (own, other) = (device(end, end.index)?, peer(end)?);
        let (Some(own), Some(other)) = (own, other) else {
            continue;
        };
        if own.mtu != other.mtu {
            return Err(WireError::MtuDiffers {
                interface: end.interface.clone(),
                mtu: own.mtu,
                peer: end.peer.clone(),
                peer_mtu: other.mtu,
            });
        }
    }
    Ok(())
}

/// Checks that each end sends what comes in at the other one, which some can
/// only once they have a program themselves.
pub(in super::super) fn check_ability(ends: &[End]) -> Result<(), WireError> {
    for end in ends {
        let ability = Ability::get(end.index).map_err(ask(end))?;
        match ability {
            None => warn_of_old_kernel(),
            Some(ability) if ability.sends() => {}
            Some(_) => {
                return Err(WireError::CannotSend {
                    interface: end.interface.clone(),
                    peer: end.peer.clone(),
                });
            }
        }
        // Kernels that say nothing redirect no frames in several buffers.
        let takes_several = ability.is_some_and(Ability::takes_several_buffers);
        let most = largest_in_one_buffer();
        let large = device(end, end.index)?.filter(|device| device.mtu > most);
        if let Some(device) = large.filter(|_| !takes_several) {
            return Err(WireError::OneBuffer {
                interface: end.interface.clone(),
                mtu: device.mtu,
                most,
            });
        }
    }
    Ok(())
}

fn warn_of_old_kernel() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            "this kernel does not say whether drivers send what is redirected to them (Linux 6.3 \
             and later do): look whether frames come out at the other ends of the wires"
        );
    });
}

/// Says what no longer works because of the wires, each thing once for as long as it
/// lasts.
pub(in super::super) fn warn_of_side_effects(ends: &[End], said: &mut BTreeSet<String>) {
    let before = std::mem::take(said);
    let mut is_new = |what: String| {
        let is_new = !before.contains(&what);
        said.insert(what);
        is_new
    };
    for end in ends {
        let interface = &end.interface;
        // Nothing depends on it.
        let addresses = addresses(end.index).unwrap_or_default().join(", ");
        if !addresses.is_empty() && is_new(format!("{interface} {addresses}")) {
            tracing::warn!(
                %interface, addresses,
                "the end of a wire has addresses, and nothing reaches this host there any more: \
                 all of it goes out of {}. Move them to another interface", end.peer
            );
        }
        let device = Device::get(end.index).ok().flatten();
        if let Some(controller) = device.and_then(|device| device.controller) {
            let controller = name_or_number(controller);
            if is_new(format!("{interface} {controller}")) {
                tracing::warn!(
                    %interface, %controller,
                    "the end of a wire is a port of a bridge or bond, which gets nothing from it \
                     any more: `ip link set dev {interface} nomaster`"
                );
            }
        }
    }
}

fn device(end: &End, index: u32) -> Result<Option<Device>, WireError> {
    Device::get(index).map_err(ask(end))
}

fn peer(end: &End) -> Result<Option<Device>, WireError> {
    end.peer_index.map_or(Ok(None), |index| device(end, index))
}

fn ask(end: &End) -> impl Fn(io::Error) -> WireError + '_ {
    |source| WireError::Ask {
        interface: end.interface.clone(),
        source,
    }
}
