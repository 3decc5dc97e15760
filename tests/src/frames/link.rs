//! What surrounds a datagram, and frames that hold none.

use etherparse::{EtherType, Ethernet2Header};

use super::Arrival;

/// EtherType numbers (IEEE 802, RFC 2516).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// The customer tag of IEEE 802.1Q.
    pub const VLAN: u16 = 0x8100;
    /// The service tag of IEEE 802.1ad.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// What it was before that.
    pub const OLD_SERVICE_VLAN: u16 = 0x9100;
    /// The same, elsewhere.
    pub const OTHER_OLD_SERVICE_VLAN: u16 = 0x9200;
    /// All four.
    pub const TAGS: [u16; 4] = [VLAN, SERVICE_VLAN, OLD_SERVICE_VLAN, OTHER_OLD_SERVICE_VLAN];
    /// PPPoE discovery.
    pub const PPPOE_DISCOVERY: u16 = 0x8863;
    /// A PPPoE session.
    pub const PPPOE_SESSION: u16 = 0x8864;
    /// The link layer discovery protocol.
    pub const LLDP: u16 = 0x88cc;
}

/// The Ethernet address of every sender.
const SOURCE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The Ethernet address that every frame is for.
const DESTINATION: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// The headers between Ethernet's addresses and the datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The kind and the tag control information of each tag, outermost first.
    pub tags: Vec<(u16, u16)>,
    /// What PPP begins with, in a PPPoE session: its protocol field, and what may
    /// stand before that.
    pub ppp: Option<Vec<u8>>,
}

impl Link {
    /// A frame with this payload, which is of kind `kind`. A PPP protocol field
    /// takes the place of the kind.
    pub fn arrival(&self, kind: u16, payload: &[u8]) -> Arrival {
        let mut kinds: Vec<u16> = self.tags.iter().map(|(kind, _)| *kind).collect();
        kinds.push(self.ppp.as_ref().map_or(kind, |_| ethertype::PPPOE_SESSION));

        let mut bytes = ethernet_header(kinds[0]);
        for ((_, control), inner) in self.tags.iter().zip(&kinds[1..]) {
            bytes.extend_from_slice(&control.to_be_bytes());
            bytes.extend_from_slice(&inner.to_be_bytes());
        }
        if let Some(protocol) = &self.ppp {
            bytes.extend_from_slice(&session_header(protocol.len() + payload.len()));
            bytes.extend_from_slice(protocol);
        }
        let ip_offset = bytes.len();
        bytes.extend_from_slice(payload);
        Arrival { bytes, ip_offset }
    }
}

/// A frame that is nothing but Ethernet with a payload.
pub fn ethernet(kind: u16, payload: &[u8]) -> Arrival {
    Link::default().arrival(kind, payload)
}

fn ethernet_header(kind: u16) -> Vec<u8> {
    let header = Ethernet2Header {
        source: SOURCE,
        destination: DESTINATION,
        ether_type: EtherType(kind),
    };
    header.to_bytes().to_vec()
}

/// RFC 2516, section 4: version 1, type 1, code 0, session 7, the length.
fn session_header(length: usize) -> [u8; 6] {
    let [high, low] = (length as u16).to_be_bytes();
    [0x11, 0, 0, 7, high, low]
}
