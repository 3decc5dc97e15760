//! The provider's network in miniature.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::namespace::{Namespace, connect};

/// What it looks like.
pub(crate) const DRAWING: &str = "
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
    /// Everything outside the provider's network.
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
    const ALL: [Self; 8] = [
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

/// What the names of this run's namespaces start with; its process is in them,
/// by which a later run knows what has been left behind.
pub(crate) const NAME_PREFIX: &str = "pgd-";

/// The running laboratory. It goes with this value.
pub(crate) struct Lab {
    hosts: BTreeMap<Host, Namespace>,
    directory: Directory,
}

impl Lab {
    /// Builds it.
    pub(crate) fn build() -> Result<Self> {
        let directory = Directory::create(directory_of(std::process::id()))?;
        let mut hosts = BTreeMap::new();
        for host in Host::ALL {
            let name = format!("{NAME_PREFIX}{}-{}", std::process::id(), host.name());
            hosts.insert(host, Namespace::create(name)?);
        }
        let lab = Self { hosts, directory };
        lab.switches()?;
        lab.network_side()?;
        lab.customer_side()?;
        Ok(lab)
    }

    /// One of its hosts.
    pub(crate) fn host(&self, host: Host) -> &Namespace {
        // All of them are there from `build` on.
        &self.hosts[&host]
    }

    /// A command on one of its hosts.
    pub(crate) fn command(&self, host: Host, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.host(host).command(program)
    }

    /// A directory for the files of this run.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.0
    }

    fn switches(&self) -> Result<()> {
        for switch in [Host::Core, Host::Access] {
            let bridge = ["link", "add", "bridge", "type", "bridge"];
            let settings = ["forward_delay", "0", "mcast_snooping", "0"];
            self.host(switch).ip(&[&bridge[..], &settings].concat())?;
            self.host(switch).ip(&["link", "set", "bridge", "up"])?;
        }
        self.plug(Host::Internet, "eth0", Host::Core)?;
        self.plug(Host::Mail, "eth0", Host::Core)?;
        self.plug(Host::Box, "eth0", Host::Core)?;
        self.plug(Host::Box, "eth1", Host::Access)?;
        for customer in [Host::Modem, Host::Acme, Host::Bakery] {
            self.plug(customer, "eth0", Host::Access)?;
            let isolated = ["type", "bridge_slave", "isolated", "on"];
            let port = ["link", "set", customer.name()];
            self.host(Host::Access)
                .ip(&[&port[..], &isolated].concat())?;
        }
        Ok(())
    }

    /// Plugs a host's interface into a switch, at a port named after the host.
    fn plug(&self, host: Host, interface: &str, switch: Host) -> Result<()> {
        let switch = self.host(switch);
        connect((self.host(host), interface), (switch, host.name()))?;
        switch.ip(&["link", "set", host.name(), "master", "bridge"])
    }

    fn network_side(&self) -> Result<()> {
        let core = ["192.0.2.1/24", "2001:db8:0:25::1/64", "2001:db8:0:1::1/64"];
        self.addresses(Host::Box, "eth0", &core)?;
        self.route(Host::Box, &["default", "via", "192.0.2.254"])?;
        self.route(Host::Box, &["default", "via", "2001:db8:0:1::fe"])?;
        for (key, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/eth1/send_redirects", "0"),
        ] {
            self.host(Host::Box).sysctl(key, value)?;
        }

        let border = ["192.0.2.254/24", "2001:db8:0:1::fe/64"];
        self.addresses(Host::Internet, "eth0", &border)?;
        let beyond = [INTERNET, INTERNET_V6, INTERNET_MAIL, INTERNET_MAIL_V6];
        self.addresses(Host::Internet, "eth0", &beyond)?;
        let (via, src) = (["via", "192.0.2.1", "src", INTERNET], INTERNET_V6);
        let via_v6 = ["via", "2001:db8:0:1::1", "src", src];
        for pool in ["198.51.100.0/24", "203.0.113.0/24"] {
            self.route(Host::Internet, &[&[pool][..], &via].concat())?;
        }
        for pool in ["2001:db8:100::/40", "2001:db8:200::/40"] {
            self.route(Host::Internet, &[&[pool][..], &via_v6].concat())?;
        }

        let mail = ["192.0.2.25/24", "2001:db8:0:25::25/64"];
        self.addresses(Host::Mail, "eth0", &mail)?;
        self.route(Host::Mail, &["default", "via", "192.0.2.1"])?;
        self.route(Host::Mail, &["default", "via", "2001:db8:0:25::1"])
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
                let via = ["default", "via", gateway, "dev", "eth0", "onlink"];
                self.route(customer, &via)?;
            }
        }
        Ok(())
    }

    fn addresses(&self, host: Host, interface: &str, addresses: &[&str]) -> Result<()> {
        for address in addresses {
            let mut args = vec!["address", "add", address, "dev", interface];
            if address.contains(':') {
                args.push("nodad");
            }
            self.host(host).ip(&args)?;
        }
        Ok(())
    }

    fn route(&self, host: Host, route: &[&str]) -> Result<()> {
        let family = if route.iter().any(|word| word.contains(':')) {
            "-6"
        } else {
            "-4"
        };
        self.host(host)
            .ip(&[&[family, "route", "add"], route].concat())
    }
}

/// The directory of the run of a process: on a file system that only root
/// writes to, and that forgets.
fn directory_of(pid: u32) -> PathBuf {
    Path::new("/run").join(format!("{DIRECTORY_PREFIX}{pid}"))
}

/// What the names of such directories start with.
pub(crate) const DIRECTORY_PREFIX: &str = "poolguard-demo-";

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
