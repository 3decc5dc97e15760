//! Attaching the program to an interface, and replacing it there.

use std::io;

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice, socket},
};

use super::{Attached, DataplaneError, Generation, bpf_link::BpfLink, pins::Pins};
use crate::{compile::CompiledInterface, config::Attach};

/// Attaches a generation's program where none of ours is attached.
pub(super) fn attach(
    pins: &Pins,
    generation: &mut Generation,
    interface: &CompiledInterface,
) -> Result<Attached, DataplaneError> {
    let name = &interface.name;
    let index = index(name).map_err(|_| DataplaneError::NoInterface {
        interface: name.clone(),
    })?;
    let program = generation.program(name)?;
    let link = BpfLink::create(program, index, interface.attach)
        .map_err(|error| attach_error(interface, error))?;
    let pin = pins.link(name);
    link.pin(&pin)
        .map_err(|source| DataplaneError::pins(&pin, source))?;
    Ok(Attached {
        role: interface.role,
        mode: interface.attach,
        pin,
    })
}

/// Puts a generation's program in the place of the one that is attached.
pub(super) fn replace(
    attached: &Attached,
    generation: &mut Generation,
    interface: &CompiledInterface,
) -> Result<(), DataplaneError> {
    let program = generation.program(&interface.name)?;
    BpfLink::open(&attached.pin)
        .and_then(|link| link.replace(program))
        .map_err(|error| attach_error(interface, error))
}

/// Whether the program is attached to the interface that has this name now. It
/// is not when the interface was deleted or made anew, and when somebody
/// detached the link or removed its pin.
pub fn is_attached(name: &str, attached: &Attached) -> bool {
    let linked = BpfLink::open(&attached.pin).and_then(|link| link.interface_index());
    match (linked, index(name)) {
        (Ok(linked), Ok(index)) => linked == index,
        _ => false,
    }
}

fn index(interface: &str) -> rustix::io::Result<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    netdevice::name_to_index(socket, interface)
}

/// What the kernel means by an error number here: `dev_xdp_attach()` in
/// `net/core/dev.c`.
fn attach_error(interface: &CompiledInterface, source: io::Error) -> DataplaneError {
    let name = interface.name.clone();
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::BUSY | Errno::EXIST) => DataplaneError::Occupied { interface: name },
        Some(Errno::OPNOTSUPP) if interface.attach == Attach::Native => {
            DataplaneError::NoNativeXdp { interface: name }
        }
        Some(Errno::NODEV) => DataplaneError::NoInterface { interface: name },
        _ => DataplaneError::Attach {
            interface: name,
            source,
        },
    }
}
