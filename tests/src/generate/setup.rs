//! Configurations: pools in pools, customers in customers, mail servers
//! anywhere, ports in lists of every shape.

use std::fmt::Write as _;

use arbitrary::Unstructured;
use ipnet::IpNet;
use proptest::{prelude::*, sample::Index};

use super::{
    bytes,
    prefix::{Nested, nested},
};

/// When configurations are loaded.
pub const NOW: &str = "2026-06-15T12:00:00Z";

/// Dates on both sides of [`NOW`], and the moment itself. A date holds through
/// its day.
pub(super) const EXPIRIES: [&str; 6] = [
    "2020-01-31",
    "2026-06-14",
    "2026-06-15",
    "2026-06-15T12:00:00Z",
    "2026-06-15T12:00:01Z",
    "2099-12-31",
];

/// Ports on both sides of 1024, the ends of the range, and neighbours.
pub(super) const PORTS: [u16; 12] = [
    25, 80, 443, 587, 1, 1023, 1024, 1080, 8000, 8080, 8081, 65_535,
];

pub(super) const PROTOCOLS: [&str; 5] = ["tcp", "udp", "sctp", "dccp", "udplite"];

const RETURN_TRAFFIC: [&str; 3] = ["track", "syn", "drop"];
pub(super) const SOURCES: [&str; 3] = ["any", "monitor", "pools"];
/// One is as likely again as the others.
pub(super) const ROLES: [&str; 4] = ["network", "network", "customer", "mixed"];
const KINDS: [&str; 4] = ["dynamic", "virtual-pop", "static", "static"];

/// A configuration, not yet written down.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub struct Setup {
    monitor: bool,
    #[arbitrary(with = bytes::perhaps_role)]
    more_interfaces: Vec<&'static str>,
    /// Of `eth0`.
    #[arbitrary(with = |u: &mut Unstructured| u.choose(&ROLES).copied())]
    role: &'static str,
    #[arbitrary(with = bytes::perhaps_ports)]
    forbidden: Option<Ports>,
    #[arbitrary(with = |u: &mut Unstructured| u.choose(&RETURN_TRAFFIC).copied())]
    return_traffic: &'static str,
    servers: Vec<Nested>,
    #[arbitrary(with = bytes::mail_ports)]
    mail_ports: Vec<u16>,
    direct_smtp: bool,
    smtp_replies: bool,
    /// Of `eth1`, and of the others that face customers.
    #[arbitrary(with = bytes::sources)]
    sources: [&'static str; 2],
    pools: Vec<Pool>,
    customers: Vec<Customer>,
}

#[derive(arbitrary::Arbitrary, Clone, Debug)]
struct Pool {
    #[arbitrary(with = |u: &mut Unstructured| u.choose(&KINDS).copied())]
    kind: &'static str,
    prefixes: Vec<Nested>,
    #[arbitrary(with = bytes::perhaps_ports)]
    forbidden: Option<Ports>,
    monitor: bool,
}

#[derive(arbitrary::Arbitrary, Clone, Debug)]
struct Customer {
    prefixes: Vec<Nested>,
    #[arbitrary(with = bytes::allowed)]
    allowed: Vec<(Index, Width)>,
    allow_smtp_out: bool,
    #[arbitrary(with = bytes::expires)]
    expires: Option<&'static str>,
}

/// A list of ports and ranges, the first and the last port of each: whole, or for some
/// protocols (a bit each) alone.
pub(super) type Ports = Vec<((u16, u16), u8)>;
const ALL_PROTOCOLS: u8 = 0;

/// How an exemption relates to the entry of the list that it is for.
#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
pub(super) enum Width {
    Same,
    WholePort,
    /// All ports of a range but the last one.
    Part,
    OneProtocol(#[arbitrary(with = |u: &mut Unstructured| u.choose_index(PROTOCOLS.len()))] usize),
}

fn ports() -> impl Strategy<Value = Ports> {
    let protocols = prop_oneof![3 => Just(ALL_PROTOCOLS), 1 => 1..32_u8];
    let port = || prop::sample::select(PORTS.to_vec());
    let range = prop_oneof![
        3 => port().prop_map(|port| (port, port)),
        2 => (port(), port()).prop_map(|(one, other)| range(one, other)),
    ];
    prop::collection::vec((range, protocols), 0..8).prop_map(|mut ports| {
        ports.sort_unstable();
        ports.dedup_by_key(|(range, _)| *range);
        ports
    })
}

/// The ports between two.
pub(super) fn range(one: u16, other: u16) -> (u16, u16) {
    (one.min(other), one.max(other))
}

fn pool() -> impl Strategy<Value = Pool> {
    (
        prop::sample::select(KINDS.to_vec()),
        prop::collection::vec(nested(), 1..4),
        prop::option::weighted(0.4, ports()),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(kind, prefixes, forbidden, monitor)| Pool {
            kind,
            prefixes,
            forbidden,
            monitor,
        })
}

fn customer() -> impl Strategy<Value = Customer> {
    let width = prop_oneof![
        3 => Just(Width::Same),
        1 => Just(Width::WholePort),
        1 => Just(Width::Part),
        1 => (0..PROTOCOLS.len()).prop_map(Width::OneProtocol),
    ];
    (
        prop::collection::vec(nested(), 1..4),
        prop::collection::vec((any::<Index>(), width), 0..5),
        any::<bool>(),
        prop::option::weighted(0.3, prop::sample::select(EXPIRIES.to_vec())),
    )
        .prop_map(|(prefixes, allowed, allow_smtp_out, expires)| Customer {
            prefixes,
            allowed,
            allow_smtp_out,
            expires,
        })
}

/// Draws a configuration.
pub fn setup() -> impl Strategy<Value = Setup> {
    let mail_ports = prop_oneof![
        4 => Just(vec![25]),
        3 => prop::sample::subsequence(vec![25, 80, 465, 587, 8080], 1..4),
    ];
    let return_traffic = prop_oneof![3 => Just("track"), 2 => Just("syn"), 1 => Just("drop")];
    let scalars = (
        prop::bool::weighted(0.1),
        prop::collection::vec(prop::sample::select(ROLES.to_vec()), 0..2),
        prop_oneof![8 => Just("network"), 1 => Just("customer"), 2 => Just("mixed")],
        prop::option::weighted(0.7, ports()),
        return_traffic,
        [sources(), sources()],
    );
    let mail = (
        prop::collection::vec(nested(), 0..4),
        mail_ports,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    );
    let tables = (
        prop::collection::vec(pool(), 0..6),
        prop::collection::vec(customer(), 0..6),
    );
    (scalars, mail, tables).prop_map(
        |(
            (monitor, more_interfaces, role, forbidden, return_traffic, sources),
            (servers, mail_ports, direct_smtp, smtp_replies),
            (pools, customers),
        )| Setup {
            monitor,
            more_interfaces,
            role,
            forbidden,
            return_traffic,
            servers,
            mail_ports,
            direct_smtp,
            smtp_replies,
            sources,
            pools,
            customers,
        },
    )
}

fn sources() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("any"), 1 => Just("monitor"), 2 => Just("pools")]
}

impl Setup {
    /// The same for two interfaces, and without a memory of flows.
    pub fn plain(mut self) -> Self {
        self.more_interfaces.clear();
        if self.return_traffic == "track" {
            self.return_traffic = "drop";
        }
        self
    }

    /// As an operator writes it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.monitor {
            text.push_str("enforcement = \"monitor\"\n");
        }
        self.write_interfaces(&mut text);
        let return_traffic = self.return_traffic;
        let _ = writeln!(text, "[ports]\nreturn_traffic = \"{return_traffic}\"");
        if let Some(forbidden) = &self.forbidden {
            let _ = writeln!(text, "forbidden = {}", ports_text(forbidden));
        }
        let mut plan = Plan::default();
        let pools = self.write_pools(&mut plan);
        let customers = self.write_customers(&mut plan);
        self.write_mail(&plan, &mut text);
        text + &pools + &customers
    }

    fn write_interfaces(&self, text: &mut String) {
        let mut interface = |number: usize, role: &str| {
            let _ = writeln!(
                text,
                "[[interface]]\nname = \"eth{number}\"\nrole = \"{role}\""
            );
            if role == "customer" {
                let sources = self.sources[usize::from(number != 1)];
                let _ = writeln!(text, "sources = \"{sources}\"");
            }
        };
        interface(0, self.role);
        interface(1, "customer");
        for (number, role) in (2..).zip(&self.more_interfaces) {
            interface(number, role);
        }
    }

    fn write_mail(&self, plan: &Plan, text: &mut String) {
        let mut servers: Vec<IpNet> = Vec::new();
        for server in &self.servers {
            let prefix = server.anywhere(&plan.known());
            servers.extend(prefix.filter(|prefix| !servers.contains(prefix)));
        }
        let direct = if self.direct_smtp { "pass" } else { "drop" };
        // The two contradict each other.
        let replies = match self.smtp_replies || self.direct_smtp {
            true => "pass",
            false => "drop",
        };
        let (servers, ports) = (prefixes_text(&servers), &self.mail_ports);
        let _ = writeln!(
            text,
            "[mail]\nservers = {servers}\nports = {ports:?}\ndirect_smtp = \"{direct}\"\n\
             smtp_replies = \"{replies}\""
        );
    }

    /// The first of two pools with the same prefix gets it.
    fn write_pools(&self, plan: &mut Plan) -> String {
        let mut text = String::new();
        for (number, pool) in self.pools.iter().enumerate() {
            let mut own = Vec::new();
            for prefix in &pool.prefixes {
                let Some(prefix) = prefix.anywhere(&plan.known()) else {
                    continue;
                };
                if plan.pools.iter().all(|(known, _)| *known != prefix) {
                    plan.pools.push((prefix, number));
                    own.push(prefix);
                }
            }
            if own.is_empty() {
                continue;
            }
            let (kind, prefixes) = (pool.kind, prefixes_text(&own));
            let _ = writeln!(
                text,
                "[[pool]]\nname = \"pool-{number}\"\nkind = \"{kind}\"\nprefixes = {prefixes}"
            );
            if let Some(forbidden) = &pool.forbidden {
                let _ = writeln!(text, "forbidden = {}", ports_text(forbidden));
            }
            if pool.monitor {
                text.push_str("enforcement = \"monitor\"\n");
            }
        }
        text
    }

    /// Those that would be outside static pools are left out.
    fn write_customers(&self, plan: &mut Plan) -> String {
        let mut text = String::new();
        for (number, customer) in self.customers.iter().enumerate() {
            let mut own = Vec::new();
            let mut home = None;
            for prefix in &customer.prefixes {
                let candidates = plan.homes(self);
                let Some(prefix) = prefix.inside(&candidates) else {
                    continue;
                };
                let pool = plan.pool_of(&prefix);
                let is_static = pool.is_some_and(|pool| self.pools[pool].kind == "static");
                if is_static && !plan.customers.contains(&prefix) {
                    plan.customers.push(prefix);
                    own.push(prefix);
                    home = home.or(pool);
                }
            }
            let Some(home) = home else {
                continue;
            };
            let allowed = ports_text(&customer.allowed(self.forbidden_in(home)));
            let (prefixes, smtp_out) = (prefixes_text(&own), customer.allow_smtp_out);
            let _ = writeln!(
                text,
                "[[customer]]\nname = \"customer-{number}\"\nprefixes = {prefixes}\n\
                 allow_inbound = {allowed}\nallow_smtp_out = {smtp_out}"
            );
            if let Some(expires) = customer.expires {
                let _ = writeln!(text, "expires = {expires}");
            }
        }
        text
    }

    fn forbidden_in(&self, pool: usize) -> Ports {
        let default = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080];
        let default = default.map(|port| ((port, port), ALL_PROTOCOLS)).to_vec();
        let list = self.pools[pool].forbidden.as_ref();
        list.or(self.forbidden.as_ref()).unwrap_or(&default).clone()
    }
}

impl Customer {
    fn allowed(&self, forbidden: Ports) -> Ports {
        let mut allowed: Ports = Vec::new();
        if forbidden.is_empty() {
            return allowed;
        }
        for (which, width) in &self.allowed {
            let ((first, last), protocols) = *which.get(&forbidden);
            let range = match *width {
                Width::Part if first < last => (first, last - 1),
                _ => (first, last),
            };
            let exempted = match *width {
                Width::Same | Width::Part => protocols,
                Width::WholePort => ALL_PROTOCOLS,
                Width::OneProtocol(one) if protocols == ALL_PROTOCOLS => 1 << one,
                // The first of those that are forbidden.
                Width::OneProtocol(_) => protocols & protocols.wrapping_neg(),
            };
            if allowed.iter().all(|(known, _)| *known != range) {
                allowed.push((range, exempted));
            }
        }
        allowed
    }
}

/// The prefixes that have been given out.
#[derive(Default)]
struct Plan {
    pools: Vec<(IpNet, usize)>,
    customers: Vec<IpNet>,
}

impl Plan {
    fn known(&self) -> Vec<IpNet> {
        let pools = self.pools.iter().map(|(prefix, _)| *prefix);
        pools.chain(self.customers.iter().copied()).collect()
    }

    /// Where customers can live: in static pools, and in other customers.
    fn homes(&self, setup: &Setup) -> Vec<IpNet> {
        let is_static = |pool: usize| setup.pools[pool].kind == "static";
        let pools = self.pools.iter().filter(|(_, pool)| is_static(*pool));
        let pools = pools.map(|(prefix, _)| *prefix);
        pools.chain(self.customers.iter().copied()).collect()
    }

    fn pool_of(&self, prefix: &IpNet) -> Option<usize> {
        let around = self.pools.iter().filter(|(pool, _)| pool.contains(prefix));
        let closest = around.max_by_key(|(pool, _)| pool.prefix_len());
        closest.map(|(_, pool)| *pool)
    }
}

fn prefixes_text(prefixes: &[IpNet]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(IpNet::to_string).collect();
    format!("{prefixes:?}")
}

fn ports_text(ports: &Ports) -> String {
    let mut entries = Vec::new();
    for ((first, last), protocols) in ports {
        let range = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        match *protocols == ALL_PROTOCOLS {
            true if first == last => entries.push(range.clone()),
            true => entries.push(format!("\"{range}\"")),
            false => {}
        }
        for (bit, protocol) in PROTOCOLS.iter().enumerate() {
            if protocols >> bit & 1 == 1 {
                entries.push(format!("\"{range}/{protocol}\""));
            }
        }
    }
    format!("[{}]", entries.join(", "))
}
