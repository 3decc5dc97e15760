//! Addresses and ports, relative to a configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy::config::{Config, PortSpec};
use proptest::{prelude::*, sample::Index};

use super::{bytes, prefix::host};

/// What there is to aim at in a configuration.
#[derive(Clone, Debug)]
pub struct Targets {
    v4: Vec<IpNet>,
    v6: Vec<IpNet>,
    ports: Vec<u16>,
    mail_ports: Vec<u16>,
    aims: Vec<Aim>,
    /// The names of the interfaces.
    pub interfaces: Vec<String>,
    /// The names of those that face customers.
    pub customer_interfaces: Vec<String>,
}

impl Targets {
    /// All prefixes and all ports that are named, and an address and a port
    /// that nobody has named.
    pub fn new(config: &Config) -> Self {
        let pools = config.pools.iter().flat_map(|pool| &pool.prefixes);
        let customers = config.customers.iter().flat_map(|c| &c.prefixes);
        let all = pools.chain(customers).chain(&config.mail.servers);
        let (mut v4, mut v6): (Vec<IpNet>, Vec<IpNet>) =
            all.partition(|prefix| prefix.addr().is_ipv4());
        v4.push("192.0.2.0/24".parse().unwrap());
        v6.push("2001:db8:ff00::/40".parse().unwrap());
        let lists = config.pools.iter().filter_map(|p| p.forbidden.as_ref());
        let lists = lists.chain([&config.ports.forbidden]).flatten();
        let mut ports: Vec<u16> = lists.flat_map(ends).collect();
        ports.extend(&config.mail.ports);
        ports.push(40_000);
        ports.sort_unstable();
        ports.dedup();
        let interfaces = config.interfaces.iter();
        let facing = interfaces
            .clone()
            .filter(|interface| interface.role.faces_customers());
        Self {
            v4,
            v6,
            ports,
            mail_ports: config.mail.ports.clone(),
            aims: aims(config),
            interfaces: interfaces.map(|i| i.name.clone()).collect(),
            customer_interfaces: facing.map(|i| i.name.clone()).collect(),
        }
    }
}

/// A port, or the first, the last and the middle one of a range.
fn ends(spec: &PortSpec) -> Vec<u16> {
    let (first, last) = (spec.ports.first(), spec.ports.last());
    let mut ends = vec![first, first.midpoint(last), last];
    ends.dedup();
    ends
}

/// A prefix and a port that mean something together.
type Aim = (IpNet, u16);

/// What a pool forbids, a customer is exempted for, a mail server listens on.
fn aims(config: &Config) -> Vec<Aim> {
    let cross = |prefixes: &[IpNet], ports: Vec<u16>| -> Vec<Aim> {
        let each = prefixes
            .iter()
            .flat_map(|prefix| ports.iter().map(|port| (*prefix, *port)));
        each.collect()
    };
    let numbers = |specs: &[PortSpec]| specs.iter().flat_map(ends).collect();
    let pools = config.pools.iter().flat_map(|pool| {
        let list = pool.forbidden.as_ref().unwrap_or(&config.ports.forbidden);
        cross(&pool.prefixes, numbers(list))
    });
    let customers = config.customers.iter().flat_map(|customer| {
        let ports = [
            numbers(&customer.terms.allow_inbound),
            config.mail.ports.clone(),
        ];
        cross(&customer.prefixes, ports.concat())
    });
    let servers = cross(&config.mail.servers, config.mail.ports.clone());
    pools.chain(customers).chain(servers).collect()
}

impl Targets {
    /// Whether what leaves here from this port is worth an answer.
    pub fn opens(&self, interface: &String, source_port: u16) -> bool {
        let is_named = self.aims.iter().any(|(_, port)| *port == source_port);
        source_port >= 1024 && is_named && self.customer_interfaces.contains(interface)
    }

    /// The aims of a family, those from 1024 up alone if `is_high`.
    fn aim(&self, which: &Index, is_ipv6: bool, is_high: bool) -> Option<Aim> {
        let fits = |(prefix, port): &&Aim| {
            prefix.addr().is_ipv6() == is_ipv6 && (*port >= 1024 || !is_high)
        };
        let count = self.aims.iter().filter(fits).count();
        let number = (count > 0).then(|| which.index(count))?;
        self.aims.iter().filter(fits).nth(number).copied()
    }
}

/// An address and a port.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct End {
    address: Address,
    port: Port,
    /// Rather one of the aims.
    #[arbitrary(with = bytes::perhaps_index)]
    aim: Option<Index>,
    is_high: bool,
}

/// Draws one. Answers come to ports from 1024 up: the sender's is one of those.
pub fn end(is_sender: bool) -> impl Strategy<Value = End> {
    let often = if is_sender { 0.3 } else { 0.5 };
    (
        address(),
        port(),
        prop::option::weighted(often, any::<Index>()),
    )
        .prop_map(move |(address, port, aim)| End {
            address,
            port,
            aim,
            is_high: is_sender,
        })
}

impl End {
    /// In a configuration.
    pub fn find(&self, targets: &Targets, is_ipv6: bool) -> (IpAddr, u16) {
        let aim = self.aim.as_ref();
        match aim.and_then(|aim| targets.aim(aim, is_ipv6, self.is_high)) {
            Some((prefix, port)) => (self.address.near(&prefix), port),
            None => (self.address.find(targets, is_ipv6), self.port.find(targets)),
        }
    }
}

/// An address near a prefix.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
struct Address {
    #[arbitrary(with = bytes::index)]
    prefix: Index,
    spot: Spot,
}

#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
enum Spot {
    Inside(u128),
    First,
    Last,
    Before,
    After,
    Anywhere(u128),
    /// What a host without an address sends from.
    Unspecified,
    /// On the link alone, or beside such an address.
    NearLinkLocal(u128),
}

/// Draws one: mostly inside, often at the edges and beside them.
fn address() -> impl Strategy<Value = Address> {
    let spot = prop_oneof![
        12 => any::<u128>().prop_map(Spot::Inside),
        4 => Just(Spot::First),
        4 => Just(Spot::Last),
        1 => Just(Spot::Before),
        1 => Just(Spot::After),
        1 => any::<u128>().prop_map(Spot::Anywhere),
        1 => Just(Spot::Unspecified),
        1 => any::<u128>().prop_map(Spot::NearLinkLocal),
    ];
    (any::<Index>(), spot).prop_map(|(prefix, spot)| Address { prefix, spot })
}

impl Address {
    /// In a configuration.
    fn find(&self, targets: &Targets, is_ipv6: bool) -> IpAddr {
        let prefixes = if is_ipv6 { &targets.v6 } else { &targets.v4 };
        self.near(self.prefix.get(prefixes))
    }

    /// Near this prefix.
    fn near(&self, prefix: &IpNet) -> IpAddr {
        match self.spot {
            Spot::Inside(bits) => host(prefix, bits),
            Spot::First => prefix.network(),
            Spot::Last => prefix.broadcast(),
            Spot::Before => next(prefix.network(), u128::MAX),
            Spot::After => next(prefix.broadcast(), 1),
            Spot::Anywhere(bits) => next(prefix.network(), bits),
            Spot::Unspecified => match prefix {
                IpNet::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpNet::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            },
            Spot::NearLinkLocal(bits) => {
                let around = match prefix {
                    IpNet::V4(_) => "169.252.0.0/14",
                    IpNet::V6(_) => "fe00::/8",
                };
                host(&around.parse().unwrap(), bits)
            }
        }
    }
}

/// So many addresses on, around the end of the address space.
pub fn next(address: IpAddr, by: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(address.to_bits().wrapping_add(by as u32).into()),
        IpAddr::V6(address) => IpAddr::V6(address.to_bits().wrapping_add(by).into()),
    }
}

/// A port near one that the configuration names.
#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
enum Port {
    /// One that is named, or the one so far from it.
    Named(#[arbitrary(with = bytes::index)] Index, i8),
    /// One of those from 1024 up.
    High(#[arbitrary(with = bytes::index)] Index),
    /// One that mail is sent to.
    Mail(#[arbitrary(with = bytes::index)] Index),
    /// Any.
    Any(u16),
}

/// Draws one.
fn port() -> impl Strategy<Value = Port> {
    let named = |off: i8| any::<Index>().prop_map(move |which| Port::Named(which, off));
    prop_oneof![
        10 => named(0),
        5 => any::<Index>().prop_map(Port::High),
        1 => named(-1),
        1 => named(1),
        3 => any::<Index>().prop_map(Port::Mail),
        2 => any::<u16>().prop_map(Port::Any),
    ]
}

impl Port {
    /// In a configuration.
    fn find(&self, targets: &Targets) -> u16 {
        match self {
            Self::Named(which, off) => which
                .get(&targets.ports)
                .wrapping_add_signed(i16::from(*off)),
            Self::High(which) => {
                let first = targets.ports.partition_point(|port| *port < 1024);
                // There is always the one that nobody named.
                *which.get(&targets.ports[first..])
            }
            Self::Mail(which) => *which.get(&targets.mail_ports),
            Self::Any(port) => *port,
        }
    }
}
