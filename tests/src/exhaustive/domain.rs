//! Frames that are shown to the parser and to the oracle.

use std::collections::BTreeMap;

use filter_common::{
    Protocol, Uninspected,
    parse::{Endpoints, Packet, Parsed, Portless, TCP_ACK, TCP_SYN, Unreadable, parse, plain},
};

use crate::{
    frames::Arrival,
    oracle::reading::{Content, Datagram, Reading, Segment, read},
};

/// A set of frames that is gone through to its end.
#[derive(Debug)]
pub struct Domain {
    name: &'static str,
    checked: u64,
    seen: BTreeMap<&'static str, u64>,
}

impl Domain {
    /// Nothing was shown yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            checked: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Shows a frame to both.
    ///
    /// # Panics
    ///
    /// When they read it differently.
    pub fn check(&mut self, frame: &[u8]) {
        let parsed = parse(frame);
        let reading = read(frame);
        if !agree(frame, &parsed, &reading) || !agrees_with_plain(frame, &parsed) {
            let arrival = Arrival {
                bytes: frame.to_vec(),
                ip_offset: 0,
            };
            panic!(
                "{}\n{arrival}\nparser: {parsed:?}\noracle: {reading:?}",
                self.name
            );
        }
        self.note(kind(&parsed));
    }

    /// Counts something that was checked.
    pub fn note(&mut self, what: &'static str) {
        self.checked += 1;
        *self.seen.entry(what).or_default() += 1;
    }

    /// Says what was seen.
    ///
    /// # Panics
    ///
    /// When that is not so many frames, or other kinds of them than these.
    pub fn end(self, size: u64, kinds: &[&str]) {
        println!("{}: {size}, {:?}", self.name, self.seen);
        assert_eq!(self.checked, size, "{}: the size", self.name);
        let seen: Vec<_> = self.seen.into_keys().collect();
        assert_eq!(
            seen, kinds,
            "{}: what occurs, in alphabetical order",
            self.name
        );
    }
}

fn kind(parsed: &Parsed) -> &'static str {
    match parsed {
        Parsed::Packet(_) => "ports",
        Parsed::Portless(portless) => portless.reason.name(),
        Parsed::Unreadable(unreadable) => unreadable.reason.name(),
    }
}

/// Whether the reader of common frames finds what the parser finds, or nothing.
fn agrees_with_plain(frame: &[u8], parsed: &Parsed) -> bool {
    plain(frame).is_none_or(|packet| *parsed == Parsed::Packet(packet))
}

/// Whether both say the same, to the last field.
fn agree(frame: &[u8], parsed: &Parsed, reading: &Reading) -> bool {
    match (parsed, reading) {
        (Parsed::Portless(portless), Reading::NotIp) => {
            portless.reason == Uninspected::NotIp && portless.source.is_none()
        }
        (Parsed::Unreadable(unreadable), Reading::Unreadable(cause, at)) => {
            is_broken(unreadable, cause.name(), *at) && unreadable.addresses.is_none()
        }
        (_, Reading::Datagram(datagram)) => agree_on_datagram(frame, parsed, datagram),
        _ => false,
    }
}

fn agree_on_datagram(frame: &[u8], parsed: &Parsed, datagram: &Datagram) -> bool {
    let (source, destination) = (datagram.source.into(), datagram.destination.into());
    match (parsed, &datagram.content) {
        (Parsed::Portless(portless), Content::LaterFragment) => {
            is_portless(portless, Uninspected::Fragment, datagram)
        }
        (Parsed::Portless(portless), Content::Portless) => {
            is_portless(portless, Uninspected::NoPorts, datagram)
        }
        (Parsed::Unreadable(unreadable), Content::Hidden(cause)) => {
            is_broken(unreadable, cause.name(), datagram.at)
                && unreadable.addresses == Some((source, destination))
        }
        (Parsed::Packet(packet), Content::Segment(segment)) => {
            packet.endpoints(frame)
                == Some(Endpoints {
                    source,
                    destination,
                })
                && packet.ip_offset as usize == datagram.at
                && agree_on_segment(packet, segment)
        }
        _ => false,
    }
}

fn is_portless(portless: &Portless, reason: Uninspected, datagram: &Datagram) -> bool {
    portless.reason == reason
        && portless.source == Some(datagram.source.into())
        && portless.ip_offset as usize == datagram.at
}

fn is_broken(unreadable: &Unreadable, cause: &str, at: usize) -> bool {
    unreadable.reason.name() == cause && unreadable.ip_offset as usize == at
}

fn agree_on_segment(packet: &Packet, segment: &Segment) -> bool {
    let opens = packet.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN;
    packet.protocol.name() == segment.transport.name()
        && packet.source_port == segment.source_port
        && packet.destination_port == segment.destination_port
        && opens == segment.opens_connection
        && (packet.protocol == Protocol::Tcp || packet.tcp_flags == 0)
}
