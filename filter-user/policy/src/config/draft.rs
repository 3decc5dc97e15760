//! A configuration as it is written: well-formed piece by piece, where a
//! piece is there, and not yet checked as a whole.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use filter_common::{ReturnTraffic, Role, Sources};
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    model::{
        Attach, Config, Customer, Egress, Forwarding, Included, Interface, Mail, Metrics, Pool,
        PoolKind, Ports, Source, Terms, Wire,
    },
    port::PortSpec,
    read_list::Lists,
    reader::List,
    share::Share,
    text::{Place, Placed},
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) monitor: bool,
    /// `forwarding`, where it is given: whether it is `"wire"`.
    pub(super) is_wire: Option<Placed<bool>>,
    pub(super) wires: Vec<WireDraft>,
    pub(super) interfaces: Vec<InterfaceDraft>,
    /// The box-wide list, where one is given.
    pub(super) forbidden: Option<List<PortSpec>>,
    pub(super) return_traffic: ReturnTraffic,
    pub(super) mail: Option<MailDraft>,
    pub(super) pools: Vec<PoolDraft>,
    pub(super) customers: Vec<CustomerDraft>,
    pub(super) lists: Lists,
    pub(super) listen: Option<SocketAddr>,
    pub(super) max_change: Option<Share>,
    pub(super) included: Vec<Included>,
    /// As [`Config::hash`].
    pub(super) hash: String,
}

#[derive(Debug)]
pub(super) struct InterfaceDraft {
    pub(super) place: Place,
    pub(super) name: Option<Placed<String>>,
    pub(super) role: Option<Role>,
    pub(super) attach: Option<Placed<Attach>>,
    pub(super) sources: Option<Placed<Sources>>,
    /// `forwarding`, where it is given: whether it is `"wire"`.
    pub(super) is_wire: Option<Placed<bool>>,
    pub(super) egress: Option<Placed<Egress>>,
}

#[derive(Debug)]
pub(super) struct WireDraft {
    pub(super) place: Place,
    pub(super) ends: Option<List<String>>,
}

#[derive(Debug)]
pub(super) struct MailDraft {
    pub(super) servers: Option<List<IpNet>>,
    /// Where a list is given.
    pub(super) ports: Option<List<u16>>,
    pub(super) direct_smtp: bool,
    /// Where it is given.
    pub(super) smtp_replies: Option<Placed<bool>>,
}

#[derive(Debug)]
pub(super) struct PoolDraft {
    pub(super) place: Place,
    pub(super) name: Option<Placed<String>>,
    pub(super) kind: Option<Placed<PoolKind>>,
    pub(super) prefixes: Option<List<IpNet>>,
    /// Where it has a list of its own.
    pub(super) forbidden: Option<List<PortSpec>>,
    pub(super) monitor: bool,
}

#[derive(Debug)]
pub(super) struct CustomerDraft {
    pub(super) place: Place,
    pub(super) name: Option<Placed<String>>,
    pub(super) prefixes: Option<List<IpNet>>,
    pub(super) allow_inbound: Option<List<PortSpec>>,
    pub(super) allow_smtp_out: Option<Placed<bool>>,
    pub(super) ticket: Option<String>,
    pub(super) expires: Option<Placed<Timestamp>>,
    pub(super) source: Source,
}

/// What is forbidden where the configuration does not say.
pub(super) const DEFAULT_FORBIDDEN: [u16; 10] = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080];

/// Where mail is sent to where the configuration does not say.
pub(super) const DEFAULT_MAIL_PORTS: [u16; 1] = [25];

/// Where metrics are served where the configuration does not say.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9188);

/// What a reload may change where the configuration does not say.
const DEFAULT_MAX_CHANGE: Share = Share::percent(10);

impl<T: Clone> List<T> {
    /// The elements without their places.
    pub(super) fn values(&self) -> Vec<T> {
        self.items.iter().map(|item| item.value.clone()).collect()
    }
}

impl Draft {
    /// What is forbidden toward a pool without a list of its own.
    pub(super) fn box_forbidden(&self) -> Vec<PortSpec> {
        match &self.forbidden {
            Some(list) => list.values(),
            None => DEFAULT_FORBIDDEN.map(PortSpec::from).to_vec(),
        }
    }

    /// The ports that mail is sent to.
    pub(super) fn mail_ports(&self) -> Vec<u16> {
        let given = self.mail.as_ref().and_then(|mail| mail.ports.as_ref());
        given.map_or_else(|| DEFAULT_MAIL_PORTS.to_vec(), List::values)
    }

    /// The configuration; `None` if a piece is missing, which is a mistake that
    /// has been reported.
    pub(super) fn into_config(self) -> Option<Config> {
        let forbidden = self.box_forbidden();
        let mail_ports = self.mail_ports();
        let mail = self.mail?;
        Some(Config {
            monitor: self.monitor,
            forwarding: match self.is_wire {
                Some(Placed { value: true, .. }) => {
                    Forwarding::Wire(collect(self.wires, WireDraft::into_model)?)
                }
                _ => Forwarding::Kernel,
            },
            interfaces: collect(self.interfaces, InterfaceDraft::into_model)?,
            ports: Ports {
                forbidden,
                return_traffic: self.return_traffic,
            },
            mail: Mail {
                servers: mail.servers?.values(),
                ports: mail_ports,
                direct_smtp: mail.direct_smtp,
                smtp_replies: mail.smtp_replies.is_some_and(|replies| replies.value),
            },
            pools: collect(self.pools, PoolDraft::into_model)?,
            customers: collect(self.customers, CustomerDraft::into_model)?,
            listed: Arc::new(self.lists.into_rows()),
            metrics: Metrics {
                listen: self.listen.unwrap_or(DEFAULT_LISTEN),
            },
            max_change: self.max_change.unwrap_or(DEFAULT_MAX_CHANGE),
            included: self.included,
            hash: self.hash,
        })
    }
}

fn collect<D, M>(drafts: Vec<D>, into_model: impl Fn(D) -> Option<M>) -> Option<Vec<M>> {
    drafts.into_iter().map(into_model).collect()
}

impl InterfaceDraft {
    fn into_model(self) -> Option<Interface> {
        let role = self.role?;
        let egress = self.egress.map(|egress| egress.value);
        Some(Interface {
            name: self.name?.value,
            role,
            egress: egress.unwrap_or(Egress::by_default(role)),
            attach: self.attach.map(|attach| attach.value).unwrap_or_default(),
            sources: self
                .sources
                .map(|sources| sources.value)
                .unwrap_or_default(),
        })
    }
}

impl WireDraft {
    fn into_model(self) -> Option<Wire> {
        let ends = self.ends?.values().try_into().ok()?;
        Some(Wire { ends })
    }
}

impl PoolDraft {
    fn into_model(self) -> Option<Pool> {
        Some(Pool {
            name: self.name?.value,
            kind: self.kind?.value,
            prefixes: self.prefixes?.values(),
            forbidden: self.forbidden.as_ref().map(List::values),
            monitor: self.monitor,
        })
    }

    /// For messages.
    pub(super) fn title(&self) -> String {
        title("pool", self.name.as_ref())
    }
}

impl CustomerDraft {
    fn into_model(self) -> Option<Customer> {
        Some(Customer {
            name: self.name?.value,
            prefixes: self.prefixes?.values(),
            terms: Terms {
                allow_inbound: self
                    .allow_inbound
                    .map_or_else(Vec::new, |list| list.values()),
                allow_smtp_out: self.allow_smtp_out.is_some_and(|allow| allow.value),
                expires: self.expires.map(|expires| expires.value),
            },
            ticket: self.ticket,
            source: self.source,
        })
    }

    /// For messages.
    pub(super) fn title(&self) -> String {
        title("customer", self.name.as_ref())
    }
}

fn title(what: &str, name: Option<&Placed<String>>) -> String {
    match name {
        Some(name) => format!("{what} `{}`", name.value),
        None => format!("a {what}"),
    }
}
