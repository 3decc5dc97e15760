//! Which device is meant by each interface of a configuration.

use policy::compile::CompiledInterface;

use super::{
    Attached, DataplaneError, Links,
    device::Device,
    fitness::{Misplaced, misplaced},
    link::{index_of, name_of},
};

/// What the interfaces of a configuration claim.
pub(super) struct Claims<'a> {
    /// The devices that are to have the program, by their index, or that have it and
    /// keep it. What others get their frames from comes before them: the kernel attaches
    /// nothing below a program.
    pub(super) devices: Vec<(u32, &'a CompiledInterface)>,
    /// The interfaces that mean no device that can be filtered.
    pub(super) refused: Vec<(String, DataplaneError)>,
}

/// An interface and the device that has its name.
struct Named<'a> {
    interface: &'a CompiledInterface,
    device: Device,
    below: usize,
}

impl<'a> Claims<'a> {
    /// Each interface means the device that has its name, or else the one that has
    /// the program and had the name, unless its new name is configured as well.
    /// Interfaces without a device are left out.
    ///
    /// What cannot be filtered is refused. No device loses the program for that: it
    /// is kept where it is, and may well be right there, as where somebody has given
    /// the name to a bridge that the device is a port of now.
    pub(super) fn of(
        interfaces: &'a [CompiledInterface],
        links: &Links,
    ) -> Result<Self, DataplaneError> {
        let mut claims = Self {
            devices: Vec::new(),
            refused: Vec::new(),
        };
        let mut named = Vec::new();
        for interface in interfaces {
            let Some(device) = device_named(&interface.name)? else {
                let renamed = renamed(interface, interfaces, links)?;
                claims.keep(interface, renamed);
                continue;
            };
            match misplaced(&device).map_err(DataplaneError::Interfaces)? {
                None => named.push(Named {
                    interface,
                    below: device.below().map_err(DataplaneError::Interfaces)?.len(),
                    device,
                }),
                Some(why) => {
                    let serves = serves(links, device.index, interface);
                    let kept = match serves {
                        true => Some(device.index),
                        false => renamed(interface, interfaces, links)?,
                    };
                    claims.keep(interface, kept);
                    claims.refuse(interface, why);
                }
            }
        }
        claims.refuse_second_names(&mut named, links);
        claims.refuse_members(&mut named, links);
        named.sort_by_key(|named| named.below);
        let devices = named
            .iter()
            .map(|named| (named.device.index, named.interface));
        claims.devices.extend(devices);
        Ok(claims)
    }

    fn keep(&mut self, interface: &'a CompiledInterface, device: Option<u32>) {
        self.devices.extend(device.map(|index| (index, interface)));
    }

    fn refuse(&mut self, interface: &CompiledInterface, why: Misplaced) {
        let interface = interface.name.clone();
        let error = DataplaneError::Misplaced {
            interface: interface.clone(),
            why,
        };
        self.refused.push((interface, error));
    }

    /// Of interfaces that are one device, the one that the program was loaded for
    /// keeps it, or else the one that is no alternative name has it.
    fn refuse_second_names(&mut self, named: &mut Vec<Named<'a>>, links: &Links) {
        named.sort_by_key(|named| {
            let Named {
                interface, device, ..
            } = named;
            let serves = serves(links, device.index, interface);
            (!serves, device.name != interface.name)
        });
        let mut first: Vec<Named<'a>> = Vec::new();
        for second in named.drain(..) {
            let mut known = first.iter();
            match known.find(|first| first.device.index == second.device.index) {
                Some(first) => {
                    let other = first.interface.name.clone();
                    self.refuse(second.interface, Misplaced::TwoNames { other });
                }
                None => first.push(second),
            }
        }
        *named = first;
    }

    /// A bond and its member cannot both be filtered. What has the program keeps it.
    fn refuse_members(&mut self, named: &mut Vec<Named<'a>>, links: &Links) {
        let with_member = |named: &[Named<'a>]| {
            named.iter().enumerate().find_map(|(at, bond)| {
                let mut members = named.iter();
                let is_member =
                    |member: &&Named<'a>| member.device.controller == Some(bond.device.index);
                let member = members.find(is_member)?;
                Some((at, member.interface.name.clone()))
            })
        };
        while let Some((at, member)) = with_member(named) {
            let bond = named.swap_remove(at);
            let index = bond.device.index;
            let kept = serves(links, index, bond.interface).then_some(index);
            self.keep(bond.interface, kept);
            self.refuse(bond.interface, Misplaced::Member { member });
        }
    }
}

/// What keeps the device that has a name from being filtered under it.
///
/// # Errors
///
/// When the kernel cannot be asked.
pub(super) fn misplaced_name(
    interface: &str,
    links: &Links,
) -> Result<Option<Misplaced>, DataplaneError> {
    let Some(device) = device_named(interface)? else {
        return Ok(None);
    };
    if let Some(why) = misplaced(&device).map_err(DataplaneError::Interfaces)? {
        return Ok(Some(why));
    }
    let served = links
        .get(&device.index)
        .filter(|link| link.is_on(device.index));
    let Some(other) = served
        .map(|link| &link.serves)
        .filter(|other| *other != interface)
    else {
        return Ok(None);
    };
    // Else the names have changed places, and that is seen to in a moment.
    let is_second = index_of(other)? == Some(device.index);
    let other = other.clone();
    Ok(is_second.then_some(Misplaced::TwoNames { other }))
}

/// The device that has a name, be it an alternative one.
fn device_named(interface: &str) -> Result<Option<Device>, DataplaneError> {
    let Some(index) = index_of(interface)? else {
        return Ok(None);
    };
    match Device::get(index) {
        // The kernel has answered with something that nobody here can read. That is no
        // reason to leave an interface without the filter.
        Err(error) if error.raw_os_error().is_none() => {
            Ok(Some(Device::unreadable(index, interface)))
        }
        device => device.map_err(DataplaneError::Interfaces),
    }
}

/// Whether the program on a device was loaded for an interface.
fn serves(links: &Links, index: u32, interface: &CompiledInterface) -> bool {
    let link = links.get(&index);
    link.is_some_and(|link| link.serves == interface.name && link.is_on(index))
}

/// The device that had the name of an interface, and has none now that is
/// configured.
fn renamed(
    interface: &CompiledInterface,
    interfaces: &[CompiledInterface],
    links: &Links,
) -> Result<Option<u32>, DataplaneError> {
    let mut links = links.values();
    let link = links.find(|link| link.serves == interface.name);
    let Some(index) = link.and_then(Attached::index) else {
        return Ok(None);
    };
    let name = name_of(index)?;
    let is_configured = |name: &String| interfaces.iter().any(|other| other.name == *name);
    Ok(name.filter(|name| !is_configured(name)).map(|_| index))
}
