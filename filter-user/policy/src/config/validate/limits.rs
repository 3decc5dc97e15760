//! How much the tables of the program hold.

use std::collections::HashSet;

use filter_common::{PortClass, counters};

use crate::config::{
    draft::{DEFAULT_FORBIDDEN, DEFAULT_MAIL_PORTS, Draft},
    mistakes::Mistakes,
    report::Diagnostic,
    text::Place,
};

/// One slot counts what concerns no pool.
const POOLS: usize = counters::POOLS as usize - 1;
const INTERFACES: usize = counters::INTERFACES as usize;
const WATCHED_PORTS: usize = PortClass::MAX as usize;

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    if let Some(pool) = draft.pools.get(POOLS) {
        let message = format!("more than {POOLS} pools");
        let help = "merge pools of the same kind: a pool can have many prefixes";
        mistakes.push(Diagnostic::error(&pool.place, message).help(help));
    }
    if let Some(interface) = draft.interfaces.get(INTERFACES) {
        let message = format!("more than {INTERFACES} interfaces");
        let help =
            "list the interfaces that traffic to or from customers arrives at, and no others";
        mistakes.push(Diagnostic::error(&interface.place, message).help(help));
    }
    if let Some(place) = one_port_too_many(draft) {
        let message = format!("more than {WATCHED_PORTS} different ports");
        let help = "all lists of forbidden ports and of mail ports count together";
        mistakes.push(Diagnostic::error(place, message).help(help));
    }
}

/// Where the first port is that there is no class left for.
fn one_port_too_many(draft: &Draft) -> Option<&Place> {
    let mail_ports = draft.mail.as_ref().and_then(|mail| mail.ports.as_ref());
    let mut watched = HashSet::new();
    if draft.forbidden.is_none() {
        watched.extend(DEFAULT_FORBIDDEN);
    }
    if mail_ports.is_none() {
        watched.extend(DEFAULT_MAIL_PORTS);
    }
    let of_pools = draft
        .pools
        .iter()
        .filter_map(|pool| pool.forbidden.as_ref());
    let forbidden = draft.forbidden.iter().chain(of_pools);
    let forbidden = forbidden.flat_map(|list| &list.items);
    let forbidden = forbidden.map(|item| (item.value.port, &item.place));
    let mail = mail_ports.into_iter().flat_map(|list| &list.items);
    let mail = mail.map(|item| (item.value, &item.place));
    mail.chain(forbidden)
        .find(|&(port, _)| watched.insert(port) && watched.len() > WATCHED_PORTS)
        .map(|(_, place)| place)
}
