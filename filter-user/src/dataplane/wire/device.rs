//! What the kernel says of a device, and whether it takes every frame.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use rustix::io::Errno;

use super::netlink::ask;

/// A device as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// Its largest frame, without the Ethernet header.
    pub(super) mtu: u32,
    /// Whether it is up, and its cable is plugged in.
    pub(super) is_up: bool,
    /// Whether somebody has told it to take frames for others. A bridge, or
    /// somebody who listens on a socket, does not show here.
    pub(super) is_promiscuous: bool,
    /// The index of the bridge or bond that it is a port of.
    pub(super) controller: Option<u32>,
}

impl Device {
    /// The device with an index, if there is one.
    pub(super) fn get(index: u32) -> io::Result<Option<Self>> {
        let mut question = LinkMessage::default();
        question.header.index = index;
        let question = RouteNetlinkMessage::GetLink(question);
        let answers = match ask(NETLINK_ROUTE, question, 0) {
            Err(error) if is_gone(&error) => return Ok(None),
            answers => answers?,
        };
        Ok(answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Self::of(&link),
            _ => None,
        }))
    }

    fn of(link: &LinkMessage) -> Option<Self> {
        let mut attributes = link.attributes.iter();
        let mtu = attributes.find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        })?;
        let mut attributes = link.attributes.iter();
        let controller = attributes.find_map(|attribute| match attribute {
            LinkAttribute::Controller(index) => Some(*index),
            _ => None,
        });
        let flags = link.header.flags;
        Some(Self {
            mtu,
            is_up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
            is_promiscuous: flags.contains(LinkFlags::Promisc),
            controller: controller.filter(|&index| index != 0),
        })
    }
}

/// Has a device take frames for others as well, or no longer. Not as somebody who
/// listens on a socket does: that would end with this process.
pub(super) fn set_promiscuous(index: u32, is_on: bool) -> io::Result<()> {
    let mut wish = LinkMessage::default();
    wish.header.index = index;
    wish.header.change_mask = LinkFlags::Promisc;
    if is_on {
        wish.header.flags = LinkFlags::Promisc;
    }
    ask(NETLINK_ROUTE, RouteNetlinkMessage::SetLink(wish), 0).map(drop)
}

/// Whether there is no such device any more.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}
