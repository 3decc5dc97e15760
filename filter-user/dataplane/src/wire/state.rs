//! How wires are at a moment.

use super::{
    ability::Ability,
    check::largest_in_one_buffer,
    offload::{Features, word},
};
use crate::{Attached, Links, device::Device, link::index_of};

/// What keeps frames that are permitted from going on from an interface to the one
/// at the other end of its wire, or from coming in whole. A question that the
/// kernel does not answer finds no problem.
pub(crate) fn problem(interface: &str, peer: &str, links: &Links) -> Option<String> {
    // What keeps it from being attached says somebody else.
    let index = device_of(interface, links)?;
    let own = Device::get(index).ok().flatten()?;
    let Some(peer_index) = device_of(peer, links) else {
        return Some(format!(
            "{peer} is gone, and what is permitted ends here: it is waited for"
        ));
    };
    let other = Device::get(peer_index).ok().flatten()?;
    if !other.is_up {
        return Some(format!("{peer} is down: nothing goes out of it"));
    }
    if own.mtu != other.mtu {
        return Some(format!(
            "the MTU is {} here and {} on {peer}: larger frames are lost",
            own.mtu, other.mtu
        ));
    }
    if !own.is_promiscuous {
        return Some("not promiscuous any more: frames for others are not received".to_owned());
    }
    let features = Features::get(index).unwrap_or_default();
    if let Some((feature, _)) = features.harmful().next() {
        return Some(format!(
            "{feature} is on: frames are not what they were (`ethtool -K {interface} {} off`)",
            word(feature)
        ));
    }
    let ability = Ability::get(peer_index).ok()?;
    if ability.is_some_and(|ability| !ability.sends()) {
        return Some(format!("{peer} does not send what is redirected to it"));
    }
    let is_large = other.mtu > largest_in_one_buffer();
    let takes_several = ability.is_some_and(Ability::takes_several_buffers);
    (is_large && !takes_several).then(|| format!("{peer} does not send frames in several buffers"))
}

/// The device that serves an interface.
fn device_of(interface: &str, links: &Links) -> Option<u32> {
    let served = links.values().find(|link| link.serves == interface);
    let named = index_of(interface).ok().flatten();
    named.or_else(|| served.and_then(Attached::index))
}
