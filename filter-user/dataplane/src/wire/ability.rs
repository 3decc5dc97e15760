//! Whether a device can send what another one's program redirects to it. Drivers
//! say so from Linux 6.3 on, and many of them only while they have a program
//! themselves.

use std::io;

use crate::netlink::generic::{Attribute, ask_family, find};

/// `NETDEV_XDP_ACT_NDO_XMIT` and the others of `linux/netdev.h`.
const NDO_XMIT: u64 = 1 << 2;
const RX_SG: u64 = 1 << 5;
const NDO_XMIT_SG: u64 = 1 << 6;

const FAMILY: &str = "netdev";
const DEV_GET: u8 = 1;
const DEV_IFINDEX: u16 = 1;
const DEV_XDP_FEATURES: u16 = 3;

/// What a device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ability(u64);

impl Ability {
    /// That of a device; none where the kernel does not say.
    pub(super) fn get(index: u32) -> io::Result<Option<Self>> {
        let question = vec![Attribute::number(DEV_IFINDEX, index)];
        let answer = ask_family(FAMILY, DEV_GET, question)?;
        let features = answer.as_deref();
        let features = features.and_then(|answer| find(answer, DEV_XDP_FEATURES));
        Ok(features.and_then(Attribute::as_u64).map(Self))
    }

    /// Whether it sends what is redirected to it.
    pub(super) fn sends(self) -> bool {
        self.0 & NDO_XMIT != 0
    }

    /// Whether it receives and sends frames in several buffers.
    pub(super) fn takes_several_buffers(self) -> bool {
        let both = RX_SG | NDO_XMIT_SG;
        self.0 & both == both
    }
}
