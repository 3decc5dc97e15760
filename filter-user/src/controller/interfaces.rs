//! What the kernel tells of interfaces that come, go, and change their names.

use std::{collections::BTreeMap, future::pending, io};

use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkFlags, LinkMessage},
    },
};

/// A subscription to the kernel's messages about links (RTNLGRP_LINK).
pub(super) struct Watch {
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    up: BTreeMap<String, bool>,
}

/// An interface that was brought up or down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    pub(super) interface: String,
    pub(super) is_up: bool,
}

impl Watch {
    /// Subscribes. What happens from here on is not missed.
    pub(super) fn new() -> io::Result<Self> {
        let (connection, _, messages) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        tokio::spawn(connection);
        Ok(Self {
            messages: messages.map(|(message, _)| message).boxed(),
            up: BTreeMap::new(),
        })
    }

    /// Waits until something has changed, and takes all there is in one go: what
    /// matters is how things are now. Messages that the kernel could not deliver
    /// count as a change.
    pub(super) async fn changed(&mut self) -> Vec<Carrier> {
        let mut carriers = Vec::new();
        let mut next = self.messages.next().await;
        if next.is_none() {
            tracing::error!(
                "the kernel tells nothing about interfaces any more: one that is re-created is \
                 not filtered until a reload. Restart poolguard; what is attached stays so"
            );
            return pending().await;
        }
        while let Some(message) = next {
            carriers.extend(self.carrier(&message));
            next = self.messages.next().now_or_never().flatten();
        }
        carriers
    }

    fn carrier(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) -> Option<Carrier> {
        let NetlinkPayload::InnerMessage(inner) = &message.payload else {
            return None;
        };
        let (interface, is_up) = match inner {
            RouteNetlinkMessage::NewLink(link) => (name(link)?, up(link)),
            RouteNetlinkMessage::DelLink(link) => {
                self.up.remove(name(link)?);
                return None;
            }
            _ => return None,
        };
        let was_up = self.up.insert(interface.to_owned(), is_up);
        // The first word about an interface is no change.
        was_up.filter(|&was_up| was_up != is_up)?;
        Some(Carrier {
            interface: interface.to_owned(),
            is_up,
        })
    }
}

fn up(link: &LinkMessage) -> bool {
    link.header
        .flags
        .contains(LinkFlags::Up | LinkFlags::LowerUp)
}

fn name(link: &LinkMessage) -> Option<&str> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        })
}
