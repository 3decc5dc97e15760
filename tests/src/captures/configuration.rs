//! Configurations in which the ends of other people's conversations are
//! customers, servers and strangers.
//!
//! A provider's own configuration says nothing of the addresses in a capture,
//! and would pass nearly every frame of it. These are made of the addresses and
//! ports that occur.

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use crate::oracle::reading::{Content, Reading, Transport, read};

/// The interface of role `customer`.
pub const CUSTOMERS: &str = "eth1";
/// The interface of role `network`.
pub const NETWORK: &str = "eth0";

/// One configuration is made for each. Addresses play another part in each.
pub const RETURN_TRAFFIC: [&str; 3] = ["track", "syn", "drop"];

/// What rule 7 does in each of them.
const SOURCES: [&str; 3] = ["any", "monitor", "pools"];

/// So many of the addresses that occur most play a part; the rest are strangers.
const ADDRESSES: usize = 384;

/// So many of the ports that occur most are forbidden, and as many of those
/// from 1024 up, which answers come to.
const PORTS: usize = 10;

/// Where mail goes if nothing in some frames is TCP: a list of no ports is a mistake.
const MAIL: u16 = 25;

/// What an address can be in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// In a dynamic pool.
    Dynamic,
    /// In a virtual POP.
    VirtualPop,
    /// In a pool that is only monitored.
    Monitored,
    /// In a static pool, without any exemption.
    Static,
    /// In a static pool, with exemptions for every other port.
    Exempted,
    /// The same, and free to send mail.
    Sender,
    /// A mail server, in a static pool.
    MailServer,
    /// In no pool.
    Stranger,
}

/// In this order parts are dealt out.
const PARTS: [Part; 8] = [
    Part::Dynamic,
    Part::Exempted,
    Part::VirtualPop,
    Part::Static,
    Part::Stranger,
    Part::Monitored,
    Part::Sender,
    Part::MailServer,
];

/// The tables of the configuration that have prefixes, and whose.
const TABLES: [(&str, &[Part]); 6] = [
    (
        "[[pool]]\nname = \"dynamic\"\nkind = \"dynamic\"",
        &[Part::Dynamic],
    ),
    (
        "[[pool]]\nname = \"vpop\"\nkind = \"virtual-pop\"",
        &[Part::VirtualPop],
    ),
    (
        "[[pool]]\nname = \"monitored\"\nkind = \"dynamic\"\nenforcement = \"monitor\"",
        &[Part::Monitored],
    ),
    (
        "[[pool]]\nname = \"static\"\nkind = \"static\"",
        &[Part::Static, Part::Exempted, Part::Sender, Part::MailServer],
    ),
    (
        "[[customer]]\nname = \"exempted\"\nallow_inbound = EXEMPTED",
        &[Part::Exempted],
    ),
    (
        "[[customer]]\nname = \"sender\"\nallow_smtp_out = true\nallow_inbound = EXEMPTED",
        &[Part::Sender],
    ),
];

/// Who talks to whom in some frames, and on which ports.
#[derive(Debug, Default)]
pub struct Census {
    addresses: BTreeMap<IpAddr, usize>,
    ports: BTreeMap<u16, usize>,
    tcp_ports: BTreeMap<u16, usize>,
}

impl Census {
    /// Counts a frame.
    pub fn add(&mut self, frame: &[u8]) {
        let Reading::Datagram(datagram) = read(frame) else {
            return;
        };
        for address in [datagram.source, datagram.destination] {
            *self.addresses.entry(address).or_default() += 1;
        }
        if let Content::Segment(segment) = datagram.content {
            *self.ports.entry(segment.destination_port).or_default() += 1;
            // Flows that leave from there may be answered.
            *self.ports.entry(segment.source_port).or_default() += 1;
            if segment.transport == Transport::Tcp {
                *self.tcp_ports.entry(segment.destination_port).or_default() += 1;
            }
        }
    }

    /// The configuration number `turn` of [`RETURN_TRAFFIC`].
    pub fn configuration(&self, turn: usize) -> String {
        let mut forbidden = most(&self.ports, PORTS, |port| *port > 0);
        forbidden.extend(most(&self.ports, PORTS, |port| *port >= 1024));
        forbidden.sort_unstable();
        forbidden.dedup();
        let mut mail = most(&self.tcp_ports, 2, |port| *port > 0);
        if mail.is_empty() {
            mail.push(MAIL);
        }
        let exempted: Vec<_> = forbidden.iter().step_by(2).collect();

        let may_have = |address: &IpAddr| is_somebodys(*address);
        let addresses = most(&self.addresses, ADDRESSES, may_have);
        let parts = PARTS.iter().cycle().skip(3 * turn);
        let cast: Vec<_> = addresses.iter().zip(parts).collect();
        let prefixes = |wanted: &[Part]| -> Vec<String> {
            let chosen = cast.iter().filter(|(_, part)| wanted.contains(part));
            chosen.map(|(address, _)| address.to_string()).collect()
        };

        let mut text = format!(
            "[[interface]]\nname = {CUSTOMERS:?}\nrole = \"customer\"\nsources = {:?}\n\
             [[interface]]\nname = {NETWORK:?}\nrole = \"network\"\n\
             [ports]\nforbidden = {forbidden:?}\nreturn_traffic = {:?}\n\
             [mail]\nservers = {:?}\nports = {mail:?}\n",
            SOURCES[turn],
            RETURN_TRAFFIC[turn],
            prefixes(&[Part::MailServer]),
        );
        for (table, wanted) in TABLES {
            let table = table.replace("EXEMPTED", &format!("{exempted:?}"));
            match prefixes(wanted) {
                none if none.is_empty() => {}
                prefixes => text.push_str(&format!("{table}\nprefixes = {prefixes:?}\n")),
            }
        }
        text
    }
}

/// Whether a customer or a server may have it: every configuration refuses all others, so
/// they are strangers.
fn is_somebodys(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(address.octets(), [0 | 127 | 224.., ..] | [169, 254, ..]),
        IpAddr::V6(address) => !matches!(
            address.segments(),
            // Unspecified and loopback, IPv4-mapped, link-local, multicast.
            [0, 0, 0, 0, 0, 0, 0, 0 | 1]
                | [0, 0, 0, 0, 0, 0xffff, ..]
                | [0xfe80..=0xfebf | 0xff00.., ..]
        ),
    }
}

/// The keys that occur most, in their own order.
fn most<K: Copy + Ord>(
    counts: &BTreeMap<K, usize>,
    n: usize,
    may_have: impl Fn(&K) -> bool,
) -> Vec<K> {
    let mut keys: Vec<_> = counts.iter().filter(|(key, _)| may_have(key)).collect();
    keys.sort_by_key(|(_, count)| Reverse(**count));
    let mut keys: Vec<_> = keys.into_iter().take(n).map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys
}
