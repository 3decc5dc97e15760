//! Where a copy of the program sends what it permits.

use aya::{
    Ebpf,
    maps::{
        MapError,
        xdp::{DevMap, XdpMapError},
    },
};

use filter_common::abi::map::PEER;

use super::super::{DataplaneError, link::name_of};

/// Has a copy of the program send what it permits out of a device; nowhere, if
/// there is none. Nothing happens where it does so already.
pub(in super::super) fn set(object: &mut Ebpf, to: Option<u32>) -> Result<(), DataplaneError> {
    let error = |source| DataplaneError::map(PEER, source);
    let map = object.map_mut(PEER).ok_or(DataplaneError::NoProgram)?;
    let mut peer = DevMap::try_from(map).map_err(error)?;
    let now = match peer.get(0, 0) {
        Ok(value) => Some(value.if_index),
        Err(MapError::KeyNotFound) => None,
        Err(source) => return Err(error(source)),
    };
    if now == to {
        return Ok(());
    }
    // The kernel takes 0 for no device.
    match peer.set(0, to.unwrap_or(0), None, 0) {
        Ok(()) => Ok(()),
        // It went this very moment.
        Err(_) if to.is_some_and(is_gone) => Ok(()),
        Err(XdpMapError::MapError(source)) => Err(error(source)),
        // There is no program to chain.
        Err(XdpMapError::ChainedProgramNotSupported) => Err(DataplaneError::NoProgram),
    }
}

fn is_gone(index: u32) -> bool {
    matches!(name_of(index), Ok(None))
}
