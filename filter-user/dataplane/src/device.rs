//! What the kernel says of a device.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::{
    packet_core::NLM_F_DUMP,
    packet_route::{
        RouteNetlinkMessage,
        link::{
            InfoData, InfoKind, InfoTun, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo,
            LinkLayerType, LinkMessage, LinkXdp,
        },
    },
};
use rustix::io::Errno;

use super::netlink::ask;

/// A device as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) index: u32,
    /// What `ip link` calls it. It may have alternative names besides.
    pub(super) name: String,
    /// What its frames begin with.
    pub(super) header: LinkLayerType,
    /// What made it. A network card has none.
    pub(super) kind: Option<InfoKind>,
    /// Whether it is a tun or tap device without an Ethernet header.
    pub(super) is_tun: bool,
    /// Its largest frame, without the Ethernet header.
    pub(super) mtu: u32,
    /// Whether it is up, and its cable is plugged in.
    pub(super) is_up: bool,
    /// Whether somebody has told it to take frames for others. A bridge, or
    /// somebody who listens on a socket, does not show here.
    pub(super) is_promiscuous: bool,
    /// The index of the bridge or bond that it is a port of.
    pub(super) controller: Option<u32>,
    /// The index of the device that its frames come from, where it gets a part of
    /// the frames of another one and that one is in this network namespace.
    pub(super) lower: Option<u32>,
    /// The numbers of the XDP programs that are attached to it: one, or one that its
    /// card runs and another one that this machine does.
    pub(super) programs: Vec<u32>,
}

impl Device {
    /// The device with an index, if there is one.
    pub(super) fn get(index: u32) -> io::Result<Option<Self>> {
        let mut question = LinkMessage::default();
        question.header.index = index;
        match Self::ask(question, 0) {
            Err(error) if is_gone(&error) => Ok(None),
            devices => Ok(devices?.pop()),
        }
    }

    /// The ports of a bridge or bond, by its index.
    pub(super) fn ports(controller: u32) -> io::Result<Vec<Self>> {
        let mut question = LinkMessage::default();
        // The kernel leaves out all others.
        let only = LinkAttribute::Controller(controller);
        question.attributes.push(only);
        Self::ask(question, NLM_F_DUMP)
    }

    /// All of this network namespace.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        Self::ask(LinkMessage::default(), NLM_F_DUMP)
    }

    /// The devices that this one gets its frames from, the nearest one first.
    pub(super) fn below(&self) -> io::Result<Vec<Self>> {
        let mut below: Vec<Self> = Vec::new();
        let mut next = self.lower;
        while let Some(index) = next {
            let Some(device) = Self::get(index)? else {
                break;
            };
            next = device.lower;
            below.push(device);
        }
        Ok(below)
    }

    fn ask(mut question: LinkMessage, flags: u16) -> io::Result<Vec<Self>> {
        let without_figures = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
        question.attributes.push(without_figures);
        let question = RouteNetlinkMessage::GetLink(question);
        let answers = ask(NETLINK_ROUTE, question, flags)?.into_iter();
        let devices = answers.filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(Self::of(link)),
            _ => None,
        });
        Ok(devices.collect())
    }

    /// One of which nothing is known, and that is taken for a network card.
    pub(super) fn unreadable(index: u32, name: &str) -> Self {
        Self {
            index,
            name: name.to_owned(),
            header: LinkLayerType::Ether,
            kind: None,
            is_tun: false,
            mtu: 0,
            is_up: false,
            is_promiscuous: false,
            controller: None,
            lower: None,
            programs: Vec::new(),
        }
    }

    fn of(link: LinkMessage) -> Self {
        let flags = link.header.flags;
        let mut device = Self {
            header: link.header.link_layer_type,
            is_up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
            is_promiscuous: flags.contains(LinkFlags::Promisc),
            ..Self::unreadable(link.header.index, "")
        };
        let (mut lower, mut is_elsewhere) = (None, false);
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name = name,
                LinkAttribute::Mtu(mtu) => device.mtu = mtu,
                LinkAttribute::Controller(index) => device.controller = Some(index),
                LinkAttribute::Link(index) => lower = Some(index),
                LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
                LinkAttribute::LinkInfo(infos) => device.add(infos),
                LinkAttribute::Xdp(facts) => {
                    let programs = facts.into_iter().filter_map(|fact| match fact {
                        LinkXdp::ProgId(number)
                        | LinkXdp::DrvProgId(number)
                        | LinkXdp::SkbProgId(number)
                        | LinkXdp::HwProgId(number) => Some(number),
                        _ => None,
                    });
                    device.programs = programs.collect();
                }
                _ => {}
            }
        }
        device.controller = device.controller.filter(|&index| index != 0);
        // A veth has its other end there, and a tunnel what it goes through.
        let gets_a_part = matches!(
            device.kind,
            Some(
                InfoKind::Vlan
                    | InfoKind::MacVlan
                    | InfoKind::MacVtap
                    | InfoKind::IpVlan
                    | InfoKind::IpVtap
                    | InfoKind::MacSec
            )
        );
        device.lower = lower.filter(|&index| index != 0 && gets_a_part && !is_elsewhere);
        device
    }

    fn add(&mut self, infos: Vec<LinkInfo>) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = Some(kind),
                LinkInfo::Data(InfoData::Tun(facts)) => self.is_tun = facts.iter().any(is_tun),
                _ => {}
            }
        }
    }
}

/// Whether this says that a device is a tun and not a tap. Its hardware type alone
/// does not: whoever owns one sets that as he likes (`TUNSETLINK`).
fn is_tun(fact: &InfoTun) -> bool {
    use rtnetlink::packet_core::Nla as _;
    /// `IFLA_TUN_TYPE` in `linux/if_link.h`.
    const TYPE: u16 = 3;
    /// `IFF_TUN` in `linux/if_tun.h`.
    const TUN: u8 = 1;
    if fact.kind() != TYPE {
        return false;
    }
    let mut value = vec![0; fact.value_len()];
    fact.emit_value(&mut value);
    value == [TUN]
}

/// Has a device take frames for others as well, or no longer. Not as somebody who
/// listens on a socket does: that would end with this process.
pub(super) fn set_promiscuous(index: u32, is_on: bool) -> io::Result<()> {
    let mut wish = LinkMessage::default();
    wish.header.index = index;
    wish.header.change_mask = LinkFlags::Promisc;
    if is_on {
        wish.header.flags = LinkFlags::Promisc;
    }
    ask(NETLINK_ROUTE, RouteNetlinkMessage::SetLink(wish), 0).map(drop)
}

/// Whether there is no such device any more.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}
