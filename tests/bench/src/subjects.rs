//! Who decides.

use std::process::Command;

use dataplane::{Dataplane as _, Demand, Generation};
use filter_common::Role;
use jiff::Timestamp;
use lab::Namespace;
use poolguard_tests::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    host,
    kernel::{Apparatus, must},
};

use super::{
    cases::{Case, Kind},
    customers::{Layout, configuration},
    programs::Trie,
    spec::PORTS,
};

/// Somebody who decides frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A program that drops at once.
    Floor,
    /// The same as a program that takes no frames in several buffers.
    FloorWithoutFrags,
    /// poolguard.
    Poolguard,
    /// A program that reads one word of a table as large as poolguard's, and drops.
    OneLoad,
    /// The policy on a kernel LPM trie.
    LpmTrie,
    /// xdp-filter of xdp-tools, with the same ports, for everybody.
    XdpFilter,
    /// nftables at the ingress of the interface.
    NftIngress,
    /// nftables where packets are forwarded.
    NftForward,
    /// iptables there, with ipset.
    Iptables,
    /// Nobody: everything is forwarded.
    NoFilter,
    /// poolguard on a router.
    Router,
    /// The same with `egress = "off"`.
    RouterWayOutOpen,
    /// poolguard on a bridge.
    Bridge,
    /// poolguard under `forwarding = "wire"`.
    Wire,
}

impl Subject {
    /// Its name in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor | Self::FloorWithoutFrags => "floor",
            Self::Poolguard => "poolguard",
            Self::OneLoad => "one_load",
            Self::LpmTrie => "lpm_trie",
            Self::XdpFilter => "xdp_filter",
            Self::NftIngress => "nft_ingress",
            Self::NftForward => "nft_forward",
            Self::Iptables => "iptables_ipset",
            Self::NoFilter => "no_filter",
            Self::Router => "kernel_router",
            Self::RouterWayOutOpen => "kernel_router_egress_off",
            Self::Bridge => "kernel_bridge",
            Self::Wire => "wire",
        }
    }

    /// What its times are compared with.
    pub const fn floor(self) -> Self {
        match self {
            Self::XdpFilter | Self::FloorWithoutFrags => Self::FloorWithoutFrags,
            _ => Self::Floor,
        }
    }

    /// Whether it decides this as poolguard does. xdp-filter knows no customers and
    /// reads no PPPoE; netfilter reads none either, unless it is the host's own; the
    /// trie and the rules for netfilter have no rules 5 and 6 and no return traffic.
    pub const fn can_decide(self, kind: Kind) -> bool {
        match self {
            Self::OneLoad => matches!(kind, Kind::Dropped),
            Self::LpmTrie => !matches!(kind, Kind::SmtpOut | Kind::SmtpReply | Kind::Return),
            Self::NftIngress | Self::NftForward | Self::Iptables => !matches!(
                kind,
                Kind::SmtpOut | Kind::SmtpReply | Kind::QinqPppoe | Kind::Return
            ),
            Self::XdpFilter => !matches!(
                kind,
                Kind::Exempted | Kind::SmtpOut | Kind::SmtpReply | Kind::QinqPppoe | Kind::Return
            ),
            _ => true,
        }
    }
}

/// poolguard and the trie with the same customers.
pub struct Tables {
    /// How they are spread.
    pub layout: Layout,
    /// How many there are in each family.
    pub prefixes: u32,
    poolguard: Generation,
    trie: Trie,
}

impl Tables {
    /// Loads both. poolguard reads its configuration, compiles it and loads the
    /// program as it always does.
    pub fn load(apparatus: &mut Apparatus, object: &[u8], layout: Layout, prefixes: u32) -> Self {
        let configuration = Configuration {
            text: configuration(layout, prefixes),
        };
        let compiled = host::load(&configuration, Timestamp::now());
        Self {
            layout,
            prefixes,
            poolguard: must(apparatus.dataplane().load(&compiled)),
            trie: Trie::load(object, layout, prefixes),
        }
    }

    /// The number of poolguard's program for a case.
    pub fn poolguard(&mut self, case: &Case) -> u32 {
        let interface = match case.role {
            Role::Customer => CUSTOMERS,
            Role::Network | Role::Mixed => NETWORK,
        };
        must(self.poolguard.program_id(interface))
    }

    /// The number of the trie's program.
    pub fn trie(&mut self) -> u32 {
        self.trie.id()
    }
}

/// Has poolguard enforce a configuration on the interfaces of a box.
pub(super) fn enforce(inside: &Namespace, configuration: &Configuration) -> Apparatus {
    let compiled = host::load(configuration, Timestamp::now());
    let mut apparatus = Apparatus::open();
    let dataplane = apparatus.dataplane();
    inside.run(|| {
        let generation = must(dataplane.load(&compiled));
        must(dataplane.enforce(generation, Demand::All));
    });
    apparatus
}

/// Attaches xdp-filter to an interface, as its manual says, and gives the number
/// of its program.
///
/// Without libxdp's dispatcher, which lets several programs share an interface:
/// the kernel lets nobody call that, and it costs time. The maps are pinned in a
/// BPF filesystem that goes with the shell, the program and its maps stay.
pub fn xdp_filter(namespace: &Namespace, interface: &str) -> u32 {
    let ports: String = PORTS[..10]
        .iter()
        .map(|port| format!(" && xdp-filter port {port} --mode dst --proto tcp"))
        .collect();
    let script = format!(
        "mount -t bpf bpf /sys/fs/bpf && xdp-filter load --features tcp {interface}{ports}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    command.env("LIBXDP_SKIP_DISPATCHER", "1");
    let output = namespace.run(|| command.output().unwrap());
    assert!(output.status.success(), "xdp-filter: {output:?}");
    attached(namespace, interface)
}

/// The number of the XDP program that is attached to an interface.
pub fn attached(namespace: &Namespace, interface: &str) -> u32 {
    let json = namespace.ip(&format!("-json link show {interface}"));
    let links: serde_json::Value = serde_json::from_str(&json).unwrap();
    let id = links[0]["xdp"]["prog"]["id"].as_u64();
    id.unwrap_or_else(|| panic!("no program at {interface}: {json}")) as u32
}
