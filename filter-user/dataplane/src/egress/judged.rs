//! The devices whose frames were judged on arrival.
//!
//! A frame remembers the device that it arrived at last on its way up (`skb_iif`): the
//! interface itself, or the VLAN device, bridge, bond or VRF on it that it went through.
//! The program at the way out passes those over that XDP has judged.

use std::{collections::BTreeSet, fmt, io};

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use filter_common::abi::{JUDGED_BELOW_DEVICES, map};
use rtnetlink::packet_route::link::InfoKind;

use crate::{DataplaneError, device::Device, pins::Pins};

/// The tables that the programs look into.
pub(crate) struct Judged {
    all: HashMap<MapData, u32, u32>,
    below: Array<MapData, u32>,
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Judged").field(&self.all).finish()
    }
}

impl Judged {
    /// The ones that the programs of this instance share.
    pub(crate) fn open(pins: &Pins) -> Result<Self, DataplaneError> {
        let error = |source| DataplaneError::map(map::JUDGED, source);
        let data = MapData::from_pin(pins.judged()).map_err(error)?;
        let all = HashMap::try_from(Map::HashMap(data)).map_err(error)?;
        let error = |source| DataplaneError::map(map::JUDGED_BELOW, source);
        let data = MapData::from_pin(pins.judged_below()).map_err(error)?;
        let below = Array::try_from(Map::Array(data)).map_err(error)?;
        Ok(Self { all, below })
    }

    /// Has the tables say what is so while these devices have XDP programs of this
    /// instance. What is not judged any more goes first.
    pub(crate) fn set(&mut self, filtered: &BTreeSet<u32>) -> Result<(), DataplaneError> {
        let devices = Device::all().map_err(DataplaneError::Interfaces)?;
        self.write(&judged(&devices, filtered))
            .map_err(|source| DataplaneError::map(map::JUDGED, source))
    }

    fn write(&mut self, wanted: &BTreeSet<u32>) -> Result<(), MapError> {
        let known: BTreeSet<u32> = self.all.keys().collect::<Result<_, _>>()?;
        for gone in known.difference(wanted) {
            self.write_below(*gone, 0)?;
            match self.all.remove(gone) {
                Err(MapError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        for index in wanted {
            // Those that are known as well: a controller may have ended between the two.
            self.write_below(*index, 1)?;
            if !known.contains(index) {
                self.all.insert(index, 1, 0)?;
            }
        }
        Ok(())
    }

    fn write_below(&mut self, index: u32, is_judged: u32) -> Result<(), MapError> {
        match index < JUDGED_BELOW_DEVICES {
            true => self.below.set(index, is_judged, 0),
            false => Ok(()),
        }
    }
}

/// Of all devices of this namespace, those at which nothing arrives that was not judged.
fn judged(devices: &[Device], filtered: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut judged = filtered.clone();
    // What is on others may have others on it.
    loop {
        let more: Vec<u32> = devices
            .iter()
            .filter(|device| !judged.contains(&device.index))
            .filter(|device| is_tagged(device, &judged) || is_made_of(device, devices, &judged))
            .map(|device| device.index)
            .collect();
        if more.is_empty() {
            return judged;
        }
        judged.extend(more);
    }
}

/// Whether it is a VLAN of a device whose frames are judged. Others get frames from
/// beside them as well: a macvlan device from those on the same card.
fn is_tagged(device: &Device, judged: &BTreeSet<u32>) -> bool {
    let is_vlan = device.kind == Some(InfoKind::Vlan);
    is_vlan && device.lower.is_some_and(|lower| judged.contains(&lower))
}

/// Whether it is a bridge, bond or VRF whose ports are all judged.
fn is_made_of(device: &Device, devices: &[Device], judged: &BTreeSet<u32>) -> bool {
    let mut ports = devices
        .iter()
        .filter(|port| port.controller == Some(device.index))
        .peekable();
    ports.peek().is_some() && ports.all(|port| judged.contains(&port.index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: u32) -> Device {
        Device::unreadable(index, "dev")
    }

    fn vlan(index: u32, lower: u32) -> Device {
        Device {
            kind: Some(InfoKind::Vlan),
            lower: Some(lower),
            ..device(index)
        }
    }

    fn port(index: u32, controller: u32) -> Device {
        Device {
            controller: Some(controller),
            ..device(index)
        }
    }

    fn of(devices: &[Device], filtered: &[u32]) -> Vec<u32> {
        let filtered = filtered.iter().copied().collect();
        judged(devices, &filtered).into_iter().collect()
    }

    #[test]
    fn a_vlan_of_a_filtered_device_is_judged_and_a_tag_in_a_tag() {
        let devices = [vlan(4, 3), vlan(3, 2), device(2), vlan(6, 5), device(5)];
        assert_eq!(of(&devices, &[2]), [2, 3, 4]);
    }

    #[test]
    fn what_others_send_to_as_well_is_not() {
        let macvlan = Device {
            kind: Some(InfoKind::MacVlan),
            ..vlan(3, 2)
        };
        assert_eq!(of(&[device(2), macvlan], &[2]), [2]);
    }

    #[test]
    fn a_bridge_is_judged_if_all_its_ports_are() {
        let devices = [port(2, 9), port(3, 9), device(9), vlan(10, 9)];
        assert_eq!(of(&devices, &[2]), [2]);
        assert_eq!(of(&devices, &[2, 3]), [2, 3, 9, 10]);
        // One without ports.
        assert_eq!(of(&[device(9)], &[]), [0; 0]);
    }
}
