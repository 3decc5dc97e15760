//! In how many buffers an interface hands over its frames.
//!
//! To ask for the length of a frame that may be in several is a call, which is a
//! twelfth of what a dropped frame costs (docs/performance.md). Where no frame is
//! larger than a buffer the program is told so, and subtracts two pointers. It needs
//! the length to count bytes and decides nothing by it.

use super::{
    link::index_of,
    wire::{device::Device, largest_in_one_buffer},
};

/// Whether every frame of an interface is in one buffer. One that is not there
/// could have any MTU when it is.
pub(super) fn is_one(interface: &str) -> bool {
    let index = index_of(interface).ok().flatten();
    index
        .and_then(mtu)
        .is_some_and(|mtu| mtu <= largest_in_one_buffer())
}

/// Whether frames of a device have grown out of one buffer.
pub(super) fn are_several(index: u32) -> bool {
    mtu(index).is_some_and(|mtu| mtu > largest_in_one_buffer())
}

fn mtu(index: u32) -> Option<u32> {
    let device = Device::get(index).ok().flatten();
    device.map(|device| device.mtu)
}
