//! Why two interfaces cannot be joined by a wire, and what to do about it.

use std::io;

use thiserror::Error;

use super::offload;
use crate::remedy::remedy;

/// What keeps an interface from being the end of a wire.
#[derive(Debug, Error)]
pub enum WireError {
    /// One end lets larger frames in than the other one out.
    #[error(
        "wire {interface} - {peer}: the MTU is {mtu} on {interface} and {peer_mtu} on {peer}, and \
         what is larger than the smaller one would be lost: `ip link set dev {interface} mtu \
         {peer_mtu}`, or the other way round"
    )]
    MtuDiffers {
        /// One end.
        interface: String,
        /// Its MTU.
        mtu: u32,
        /// The other end.
        peer: String,
        /// Its MTU.
        peer_mtu: u32,
    },
    /// The card changes frames, and cannot be told not to.
    #[error(
        "interface {interface}: {} is on and its driver does not let it be switched off (`ethtool \
         -K {interface} {} off`): frames would lose their VLAN tags, or be too large to be sent. \
         Use another card, or forwarding = \"kernel\"",
        feature,
        offload::word(feature)
    )]
    OffloadFixed {
        /// The interface.
        interface: String,
        /// As the kernel calls it.
        feature: &'static str,
    },
    /// The driver has XDP, and no way to send what another one received.
    #[error(
        "interface {interface}: its driver does not send what comes in at {peer} (no XDP_REDIRECT \
         to it), and everything would be lost. A veth does if the far end of its pair has GRO \
         (`ethtool -K FAR-END gro on`) or an XDP program; some drivers do with one queue for each \
         CPU (`ethtool -L`). Else use another card, or forwarding = \"kernel\""
    )]
    CannotSend {
        /// The interface that would have to.
        interface: String,
        /// Where the frames come in.
        peer: String,
    },
    /// Its frames do not fit into one buffer, and it takes no others.
    #[error(
        "interface {interface}: an MTU of {mtu} takes frames in several buffers, which its driver, \
         or a kernel before Linux 6.3, does not redirect: `ip link set dev {interface} mtu {most}` \
         or less, at both ends"
    )]
    OneBuffer {
        /// The interface.
        interface: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that would do.
        most: u32,
    },
    /// The kernel does not say how an interface is.
    #[error(
        "interface {interface}: the kernel does not say how it is: {source}: {}",
        remedy(source)
    )]
    Ask {
        /// The interface.
        interface: String,
        /// What it said instead.
        source: io::Error,
    },
    /// The ends of the wires are not here.
    #[error(
        "what was set for wires was set in another network namespace, and can only be set back \
         there: run this in it (`nsenter --net`)"
    )]
    ElsewhereSet,
    /// The kernel refuses to set what a wire needs.
    #[error(
        "interface {interface}: cannot switch {what}: {source}: {}",
        remedy(source)
    )]
    Switch {
        /// The interface.
        interface: String,
        /// Promiscuous mode or a feature, on or off, as commands call it.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}
