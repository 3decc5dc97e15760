//! Attaching the program to an interface, and replacing it there.

use std::io;

use aya::programs::{
    ProgramError, XdpMode,
    links::{FdLink, LinkError, PinnedLink},
    xdp::XdpLink,
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice, socket},
};

use super::{Attached, DataplaneError, Generation, pins::Pins};
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
    let mode = match interface.attach {
        Attach::Native => XdpMode::Driver,
        Attach::Generic => XdpMode::Skb,
    };
    let program = generation.program(name)?;
    let id = program
        .attach_to_if_index(index, mode)
        .map_err(|error| attach_error(interface, error))?;
    let link = program
        .take_link(id)
        .map_err(|error| attach_error(interface, error))?;
    // aya falls back to netlink where the kernel refuses a bpf_link; what it
    // attaches that way ends with this process, and can't be replaced in one
    // step. Dropping it detaches it.
    let link = FdLink::try_from(link).map_err(|_| DataplaneError::NoLink {
        interface: name.clone(),
    })?;
    let path = pins.link(name);
    link.pin(&path)
        .map_err(|error| DataplaneError::pins(path, io::Error::other(error)))?;
    Ok(Attached {
        role: interface.role,
        mode: interface.attach,
        index,
    })
}

/// Puts a generation's program in the place of the one that is attached.
pub(super) fn replace(
    pins: &Pins,
    generation: &mut Generation,
    interface: &CompiledInterface,
) -> Result<(), DataplaneError> {
    let link_error = |error: LinkError| DataplaneError::Attach {
        interface: interface.name.clone(),
        source: io::Error::other(error),
    };
    let link = PinnedLink::from_pin(pins.link(&interface.name)).map_err(link_error)?;
    let link = XdpLink::try_from(FdLink::from(link)).map_err(link_error)?;
    let program = generation.program(&interface.name)?;
    let id = program
        .attach_to_link(link)
        .map_err(|error| attach_error(interface, error))?;
    // The pin keeps the link; a program that keeps it as well would detach it
    // when the generation is dropped.
    program
        .take_link(id)
        .and_then(|link| FdLink::try_from(link).map_err(|_| ProgramError::NotAttached))
        .map(drop)
        .map_err(|error| attach_error(interface, error))
}

/// Whether the interface that the link was made for is still the one of that
/// name.
pub fn is_current(name: &str, attached: &Attached) -> bool {
    index(name).is_ok_and(|index| index == attached.index)
}

fn index(interface: &str) -> rustix::io::Result<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    netdevice::name_to_index(socket, interface)
}

/// What the kernel means by an error number here: `dev_xdp_attach()` in
/// `net/core/dev.c`.
fn attach_error(interface: &CompiledInterface, error: ProgramError) -> DataplaneError {
    let name = interface.name.clone();
    let source = match error {
        ProgramError::SyscallError(error) => error.io_error,
        error => io::Error::other(error),
    };
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
