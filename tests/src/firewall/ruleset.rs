//! A configuration, in nft's words.
//!
//! nft has no longest match. The address space is cut at both ends of every
//! prefix, and for each piece the directory says who lives there; nft finds
//! the piece, the ports and the flags.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use filter_common::{ReturnTraffic, Role, Sources};
use ipnet::IpNet;
use policy::config::{Config, PortSpec};

use crate::{
    generate::setup::NOW,
    oracle::{Transport, directory::Directory},
};

const TRANSPORTS: [(Transport, u8); 5] = [
    (Transport::Tcp, 6),
    (Transport::Udp, 17),
    (Transport::Dccp, 33),
    (Transport::Sctp, 132),
    (Transport::UdpLite, 136),
];

/// The rules of a configuration without a memory of flows.
pub fn ruleset(config: &Config) -> String {
    assert_ne!(
        config.ports.return_traffic,
        ReturnTraffic::Track,
        "nft is not asked to remember"
    );
    let directory = Directory::new(config, NOW.parse().unwrap());
    let mut rules = Rules {
        directory,
        chains: BTreeMap::new(),
    };
    let pieces = pieces(config);
    let towards = rules.map(&pieces, "daddr", |rules, address| rules.towards(address));
    let sent_by = rules.map(&pieces, "saddr", |rules, address| rules.sent_by(address));

    let mut text = String::from("table netdev poolguard {\n");
    for (body, name) in &rules.chains {
        let _ = writeln!(text, "chain {name} {{\n{body}}}");
    }
    // A mail server is reachable for mail whoever sends it.
    let servers = rules.map(&pieces, "daddr", |rules, address| {
        let is_server = rules.directory.is_mail_server(address);
        is_server.then(|| "accept".to_owned())
    });
    let _ = writeln!(text, "chain mail_to_servers {{\n{servers}}}");
    let _ = writeln!(text, "chain mail_from_customers {{\n{sent_by}drop\n}}");
    let in_pools = rules.map(&pieces, "saddr", |rules, address| {
        let pool = rules.directory.pool(address);
        pool.map(|_| "goto mail_from_customers".to_owned())
    });
    let _ = writeln!(text, "chain mail_from_pools {{\n{in_pools}}}");
    let _ = writeln!(text, "chain towards_customers {{\n{towards}}}");
    let mail = numbers(config.mail.ports.iter().copied());
    let replied_to = rules.map(&pieces, "daddr", |rules, address| rules.replied_to(address));
    let from_servers = rules.map(&pieces, "saddr", |rules, address| {
        let is_server = rules.directory.is_mail_server(address);
        is_server.then(|| "return".to_owned())
    });
    let _ = writeln!(text, "chain replies {{\n{from_servers}{replied_to}}}");
    let known = rules.map(&pieces, "saddr", |rules, address| {
        rules.directory.pool(address).map(|_| "return".to_owned())
    });
    // RFC 3927; RFC 4291.
    let _ = writeln!(
        text,
        "chain known_sources {{\nip saddr {{ 0.0.0.0, 169.254.0.0/16 }} return\n\
         ip6 saddr {{ ::, fe80::/10 }} return\n{known}meta protocol {{ ip, ip6 }} drop\n}}"
    );
    let replies = match config.mail.direct_smtp || config.mail.smtp_replies {
        true => String::new(),
        false => format!("tcp sport {mail} jump replies"),
    };
    for interface in &config.interfaces {
        let name = &interface.name;
        let _ = writeln!(
            text,
            "chain {name} {{\ntype filter hook ingress device {name} priority 0; policy accept;"
        );
        if !config.monitor {
            if interface.sources == Sources::Pools {
                text.push_str("jump known_sources\n");
            }
            // Where nft sees frames before the rest of the kernel it does not
            // tell later fragments of IPv4 from others, and takes what is in
            // them for ports. In IPv6 it does.
            text.push_str("ip frag-off & 0x1fff != 0 accept\n");
            let _ = writeln!(text, "{replies}");
            let _ = writeln!(text, "tcp dport {mail} jump mail_to_servers");
            let mail_from_customers = match interface.role {
                Role::Customer => Some("jump mail_from_customers"),
                Role::Mixed => Some("jump mail_from_pools"),
                Role::Network => None,
            };
            if let Some(jump) = mail_from_customers.filter(|_| !config.mail.direct_smtp) {
                let _ = writeln!(text, "tcp dport {mail} {jump}");
            }
            text.push_str("jump towards_customers\n");
        }
        text.push_str("}\n");
    }
    text + "}\n"
}

struct Rules<'a> {
    directory: Directory<'a>,
    /// From what it says to its name: addresses with the same rules share one.
    chains: BTreeMap<String, String>,
}

impl Rules<'_> {
    /// What becomes of a frame for each piece of the address space.
    fn map(
        &mut self,
        pieces: &[Piece],
        field: &str,
        fate: impl Fn(&mut Self, IpAddr) -> Option<String>,
    ) -> String {
        let mut text = String::new();
        for (family, is_ipv6) in [("ip", false), ("ip6", true)] {
            let mut elements = Vec::new();
            for (first, last) in pieces
                .iter()
                .filter(|(first, _)| first.is_ipv6() == is_ipv6)
            {
                if let Some(fate) = fate(self, *first) {
                    elements.push(format!("{first}-{last} : {fate}"));
                }
            }
            if !elements.is_empty() {
                let elements = elements.join(",\n");
                let _ = writeln!(text, "{family} {field} vmap {{ {elements} }}");
            }
        }
        text
    }

    fn jump_to(&mut self, body: String) -> String {
        let next = format!("to_{}", self.chains.len());
        let name = self.chains.entry(body).or_insert(next);
        format!("jump {name}")
    }

    /// Rule 5: who may send mail.
    fn sent_by(&mut self, address: IpAddr) -> Option<String> {
        let exemptions = self.directory.exemptions(address);
        let pool = self.directory.pool(address);
        let may_send = self.directory.is_mail_server(address)
            || exemptions.is_some_and(|customer| customer.terms.allow_smtp_out)
            || pool.is_some_and(|pool| pool.monitor);
        may_send.then(|| "return".to_owned())
    }

    /// Rule 6: who may have sent the mail that is answered.
    fn replied_to(&mut self, address: IpAddr) -> Option<String> {
        let exemptions = self.directory.exemptions(address);
        self.directory.pool(address).filter(|pool| !pool.monitor)?;
        let may_send = self.directory.is_mail_server(address)
            || exemptions.is_some_and(|customer| customer.terms.allow_smtp_out);
        (!may_send).then(|| "drop".to_owned())
    }

    /// Rules 1 to 4: which ports are closed toward an address.
    fn towards(&mut self, address: IpAddr) -> Option<String> {
        let config = self.directory.config;
        let pool = self.directory.pool(address).filter(|pool| !pool.monitor)?;
        let exemptions = self.directory.exemptions(address);
        let mut body = String::new();
        for (transport, number) in TRANSPORTS {
            let open = exemptions.map_or(&[][..], |customer| &customer.terms.allow_inbound);
            let list = pool.forbidden.as_ref().unwrap_or(&config.ports.forbidden);
            let closed = ranges(list, transport);
            if closed.is_empty() {
                continue;
            }
            let mut rule = |ports: &str, rest: &str| {
                let _ = writeln!(body, "meta l4proto {number} th dport {ports} {rest}");
            };
            // Ranges are nft's own, as they are written.
            for range in ranges(open, transport) {
                rule(&range, "return");
            }
            let opening = match (config.ports.return_traffic, transport) {
                (ReturnTraffic::Syn, Transport::Tcp) => Some("tcp flags & (syn | ack) == syn"),
                (ReturnTraffic::Syn, Transport::Udp) => Some(""),
                (ReturnTraffic::Syn, _) => None,
                _ => Some(""),
            };
            for range in closed {
                rule(&range, "th dport < 1024 drop");
                if let Some(flags) = opening {
                    rule(&range, &format!("th dport >= 1024 {flags} drop"));
                }
            }
        }
        (!body.is_empty()).then(|| self.jump_to(body))
    }
}

/// First and last address.
type Piece = (IpAddr, IpAddr);

/// The address space, cut where any prefix begins or ends.
fn pieces(config: &Config) -> Vec<Piece> {
    let pools = config.pools.iter().flat_map(|pool| &pool.prefixes);
    let customers = config.customers.iter().flat_map(|c| &c.prefixes);
    let prefixes: Vec<&IpNet> = pools.chain(customers).chain(&config.mail.servers).collect();
    let mut pieces = Vec::new();
    for is_ipv6 in [false, true] {
        let highest = if is_ipv6 { u128::MAX } else { u32::MAX.into() };
        let mut starts = vec![0];
        for prefix in prefixes.iter().filter(|p| p.addr().is_ipv6() == is_ipv6) {
            starts.push(bits(prefix.network()));
            starts.extend(bits(prefix.broadcast()).checked_add(1));
        }
        starts.retain(|start| *start <= highest);
        starts.sort_unstable();
        starts.dedup();
        let ends = starts[1..].iter().map(|next| next - 1).chain([highest]);
        let address = |bits: u128| match is_ipv6 {
            true => IpAddr::V6(bits.into()),
            false => IpAddr::V4((bits as u32).into()),
        };
        pieces.extend(
            starts
                .iter()
                .zip(ends)
                .map(|(first, last)| (address(*first), address(last))),
        );
    }
    pieces
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// What a list names for a transport protocol.
fn ranges(list: &[PortSpec], transport: Transport) -> Vec<String> {
    let named = list.iter().filter(|spec| {
        spec.protocol
            .is_none_or(|only| only.name() == transport.name())
    });
    named.map(|spec| spec.ports.to_string()).collect()
}

fn numbers(ports: impl Iterator<Item = u16>) -> String {
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    format!("{{ {} }}", ports.join(", "))
}
