//! Ethernet, VLAN tags and PPPoE.

use proptest::prelude::*;

use super::bytes;

/// What surrounds a datagram.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Link {
    /// The kind and the control information of each VLAN tag.
    #[arbitrary(with = bytes::tags)]
    pub tags: Vec<(u16, u16)>,
    /// A PPPoE session.
    pub session: Option<Session>,
    /// Another EtherType than the right one.
    pub kind: Option<u16>,
}

/// A PPPoE session.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Session {
    /// All of its header, where it is not as it should be.
    pub header: Option<[u8; 6]>,
    /// The protocol field of PPP.
    pub protocol: Ppp,
}

/// The protocol field of PPP.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub enum Ppp {
    /// Two bytes, and right.
    Right,
    /// The same, compressed to one.
    Compressed,
    /// Something else.
    Other(Vec<u8>),
    /// The number in one byte, behind these. Fuzzers have [`Self::Other`] for it.
    #[arbitrary(skip)]
    Behind(Vec<u8>),
}

/// HDLC's address and control field (RFC 1662), which PPPoE has not.
const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];

/// Draws one: often plain Ethernet.
pub fn link() -> impl Strategy<Value = Link> {
    let kind = prop_oneof![
        12 => Just(0x8100_u16),
        12 => Just(0x88a8),
        // QinQ before it was standardised.
        6 => Just(0x9100),
        6 => Just(0x9200),
        // The same, but no tag of these rules.
        1 => Just(0x9300),
    ];
    let count =
        prop_oneof![24 => Just(0_usize), 6 => Just(1), 6 => Just(2), 1 => Just(3), 1 => Just(4)];
    let tags = count
        .prop_flat_map(move |count| prop::collection::vec((kind.clone(), any::<u16>()), count));
    // ARP, LLDP, MPLS, discovery, MACsec, 802.3 lengths, the other IP, a tag, a session.
    let wrong = prop::sample::select(vec![
        0x0806_u16, 0x88cc, 0x8847, 0x8863, 0x88e5, 0x0000, 0x05dc, 0x0600, 0x0800, 0x86dd, 0x8100,
        0x8864,
    ]);
    (
        tags,
        prop::option::weighted(0.2, session()),
        prop::option::weighted(0.02, wrong),
    )
        .prop_map(|(tags, session, kind)| Link {
            tags,
            session,
            kind,
        })
}

fn session() -> impl Strategy<Value = Session> {
    // LCP, IPCP, Van Jacobson, multilink, HDLC's address and control in front
    // of IP, of LCP and of themselves, single bytes, the numbers of IP with a bit
    // too many, and any.
    let known: Vec<Vec<u8>> = [
        &[0xc0, 0x21][..],
        &[0x80, 0x21],
        &[0x00, 0x2d],
        &[0x00, 0x3d],
        &[0xff, 0x03, 0x00, 0x21],
        &[0xff, 0x03, 0xc0, 0x21],
        &[0xff, 0x03, 0xff, 0x03, 0x00, 0x21],
        &[0x3d],
        &[0x01],
        &[0x00, 0x20],
        &[0x00, 0x57],
        &[0x21],
        &[0x57],
        &[0x20, 0x21],
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let other = prop_oneof![
        prop::sample::select(known),
        any::<[u8; 2]>().prop_map(|bytes| bytes.to_vec()),
    ];
    let zeros = prop_oneof![8 => 0..=4_usize, 1 => 5..=9_usize];
    let behind = (any::<bool>(), zeros).prop_map(|(has_field, zeros)| {
        let field = has_field.then_some(ADDRESS_AND_CONTROL);
        field.into_iter().flatten().chain(vec![0; zeros]).collect()
    });
    let protocol = prop_oneof![
        5 => Just(Ppp::Right),
        3 => Just(Ppp::Compressed),
        4 => behind.prop_map(Ppp::Behind),
        1 => other.prop_map(Ppp::Other),
    ];
    (prop::option::weighted(0.3, any::<[u8; 6]>()), protocol)
        .prop_map(|(header, protocol)| Session { header, protocol })
}

impl Link {
    /// The whole frame around a datagram.
    pub fn around(&self, is_ipv6: bool, datagram: &[u8]) -> Vec<u8> {
        let right = if is_ipv6 { 0x86dd } else { 0x0800 };
        let inner = if self.session.is_some() {
            0x8864
        } else {
            right
        };
        let mut kinds: Vec<u16> = self.tags.iter().map(|(kind, _)| *kind).collect();
        kinds.push(self.kind.unwrap_or(inner));

        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(kinds[0].to_be_bytes());
        for ((_, control), kind) in self.tags.iter().zip(&kinds[1..]) {
            frame.extend(control.to_be_bytes());
            frame.extend(kind.to_be_bytes());
        }
        if let Some(session) = &self.session {
            let protocol = session.protocol(is_ipv6);
            let length = (protocol.len() + datagram.len()) as u16;
            let [high, low] = length.to_be_bytes();
            frame.extend(session.header.unwrap_or([0x11, 0, 0, 7, high, low]));
            frame.extend(protocol);
        }
        frame.extend(datagram);
        frame
    }
}

impl Session {
    fn protocol(&self, is_ipv6: bool) -> Vec<u8> {
        let number = if is_ipv6 { 0x57 } else { 0x21 };
        match &self.protocol {
            Ppp::Right => vec![0, number],
            Ppp::Compressed => vec![number],
            Ppp::Other(bytes) => bytes.clone(),
            Ppp::Behind(bytes) => [&bytes[..], &[number]].concat(),
        }
    }

    /// Whether it has an address and control field.
    pub fn has_address_and_control(&self) -> bool {
        match &self.protocol {
            Ppp::Right | Ppp::Compressed => false,
            Ppp::Other(bytes) | Ppp::Behind(bytes) => bytes.starts_with(&ADDRESS_AND_CONTROL),
        }
    }

    /// How many zeros its protocol number begins with.
    pub fn zeros(&self) -> usize {
        match &self.protocol {
            Ppp::Right => 1,
            Ppp::Compressed => 0,
            Ppp::Other(bytes) | Ppp::Behind(bytes) => {
                let number = bytes.strip_prefix(&ADDRESS_AND_CONTROL).unwrap_or(bytes);
                number.iter().take_while(|byte| **byte == 0).count()
            }
        }
    }
}
