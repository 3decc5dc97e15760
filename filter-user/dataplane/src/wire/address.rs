//! The addresses of a device.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::{
    packet_core::NLM_F_DUMP,
    packet_route::{
        RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage, AddressScope},
    },
};

use crate::netlink::ask;

/// Those that somebody has given it: not the one that every IPv6 interface gives
/// itself.
pub(super) fn addresses(index: u32) -> io::Result<Vec<String>> {
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = ask(NETLINK_ROUTE, question, NLM_F_DUMP)?;
    let given = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(address)
            if address.header.index == index && address.header.scope != AddressScope::Link =>
        {
            text(&address)
        }
        _ => None,
    });
    Ok(given.collect())
}

fn text(address: &AddressMessage) -> Option<String> {
    let mut attributes = address.attributes.iter();
    attributes.find_map(|attribute| match attribute {
        AddressAttribute::Address(found) => Some(format!("{found}/{}", address.header.prefix_len)),
        _ => None,
    })
}
