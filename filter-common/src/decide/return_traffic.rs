//! Answers to connections that customers opened from a forbidden port.
//!
//! NAT devices open connections from any port from 1024 up. What the setting
//! `return_traffic` lets back in is told here, and what it takes remembering for
//! that.

use super::{Role, Tables};
use crate::{
    flow::{Flow, REFRESH_SECONDS, lifetime_seconds},
    parse::{Endpoints, Packet, TCP_ACK, TCP_SYN},
    policy::{Policy, PortClass, Protocol, ReturnTraffic},
    verdict::Outcome,
};

/// How a packet toward a forbidden port passes as return traffic, if it does.
#[inline(always)]
pub(super) fn outcome<T: Tables + ?Sized>(
    packet: &Packet,
    endpoints: &Endpoints,
    class: PortClass,
    tables: &T,
) -> Option<Outcome> {
    if !class.is_in(tables.setting(|settings| &settings.high_ports)) {
        return None;
    }
    match tables.setting(|settings| &settings.return_traffic) {
        ReturnTraffic::Track if answers_a_flow(packet, endpoints, tables) => Some(Outcome::Return),
        ReturnTraffic::Syn if !opens_a_flow(packet) => Some(Outcome::Allowed),
        _ => None,
    }
}

/// For `return_traffic = "syn"`: a SYN without ACK, or a UDP datagram.
#[inline(always)]
fn opens_a_flow(packet: &Packet) -> bool {
    match packet.protocol {
        Protocol::Tcp => packet.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN,
        Protocol::Udp => true,
        Protocol::Sctp | Protocol::Dccp | Protocol::UdpLite => false,
    }
}

/// For `return_traffic = "track"`: the reverse of a flow recently seen leaving.
#[inline(always)]
fn answers_a_flow<T: Tables + ?Sized>(packet: &Packet, endpoints: &Endpoints, tables: &T) -> bool {
    let flow = Flow::new(
        packet.protocol,
        (endpoints.destination, packet.destination_port),
        (endpoints.source, packet.source_port),
    );
    tables.flow_seen(&flow).is_some_and(|seen| {
        let age = tables.now_seconds().saturating_sub(seen);
        age < lifetime_seconds(packet.protocol)
    })
}

/// Whether it may take remembering a packet's flow to let its answers through, by the
/// class of its source port, to which they will be sent.
#[inline(always)]
pub(super) fn may_be_answered<T: Tables + ?Sized>(
    packet: &Packet,
    class: PortClass,
    role: Role,
    tables: &T,
) -> bool {
    class != PortClass::UNWATCHED
        && packet.source_port >= 1024
        && role.faces_customers()
        && matches!(
            tables.setting(|settings| &settings.return_traffic),
            ReturnTraffic::Track
        )
}

/// Remembers a flow that leaves a customer from a port that is forbidden
/// toward that customer, since its reverse would otherwise be dropped.
#[inline(always)]
pub(super) fn remember<T: Tables + ?Sized>(
    packet: &Packet,
    endpoints: &Endpoints,
    class: PortClass,
    source: &Policy,
    tables: &T,
) {
    if !source.forbids(packet.protocol, class) || source.exempts(packet.protocol, class) {
        return;
    }
    let flow = Flow::new(
        packet.protocol,
        (endpoints.source, packet.source_port),
        (endpoints.destination, packet.destination_port),
    );
    let now = tables.now_seconds();
    let fresh = tables
        .flow_seen(&flow)
        .is_some_and(|seen| now.saturating_sub(seen) < REFRESH_SECONDS);
    if !fresh {
        tables.remember_flow(&flow, now);
    }
}
