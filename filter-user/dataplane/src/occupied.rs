//! Who keeps a program from being attached to a device.

use std::io;

use super::{DataplaneError, device::Device, pins};

/// What the kernel means when it says that a device is taken, as far as it can be
/// found out.
pub(super) fn occupied(interface: &str, index: u32) -> DataplaneError {
    let interface = interface.to_owned();
    // Whatever it is, nothing was attached.
    let device = Device::get(index).ok().flatten();
    if let Some(&program) = device.as_ref().and_then(|device| device.programs.first()) {
        return match pins::holder(program) {
            Some(instance) => DataplaneError::OtherInstance {
                interface,
                instance: instance.name().to_owned(),
            },
            None => DataplaneError::Occupied { interface },
        };
    }
    match above(index).unwrap_or_default().pop() {
        Some(upper) => DataplaneError::Below {
            interface,
            upper: upper.name,
        },
        None => DataplaneError::Occupied { interface },
    }
}

/// Checks that the kernel would attach something to a device that has a program now,
/// once that is gone.
///
/// # Errors
///
/// When it would not, or cannot be asked.
pub(super) fn check_above(interface: &str, index: u32) -> Result<(), DataplaneError> {
    let upper = above(index).map_err(DataplaneError::Interfaces)?.pop();
    upper.map_or(Ok(()), |upper| {
        Err(DataplaneError::Below {
            interface: interface.to_owned(),
            upper: upper.name,
        })
    })
}

/// The devices with a program that get their frames from this one: the kernel
/// attaches nothing below them (`dev_xdp_attach()` in `net/core/dev.c`).
pub(super) fn above(index: u32) -> io::Result<Vec<Device>> {
    let mut all = Device::all()?;
    let own = all.iter().find(|device| device.index == index);
    let controller = own.and_then(|own| own.controller);
    all.retain(|device| {
        let is_above = device.lower == Some(index) || controller == Some(device.index);
        is_above && !device.programs.is_empty()
    });
    Ok(all)
}
