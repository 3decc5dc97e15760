//! The configurations that the stories play under, and who lives in them.
//!
//! [`base`] is close to `config/poolguard.toml`; each of the others says what
//! it changes in it. Addresses are those of RFC 5737, RFC 2544 and RFC 3849.

use std::net::IpAddr;

/// The interface that faces the customers.
pub const CUSTOMERS: &str = "eth1";
/// The interface that faces the provider's network and the Internet.
pub const NETWORK: &str = "eth0";

/// The dynamic pool: rule 1.
pub const DIALUP: &str = "dialup-east";
/// The virtual POP: rule 2.
pub const VPOP: &str = "vpop-west";
/// The static pool: rules 3 and 4.
pub const DSL: &str = "business-dsl";
/// What the metrics call the absence of a pool.
pub const NO_POOL: &str = "none";

/// What nobody may reach, as long as no configuration says otherwise.
pub const FORBIDDEN: [u16; 10] = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080];

/// The hosts of the stories, in one family.
#[derive(Clone, Copy, Debug)]
pub struct Hosts {
    /// Somewhere far away.
    pub internet: IpAddr,
    /// In the provider's own network.
    pub provider: IpAddr,
    /// A mail server of the provider's.
    pub mail: IpAddr,
    /// The addresses right before and right after the mail servers.
    pub beside_mail: [IpAddr; 2],
    /// A customer in the dynamic pool.
    pub dialup: IpAddr,
    /// The first and the last address of the dynamic pool.
    pub dialup_edges: [IpAddr; 2],
    /// The address before the dynamic pool, which is in no pool.
    pub before_dialup: IpAddr,
    /// A customer in the virtual POP.
    pub vpop: IpAddr,
    /// The first and the last address of the virtual POP.
    pub vpop_edges: [IpAddr; 2],
    /// The address after the virtual POP, which is in no pool.
    pub after_vpop: IpAddr,
    /// A static customer without any exemption.
    pub dsl: IpAddr,
    /// The first and the last address of the static pool.
    pub dsl_edges: [IpAddr; 2],
    /// The static customer who holds exemptions.
    pub acme: IpAddr,
    /// The first and the last address of that customer.
    pub acme_edges: [IpAddr; 2],
    /// The addresses right before and right after it.
    pub beside_acme: [IpAddr; 2],
}

/// Parses an address.
pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(texts: [&str; 2]) -> [IpAddr; 2] {
    texts.map(address)
}

impl Hosts {
    /// Everybody's IPv4 address.
    pub fn v4() -> Self {
        Self {
            internet: address("192.0.2.9"),
            provider: address("192.0.2.77"),
            mail: address("192.0.2.25"),
            beside_mail: addresses(["192.0.2.24", "192.0.2.26"]),
            dialup: address("198.51.100.7"),
            dialup_edges: addresses(["198.51.100.0", "198.51.100.255"]),
            before_dialup: address("198.51.99.255"),
            vpop: address("198.18.7.7"),
            vpop_edges: addresses(["198.18.7.0", "198.18.7.255"]),
            after_vpop: address("198.18.8.0"),
            dsl: address("203.0.113.77"),
            dsl_edges: addresses(["203.0.113.0", "203.0.113.255"]),
            acme: address("203.0.113.9"),
            acme_edges: addresses(["203.0.113.8", "203.0.113.15"]),
            beside_acme: addresses(["203.0.113.7", "203.0.113.16"]),
        }
    }

    /// Everybody's IPv6 address. The three pools lie side by side.
    pub fn v6() -> Self {
        Self {
            internet: address("2001:db8:9::9"),
            provider: address("2001:db8:0:77::1"),
            mail: address("2001:db8:0:25::25"),
            beside_mail: addresses(["2001:db8:0:24:ffff:ffff:ffff:ffff", "2001:db8:0:26::"]),
            dialup: address("2001:db8:100::7"),
            dialup_edges: addresses(["2001:db8:100::", "2001:db8:1ff:ffff:ffff:ffff:ffff:ffff"]),
            before_dialup: address("2001:db8:ff:ffff:ffff:ffff:ffff:ffff"),
            vpop: address("2001:db8:300::7"),
            vpop_edges: addresses(["2001:db8:300::", "2001:db8:3ff:ffff:ffff:ffff:ffff:ffff"]),
            after_vpop: address("2001:db8:400::"),
            dsl: address("2001:db8:200:77::1"),
            dsl_edges: addresses(["2001:db8:200::", "2001:db8:2ff:ffff:ffff:ffff:ffff:ffff"]),
            acme: address("2001:db8:200:8::9"),
            acme_edges: addresses(["2001:db8:200:8::", "2001:db8:200:8:ffff:ffff:ffff:ffff"]),
            beside_acme: addresses(["2001:db8:200:7:ffff:ffff:ffff:ffff", "2001:db8:200:9::"]),
        }
    }

    /// Both, each with its name.
    pub fn families() -> [(&'static str, Self); 2] {
        [("IPv4", Self::v4()), ("IPv6", Self::v6())]
    }
}

/// A configuration as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    /// TOML.
    pub text: String,
}

impl Configuration {
    /// The same with `from`, which must occur in it once, replaced.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert_eq!(self.text.matches(from).count(), 1, "{from:?} is in it once");
        self.text = self.text.replace(from, to);
        self
    }

    /// The same with more tables at its end.
    #[must_use]
    pub fn and(mut self, tables: &str) -> Self {
        self.text.push_str(tables);
        self
    }
}

/// The configuration that most stories play under.
pub fn base() -> Configuration {
    let text = r#"
enforcement = "enforce"

[[interface]]
name = "eth1"
role = "customer"

[[interface]]
name = "eth0"
role = "network"

[ports]
forbidden = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080]
return_traffic = "track"

[mail]
servers = ["192.0.2.25", "2001:db8:0:25::/64"]
ports = [25]
direct_smtp = "drop"

[metrics]
listen = "127.0.0.1:9188"

[[pool]]
name = "dialup-east"
kind = "dynamic"
prefixes = ["198.51.100.0/24", "2001:db8:100::/40"]

[[pool]]
name = "vpop-west"
kind = "virtual-pop"
prefixes = ["198.18.7.0/24", "2001:db8:300::/40"]

[[pool]]
name = "business-dsl"
kind = "static"
prefixes = ["203.0.113.0/24", "2001:db8:200::/40"]

[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29", "2001:db8:200:8::/64"]
allow_inbound = [25, "443/tcp"]
allow_smtp_out = true
ticket = "NOC-4711"
"#;
    Configuration {
        text: text.to_owned(),
    }
}

impl Configuration {
    /// The same with rule 7 at the interface that faces customers.
    #[must_use]
    pub fn known_sources(self, sources: &str) -> Self {
        self.with(
            "role = \"customer\"",
            &format!("role = \"customer\"\nsources = \"{sources}\""),
        )
    }

    /// The same with its interfaces joined by wires, two by two.
    #[must_use]
    pub fn by_wire(self) -> Self {
        let text = format!("forwarding = \"wire\"\n{}", self.text);
        let wire = |one, other| format!("\n[[wire]]\nends = [\"{one}\", \"{other}\"]\n");
        let wired = Self { text }.and(&wire(CUSTOMERS, NETWORK));
        match wired.text.contains("eth3") {
            true => wired.and(&wire("eth3", "eth2")),
            false => wired,
        }
    }
}

/// Everything else is written down, and the box only counts.
pub fn monitor_box() -> Configuration {
    base().with(r#"enforcement = "enforce""#, r#"enforcement = "monitor""#)
}

/// The dynamic pool alone is only monitored.
pub fn monitor_dialup() -> Configuration {
    base().with(
        r#"kind = "dynamic""#,
        "kind = \"dynamic\"\nenforcement = \"monitor\"",
    )
}

/// The static pool alone is only monitored.
pub fn monitor_dsl() -> Configuration {
    base().with(
        r#"kind = "static""#,
        "kind = \"static\"\nenforcement = \"monitor\"",
    )
}

/// Rule 5 is off.
pub fn direct_smtp() -> Configuration {
    base().with(r#"direct_smtp = "drop""#, r#"direct_smtp = "pass""#)
}

/// Rule 6 is off.
pub fn smtp_replies() -> Configuration {
    base().with(
        r#"direct_smtp = "drop""#,
        "direct_smtp = \"drop\"\nsmtp_replies = \"pass\"",
    )
}

/// Rule 7 is on.
pub fn known_sources() -> Configuration {
    base().known_sources("pools")
}

/// Rule 7 is tried out.
pub fn monitored_sources() -> Configuration {
    base().known_sources("monitor")
}

/// Customers and the Internet are behind the network's interface as well.
pub fn mixed() -> Configuration {
    base().with("role = \"network\"", "role = \"mixed\"")
}

/// The provider has no mail server at all.
pub fn no_mail_servers() -> Configuration {
    base().with(
        r#"servers = ["192.0.2.25", "2001:db8:0:25::/64"]"#,
        "servers = []",
    )
}

/// Mail is also handed in on the submission port, which no pool forbids.
pub fn submission() -> Configuration {
    base().with("ports = [25]", "ports = [25, 587]")
}

/// Mail is handed in on the submission port, and pools forbid that as well.
pub fn forbidden_submission() -> Configuration {
    submission().with("1080, 8000, 8080]", "587, 1080, 8000, 8080]")
}

/// The exempted customer has a server on a port that connections are opened
/// from.
pub fn exempted_high_port() -> Configuration {
    base().with(r#"[25, "443/tcp"]"#, r#"[25, "443/tcp", 8080]"#)
}

/// The dynamic pool has IPv6 addresses with the bits of its IPv4 ones.
pub fn lookalikes() -> Configuration {
    base().with(
        r#"["198.51.100.0/24", "2001:db8:100::/40"]"#,
        r#"["198.51.100.0/24", "c633:6400::/24"]"#,
    )
}

/// `return_traffic = "syn"`.
pub fn syn() -> Configuration {
    base().with(r#"return_traffic = "track""#, r#"return_traffic = "syn""#)
}

/// `return_traffic = "drop"`.
pub fn drop() -> Configuration {
    base().with(r#"return_traffic = "track""#, r#"return_traffic = "drop""#)
}

/// The dynamic pool forbids only the ports on both sides of the lowest one that
/// a connection is opened from.
pub fn around_1024() -> Configuration {
    base().with(
        r#"kind = "dynamic""#,
        "kind = \"dynamic\"\nforbidden = [1023, 1024]",
    )
}

/// The same, and answers are told by their flags.
pub fn around_1024_syn() -> Configuration {
    around_1024().with(r#"return_traffic = "track""#, r#"return_traffic = "syn""#)
}

/// Ranges: around the mail port, on both sides of 1024, in one protocol and with a port in
/// it that is listed by itself. The static customer is exempted for parts of them.
pub fn ranges() -> Configuration {
    base()
        .with(
            "[25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080]",
            r#"["20-30", "1000-1030", "6881-6999/udp", 6890, "8000-8080"]"#,
        )
        .with(
            r#"[25, "443/tcp"]"#,
            r#"["8010-8020", "6885-6895/udp", "1020-1025/tcp"]"#,
        )
}

/// The same, and answers are told by their flags.
pub fn ranges_syn() -> Configuration {
    ranges().with(r#"return_traffic = "track""#, r#"return_traffic = "syn""#)
}

/// The virtual POP forbids all there is of TCP, and two ranges that meet.
pub fn all_of_tcp() -> Configuration {
    base().with(
        r#"kind = "virtual-pop""#,
        "kind = \"virtual-pop\"\nforbidden = [\"1-65535/tcp\", \"100-299/udp\", \"200-399/udp\"]",
    )
}

/// Each pool has a list of its own, one of them with ports that nobody else
/// knows.
pub fn own_ports() -> Configuration {
    base()
        .with(
            r#"kind = "virtual-pop""#,
            "kind = \"virtual-pop\"\nforbidden = [23, 5060]",
        )
        .with(
            r#"kind = "static""#,
            "kind = \"static\"\nforbidden = [25, 443]",
        )
}

/// Some ports are forbidden in one protocol, or in two.
pub fn by_protocol() -> Configuration {
    base().with(
        "forbidden = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080]",
        r#"forbidden = [25, "80/tcp", "139/udp", "194/sctp", "194/dccp", "443/udplite", "443/tcp", "8080/tcp"]"#,
    )
}

/// Pools in pools and customers in customers.
pub fn nested() -> Configuration {
    base().and(
        r#"
[[pool]]
name = "hotel-dynamic"
kind = "dynamic"
prefixes = ["203.0.113.128/25", "2001:db8:280::/41"]
forbidden = [25, 80]

[[pool]]
name = "hotel-static"
kind = "static"
prefixes = ["203.0.113.192/27", "2001:db8:2c0::/43"]
forbidden = [25, 443]

[[pool]]
name = "one-host"
kind = "virtual-pop"
prefixes = ["203.0.113.200/32", "2001:db8:2c0::c8/128"]

[[customer]]
name = "acme-lab"
prefixes = ["203.0.113.10/31", "2001:db8:200:8:a::/80"]
allow_inbound = [80]

[[customer]]
name = "acme-lab-host"
prefixes = ["203.0.113.11/32", "2001:db8:200:8:a::b/128"]
allow_smtp_out = true

[[customer]]
name = "hotel-shop"
prefixes = ["203.0.113.196/30", "2001:db8:2c0:4::/62"]
allow_inbound = [443]
"#,
    )
}

/// A customer whose exemptions hold through the last day of 2026, inside one
/// whose exemptions go on.
pub fn expiring() -> Configuration {
    base().and(
        r#"
[[customer]]
name = "acme-fair"
prefixes = ["203.0.113.12/31", "2001:db8:200:8:f::/80"]
allow_inbound = [80]
allow_smtp_out = true
expires = 2026-12-31
"#,
    )
}

/// Mail servers live in the pools, one of them at an exempted customer's.
pub fn mail_in_pools() -> Configuration {
    base().with(
        r#"servers = ["192.0.2.25", "2001:db8:0:25::/64"]"#,
        r#"servers = [
    "192.0.2.25", "2001:db8:0:25::/64",
    "198.51.100.25", "2001:db8:100::25",
    "203.0.113.25", "2001:db8:200:25::25",
    "203.0.113.14", "2001:db8:200:8::e",
]"#,
    )
}

/// A pool lies inside the prefix of the mail servers.
pub fn pool_among_mail_servers() -> Configuration {
    base()
        .with(
            r#"servers = ["192.0.2.25", "2001:db8:0:25::/64"]"#,
            r#"servers = ["192.0.2.16/28", "2001:db8:0:25::/64"]"#,
        )
        .and(
            r#"
[[pool]]
name = "office"
kind = "dynamic"
prefixes = ["192.0.2.24/30", "2001:db8:0:25:c::/80"]
"#,
        )
}

/// Two interfaces of each role.
pub fn four_interfaces() -> Configuration {
    base().and(
        r#"
[[interface]]
name = "eth2"
role = "network"

[[interface]]
name = "eth3"
role = "customer"
"#,
    )
}

/// The pools of [`base`] in another order, after a new one with ports that
/// nobody knew.
pub fn renumbered() -> Configuration {
    let base = base();
    let (head, pools) = base.text.split_once("[[pool]]").unwrap();
    let (first, rest) = pools.split_once("[[pool]]").unwrap();
    let newcomer = r#"[[pool]]
name = "a-new-pool"
kind = "dynamic"
prefixes = ["10.0.0.0/8"]
forbidden = [7, 8081]

"#;
    let (others, customer) = rest.split_once("[[customer]]").unwrap();
    Configuration {
        text: format!("{head}{newcomer}[[pool]]{others}[[pool]]{first}[[customer]]{customer}"),
    }
}

/// [`base`] with 600 pools more, the names of which begin with a word. They have
/// the /24s of 10.0.0.0/8 from the first one on.
pub fn six_hundred_pools(word: &str) -> Configuration {
    let pools = (0..600).map(|pool| {
        let prefix = format!("10.{}.{}.0/24", pool / 256, pool % 256);
        format!(
            "\n[[pool]]\nname = \"{word}-{pool}\"\nkind = \"dynamic\"\nprefixes = [\"{prefix}\"]\n"
        )
    });
    base().and(&pools.collect::<String>())
}

/// An interface that is not there.
pub fn absent_interface() -> Configuration {
    base().and("\n[[interface]]\nname = \"eth9\"\nrole = \"network\"\n")
}

/// The network's side is attached in the slow way.
pub fn generic() -> Configuration {
    base().with(
        r#"role = "network""#,
        "role = \"network\"\nattach = \"generic\"",
    )
}

/// A bridge as one more interface.
pub fn on_a_bridge() -> Configuration {
    base().and("\n[[interface]]\nname = \"br0\"\nrole = \"network\"\n")
}

/// One pool for every prefix length, each inside the one before, from an
/// eighth of all addresses (IPv4) down to a single host. The pools are named after their
/// lengths, `v4-3` to `v4-32` and `v6-9` to `v6-128`. A shorter
/// one has addresses in it that nobody has, or is more than pools may cover.
pub fn ladder() -> Configuration {
    let pool = |name: String, prefix: String| {
        format!("\n[[pool]]\nname = {name:?}\nkind = \"dynamic\"\nprefixes = [{prefix:?}]\n")
    };
    let mut ladder = base();
    for length in LADDER_TOP_V4..=32 {
        let prefix = first_bits(LADDER_V4.into(), length);
        ladder = ladder.and(&pool(format!("v4-{length}"), format!("{prefix}/{length}")));
    }
    for length in LADDER_TOP_V6..=128 {
        let prefix = first_bits(LADDER_V6.into(), length);
        ladder = ladder.and(&pool(format!("v6-{length}"), format!("{prefix}/{length}")));
    }
    ladder
}

/// The length of the topmost rung of the [`ladder`], IPv4.
pub const LADDER_TOP_V4: u32 = 3;
/// The length of the topmost rung of the [`ladder`], IPv6.
pub const LADDER_TOP_V6: u32 = 9;
/// The host at the foot of the [`ladder`], IPv4.
pub const LADDER_V4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(42, 0xa5, 0x5a, 0xc3);
/// The host at the foot of the [`ladder`], IPv6.
pub const LADDER_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(
    0xfd5a, 0xa5c3, 0x3c69, 0x96f0, 0x0ff1, 0x8e73, 0x1234, 0xfeda,
);

/// The first `length` bits of an address, and zeros.
fn first_bits(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

/// The address with bit number `bit`, counted from 0 at the front, turned over.
pub fn flip_bit(address: IpAddr, bit: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) ^ (1 << (31 - bit))).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) ^ (1 << (127 - bit))).into()),
    }
}
