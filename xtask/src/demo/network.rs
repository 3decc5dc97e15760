//! The provider's network in miniature.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use lab::{Namespace, cable};

use super::leftovers::{DIRECTORY_PREFIX, NAMESPACE_PREFIX};

/// What it looks like.
pub(crate) const DRAWING: &str = "
   spammer 198.18.99.66   writes the addresses of others on his packets
        |
   internet 198.18.0.10         box, routes            modem 198.51.100.23   a dynamic customer (dialup-east)
   web, scanner, mail      .------------------.   .--- 2001:db8:100::23
   2001:db8:f00::10        |    poolguard     |   |
        |                  | (XDP, both ends) |   |--- acme 203.0.113.10     a static customer, with exemptions
        |--- core --- eth0 |                  | eth1   2001:db8:200:8::10    for 25, 443/tcp and sending mail
        |   (switch)       '------------------'   |
   mail 192.0.2.25                             access  bakery 203.0.113.77   a static customer, without any
   the provider's mail server                (switch)  2001:db8:200:77::77

   Each name is a network namespace, each line a veth cable. Customers reach each other through
   the box alone: the ports of the access switch are isolated, as a DSLAM's are.
";

/// The addresses of the hosts.
pub(crate) mod address {
    pub(crate) const INTERNET: &str = "198.18.0.10";
    pub(crate) const INTERNET_V6: &str = "2001:db8:f00::10";
    pub(crate) const INTERNET_MAIL: &str = "198.18.0.25";
    pub(crate) const INTERNET_MAIL_V6: &str = "2001:db8:f00::25";
    pub(crate) const MAIL: &str = "192.0.2.25";
    /// Nobody's here, and in no pool.
    pub(crate) const OUTSIDER: &str = "198.18.0.77";
    /// The same.
    pub(crate) const OUTSIDER_V6: &str = "2001:db8:f00::77";
    pub(crate) const MODEM: &str = "198.51.100.23";
    pub(crate) const MODEM_V6: &str = "2001:db8:100::23";
    /// A second host behind the modem, on which nothing listens.
    pub(crate) const MODEM_CLIENT: &str = "198.51.100.24";
    pub(crate) const ACME: &str = "203.0.113.10";
    pub(crate) const ACME_V6: &str = "2001:db8:200:8::10";
    pub(crate) const BAKERY: &str = "203.0.113.77";
    pub(crate) const BAKERY_V6: &str = "2001:db8:200:77::77";
}
use address::*;

/// The hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// Somebody outside who writes other people's addresses on packets.
    Spammer,
    /// Everything else outside the provider's network.
    Internet,
    /// The switch between the Internet, the mail server and the box.
    Core,
    /// The provider's mail server.
    Mail,
    /// Where poolguard runs.
    Box,
    /// The switch in front of the customers.
    Access,
    /// A dynamic customer.
    Modem,
    /// A static customer with exemptions.
    Acme,
    /// A static customer without.
    Bakery,
}

impl Host {
    const ALL: [Self; 9] = [
        Self::Spammer,
        Self::Internet,
        Self::Core,
        Self::Mail,
        Self::Box,
        Self::Access,
        Self::Modem,
        Self::Acme,
        Self::Bakery,
    ];

    /// As shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spammer => "spammer",
            Self::Internet => "internet",
            Self::Core => "core",
            Self::Mail => "mail",
            Self::Box => "box",
            Self::Access => "access",
            Self::Modem => "modem",
            Self::Acme => "acme",
            Self::Bakery => "bakery",
        }
    }
}

/// The provider's network. It goes with this value.
pub(crate) struct Provider {
    hosts: BTreeMap<Host, Namespace>,
    directory: Directory,
}

impl Provider {
    /// Builds it.
    pub(crate) fn build() -> Result<Self> {
        let directory = Directory::create(directory_of(std::process::id()))?;
        let mut hosts = BTreeMap::new();
        for host in Host::ALL {
            let name = format!("{NAMESPACE_PREFIX}{}-{}", std::process::id(), host.name());
            hosts.insert(host, boot(name)?);
        }
        let provider = Self { hosts, directory };
        provider.switches()?;
        provider.spammer()?;
        provider.network_side()?;
        provider.customer_side()?;
        Ok(provider)
    }

    /// One of its hosts.
    pub(crate) fn host(&self, host: Host) -> &Namespace {
        // All of them are there from `build` on.
        &self.hosts[&host]
    }

    /// A command on one of its hosts.
    pub(crate) fn command(&self, host: Host, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.host(host).command(program);
        // Ctrl-C on the terminal is for us, who then end the programs.
        command.process_group(0);
        command
    }

    /// A directory for the files of this run.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.0
    }

    fn switches(&self) -> Result<()> {
        for switch in [Host::Core, Host::Access] {
            let switch = self.host(switch);
            switch.try_ip("link add bridge type bridge forward_delay 0 mcast_snooping 0")?;
            switch.try_ip("link set bridge up")?;
        }
        self.plug(Host::Internet, "eth0", Host::Core)?;
        self.plug(Host::Mail, "eth0", Host::Core)?;
        self.plug(Host::Box, "eth0", Host::Core)?;
        self.plug(Host::Box, "eth1", Host::Access)?;
        for customer in [Host::Modem, Host::Acme, Host::Bakery] {
            self.plug(customer, "eth0", Host::Access)?;
            let port = customer.name();
            self.host(Host::Access)
                .try_ip(&format!("link set {port} type bridge_slave isolated on"))?;
        }
        Ok(())
    }

    /// Plugs a host's interface into a switch, at a port named after the host.
    fn plug(&self, host: Host, interface: &str, switch: Host) -> Result<()> {
        let (switch, port) = (self.host(switch), host.name());
        let (near, far) = ((self.host(host), interface), (switch, port));
        cable::lay(cable::Kind::ETHERNET, near, far)?;
        switch.try_ip(&format!("link set {port} master bridge"))?;
        Ok(())
    }

    /// A line of his own to the Internet, which looks at nobody's source addresses.
    fn spammer(&self) -> Result<()> {
        let internet = self.host(Host::Internet);
        let line = (self.host(Host::Spammer), "eth0");
        cable::lay(cable::Kind::ETHERNET, line, (internet, "eth1"))?;
        self.addresses(Host::Spammer, "eth0", &["198.18.99.66/24"])?;
        self.addresses(Host::Internet, "eth1", &["198.18.99.1/24"])?;
        self.route(Host::Spammer, "default via 198.18.99.1")?;
        set(internet, "ipv4/ip_forward", "1")
    }

    /// The hardware address of an interface.
    pub(crate) fn hardware_address(&self, host: Host, interface: &str) -> Result<String> {
        let shown = self
            .host(host)
            .try_ip(&format!("-o link show {interface}"))?;
        let mut words = shown.split_whitespace();
        let address = words
            .find(|word| *word == "link/ether")
            .and(words.next())
            .with_context(|| format!("{interface} of {} has no address", host.name()))?;
        Ok(address.to_owned())
    }

    fn network_side(&self) -> Result<()> {
        let core = ["192.0.2.1/24", "2001:db8:0:25::1/64", "2001:db8:0:1::1/64"];
        self.addresses(Host::Box, "eth0", &core)?;
        self.route(Host::Box, "default via 192.0.2.254")?;
        self.route(Host::Box, "default via 2001:db8:0:1::fe")?;
        for (key, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/eth1/send_redirects", "0"),
        ] {
            set(self.host(Host::Box), key, value)?;
        }

        let border = ["192.0.2.254/24", "2001:db8:0:1::fe/64"];
        self.addresses(Host::Internet, "eth0", &border)?;
        let beyond = [INTERNET, INTERNET_V6, INTERNET_MAIL, INTERNET_MAIL_V6];
        self.addresses(Host::Internet, "eth0", &beyond)?;
        for (pool, via, source) in [
            ("198.51.100.0/24", "192.0.2.1", INTERNET),
            ("203.0.113.0/24", "192.0.2.1", INTERNET),
            ("2001:db8:100::/40", "2001:db8:0:1::1", INTERNET_V6),
            ("2001:db8:200::/40", "2001:db8:0:1::1", INTERNET_V6),
        ] {
            self.route(Host::Internet, &format!("{pool} via {via} src {source}"))?;
        }

        let mail = ["192.0.2.25/24", "2001:db8:0:25::25/64"];
        self.addresses(Host::Mail, "eth0", &mail)?;
        self.route(Host::Mail, "default via 192.0.2.1")?;
        self.route(Host::Mail, "default via 2001:db8:0:25::1")
    }

    fn customer_side(&self) -> Result<()> {
        let gateways = [
            "198.51.100.1/24",
            "203.0.113.1/24",
            "2001:db8:100::1/40",
            "2001:db8:200::1/40",
        ];
        self.addresses(Host::Box, "eth1", &gateways)?;
        for (customer, addresses, gateway, gateway_v6) in [
            (
                Host::Modem,
                &[MODEM, MODEM_CLIENT, MODEM_V6][..],
                "198.51.100.1",
                "2001:db8:100::1",
            ),
            (
                Host::Acme,
                &[ACME, ACME_V6],
                "203.0.113.1",
                "2001:db8:200::1",
            ),
            (
                Host::Bakery,
                &[BAKERY, BAKERY_V6],
                "203.0.113.1",
                "2001:db8:200::1",
            ),
        ] {
            self.addresses(customer, "eth0", addresses)?;
            for gateway in [gateway, gateway_v6] {
                self.route(customer, &format!("default via {gateway} dev eth0 onlink"))?;
            }
        }
        Ok(())
    }

    fn addresses(&self, host: Host, interface: &str, addresses: &[&str]) -> Result<()> {
        for address in addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            self.host(host)
                .try_ip(&format!("address add {address} dev {interface} {nodad}"))?;
        }
        Ok(())
    }

    fn route(&self, host: Host, route: &str) -> Result<()> {
        let family = if route.contains(':') { "-6" } else { "-4" };
        self.host(host)
            .try_ip(&format!("{family} route add {route}"))?;
        Ok(())
    }
}

/// A host that is there: its addresses are usable at once, it is quiet, and nothing is
/// inherited from the machine's own settings.
fn boot(name: String) -> Result<Namespace> {
    let host = Namespace::named(name)?;
    for (key, value) in [
        ("ipv6/conf/all/disable_ipv6", "0"),
        ("ipv6/conf/default/disable_ipv6", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv6/conf/all/accept_redirects", "0"),
        ("ipv6/conf/default/accept_redirects", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ] {
        set(&host, key, value)?;
    }
    host.try_ip("link set lo up")?;
    Ok(host)
}

fn set(host: &Namespace, key: &str, value: &str) -> Result<()> {
    host.sysctl(key, value)
        .with_context(|| format!("cannot set {key} to {value}"))
}

/// The directory of the run of a process: on a file system that only root
/// writes to, and that forgets.
fn directory_of(pid: u32) -> PathBuf {
    Path::new("/run").join(format!("{DIRECTORY_PREFIX}{pid}"))
}

/// A directory that goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                eprintln!("warning: cannot remove {}: {error}", self.0.display());
            }
            _ => {}
        }
    }
}
