//! Whole frames.

use std::net::IpAddr;

use proptest::{prelude::*, sample::Index};

use super::{
    bytes,
    chain::{Extension, chain, fragment_offset, in_front_of},
    lie::{Lie, lie},
    link::{Link, Session, link},
    place::{End, Targets, end},
    transport::{Transport, transport},
};

/// A frame.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Frame {
    /// Where it arrives.
    #[arbitrary(with = bytes::index)]
    pub interface: Index,
    /// Whether it should rather arrive from customers.
    pub from_customers: bool,
    link: Link,
    header: Header,
    chain: Vec<Extension>,
    transport: Transport,
    #[arbitrary(with = bytes::verbatim)]
    padding: Vec<u8>,
    #[arbitrary(with = bytes::perhaps_index)]
    cut: Option<Index>,
    #[arbitrary(with = bytes::damage)]
    damage: Option<(Index, u8)>,
    /// Only the program in the kernel can tell.
    #[arbitrary(value = None)]
    split: Option<Index>,
}

/// What the program reads of a frame in several buffers.
const HEAD: usize = 512;

/// An IP header.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
struct Header {
    is_ipv6: bool,
    source: End,
    destination: End,
    /// Version and IHL, where they are not as they should be.
    first: Option<u8>,
    /// IPv4: options, in words.
    options: Vec<[u8; 4]>,
    /// IPv4: the fragment offset.
    offset: u16,
    /// IPv4: the three flags before it.
    flags: u16,
    length: Lie,
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The sender's address and port.
    pub source: (IpAddr, u16),
    /// The receiver's.
    pub destination: (IpAddr, u16),
    /// The IP protocol number.
    pub protocol: u8,
}

fn header() -> impl Strategy<Value = Header> {
    // No operation, end of options, source route, and what looks like ports.
    let word = prop::sample::select(vec![[1, 1, 1, 1], [0; 4], [131, 3, 4, 0], [0, 25, 0, 80]]);
    let count = prop_oneof![6 => Just(0_usize), 1 => Just(10), 2 => 1..=10_usize];
    let options = count.prop_flat_map(move |count| prop::collection::vec(word.clone(), count));
    let first = prop_oneof![
        // Each IHL of IPv4, IPv6, and anything.
        3 => 0x40..=0x4f_u8,
        1 => Just(0x60),
        1 => any::<u8>(),
    ];
    let offset = prop_oneof![8 => Just(0_u16), 1 => fragment_offset()];
    (
        (any::<bool>(), end(true), end(false)),
        prop::option::weighted(0.03, first),
        options,
        (offset, 0..8_u16),
        lie(),
    )
        .prop_map(
            |((is_ipv6, source, destination), first, options, (offset, flags), length)| Header {
                is_ipv6,
                source,
                destination,
                first,
                options,
                offset,
                flags,
                length,
            },
        )
}

/// Draws a frame.
pub fn frame() -> impl Strategy<Value = Frame> {
    let padding = prop_oneof![
        4 => Just(vec![]),
        1 => prop::collection::vec(Just(0_u8), 1..=46),
        1 => prop::collection::vec(prop::sample::select(vec![0_u8, 25, 80, 255]), 1..=46),
    ];
    // Chains are common in IPv6; in IPv4 only AH is one.
    let arrival = (any::<Index>(), any::<bool>());
    (
        arrival,
        link(),
        header(),
        (chain(), prop::bool::weighted(0.1)),
        transport(),
        padding,
        prop::option::weighted(0.04, any::<Index>()),
        prop::option::weighted(0.03, (any::<Index>(), any::<u8>())),
        prop::option::weighted(0.2, any::<Index>()),
    )
        .prop_map(
            |(
                arrival,
                link,
                header,
                (chain, any_chain),
                transport,
                padding,
                cut,
                damage,
                split,
            )| {
                let (interface, from_customers) = arrival;
                let has_chain = header.is_ipv6 || any_chain;
                Frame {
                    interface,
                    from_customers,
                    link,
                    header,
                    chain: if has_chain { chain } else { Vec::new() },
                    transport,
                    padding,
                    cut,
                    damage,
                    split,
                }
            },
        )
}

impl Frame {
    /// The interface that it arrives at.
    pub fn interface<'t>(&self, targets: &'t Targets) -> &'t String {
        let names = if self.from_customers {
            &targets.customer_interfaces
        } else {
            &targets.interfaces
        };
        self.interface.get(names)
    }

    /// Who talks to whom in it, if it is left alone.
    pub fn conversation(&self, targets: &Targets) -> Conversation {
        let Header {
            is_ipv6,
            source,
            destination,
            ..
        } = &self.header;
        Conversation {
            source: source.find(targets, *is_ipv6),
            destination: destination.find(targets, *is_ipv6),
            protocol: self.transport.protocol,
        }
    }

    /// The frame, with these addresses and ports.
    pub fn bytes(&self, conversation: &Conversation) -> Vec<u8> {
        let (source, destination) = (conversation.source, conversation.destination);
        let segment = self.transport.bytes(source.1, destination.1);
        let (next, payload) = in_front_of(&self.chain, conversation.protocol, &segment);
        let mut datagram = match (source.0, destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.header
                    .ipv4(next, source.octets(), destination.octets(), payload.len())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.header
                    .ipv6(next, source.octets(), destination.octets(), payload.len())
            }
            _ => panic!("{conversation:?} is between two families"),
        };
        datagram.extend(payload);
        datagram.extend(&self.padding);
        let mut frame = self.link.around(source.0.is_ipv6(), &datagram);
        if let Some((place, change)) = &self.damage {
            let place = place.index(frame.len());
            frame[place] ^= change;
        }
        if let Some(cut) = &self.cut {
            frame.truncate(cut.index(frame.len() + 1));
        }
        frame
    }

    /// How much of it is in the first buffer, where it comes in several.
    pub fn first_buffer(&self, bytes: &[u8]) -> Option<usize> {
        let split = self.split.as_ref()?;
        (1..=HEAD)
            .contains(&bytes.len())
            .then(|| split.index(bytes.len()))
    }

    /// What is remarkable about it.
    pub fn shapes(&self, conversation: &Conversation) -> Vec<&'static str> {
        let is_ipv6 = conversation.source.0.is_ipv6();
        let mut shapes = vec![if is_ipv6 { "IPv6" } else { "IPv4" }];
        let mut note = |is_so: bool, shape| {
            if is_so {
                shapes.push(shape);
            }
        };
        note(conversation.protocol == 6, "TCP");
        note(conversation.protocol == 17, "UDP");
        note(conversation.protocol == 132, "SCTP");
        note(conversation.protocol == 33, "DCCP");
        note(conversation.protocol == 136, "UDP-Lite");
        let tags = self.link.tags.len();
        note(tags == 1, "1 VLAN tag");
        note(tags == 2, "2 VLAN tags");
        note(tags > 2, "3 or 4 VLAN tags");
        note(
            self.link
                .tags
                .iter()
                .any(|(kind, _)| [0x9100, 0x9200].contains(kind)),
            "old service tag",
        );
        let session = self.link.session.as_ref();
        note(session.is_some(), "PPPoE");
        note(
            session.is_some_and(Session::has_address_and_control),
            "PPP address and control",
        );
        note(
            session.is_some_and(|session| (2..=4).contains(&session.zeros())),
            "2 to 4 PPP zeros",
        );
        note(
            session.is_some_and(|session| session.zeros() > 4),
            "too many PPP zeros",
        );
        note(self.link.kind.is_some(), "odd EtherType");
        note(!is_ipv6 && !self.header.options.is_empty(), "IPv4 options");
        let is_fragment = !is_ipv6 && self.header.offset > 0;
        let headers = self.chain.iter();
        let is_later = |e: &Extension| e.number == 44 && e.fragment >> 3 > 0;
        note(
            is_fragment || headers.clone().any(is_later),
            "later fragment",
        );
        note(headers.clone().any(|e| e.number == 44), "fragment header");
        note(headers.clone().any(|e| e.number == 51), "AH");
        note(
            (1..=8).contains(&self.chain.len()),
            "1 to 8 extension headers",
        );
        note(self.chain.len() > 8, "9 to 12 extension headers");
        note(self.header.first.is_some(), "odd version or IHL");
        note(self.header.length.is_told(), "a length that lies");
        let lies = self.chain.iter().any(|e| e.length.is_some());
        note(lies, "an extension length that lies");
        note(self.transport.length < 24, "short transport header");
        note(!self.padding.is_empty(), "padding");
        note(self.split.is_some(), "in several buffers");
        note(self.cut.is_some(), "cut off");
        note(self.damage.is_some(), "a damaged byte");
        shapes
    }
}

impl Header {
    fn ipv4(&self, next: u8, source: [u8; 4], destination: [u8; 4], payload: usize) -> Vec<u8> {
        let length = 20 + 4 * self.options.len();
        let mut bytes = vec![0; 20];
        bytes[0] = self.first.unwrap_or(0x40 | (length / 4) as u8);
        bytes[2..4].copy_from_slice(&self.length.of(length + payload).to_be_bytes());
        bytes[6..8].copy_from_slice(&(self.flags << 13 | self.offset).to_be_bytes());
        bytes[8] = 64;
        bytes[9] = next;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        bytes.extend(self.options.as_flattened());
        bytes
    }

    fn ipv6(&self, next: u8, source: [u8; 16], destination: [u8; 16], payload: usize) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[0] = self.first.unwrap_or(0x60);
        bytes[4..6].copy_from_slice(&self.length.of(payload).to_be_bytes());
        bytes[6] = next;
        bytes[7] = 64;
        bytes[8..24].copy_from_slice(&source);
        bytes[24..40].copy_from_slice(&destination);
        bytes
    }
}
