//! The devices that XDP can filter, and those that it cannot.
//!
//! XDP judges Ethernet frames as they arrive at a device. On some devices it does
//! not see all of those that the device is there for, on others what it sees are
//! no Ethernet frames; the kernel attaches a program all the same. Told by what
//! made a device and what its frames begin with, never by its name. What is not
//! known here and has Ethernet frames is accepted.

use std::io;

use rtnetlink::packet_route::link::{InfoKind, LinkLayerType};
use thiserror::Error;

use super::device::Device;

/// Why what arrives at an interface cannot be filtered there, and where it can.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misplaced {
    /// A bridge hands its own device what is meant for the host (`br_pass_frame_up()`
    /// in `net/bridge/br_input.c`); what it forwards never comes there.
    #[error(
        "it is {what}: only what is meant for this host arrives there, and what is forwarded \
         would pass unfiltered. Configure {}",
        ports_of(bridge, ports)
    )]
    Bridge {
        /// A bridge, or something on one.
        what: String,
        /// The bridge's name.
        bridge: String,
        /// The names of its ports.
        ports: Vec<String>,
    },
    /// It gets what is sent to addresses that it has (`ipvlan_addr_lookup()` in
    /// `drivers/net/ipvlan/ipvlan_core.c`).
    #[error(
        "it is an ipvlan device: only what is sent to its own addresses arrives there, and \
         nothing that is forwarded. Configure {lower}"
    )]
    OwnAddresses {
        /// What it is on.
        lower: String,
    },
    /// Its frames begin with something else, or with nothing.
    #[error(
        "it is {what}: what arrives there has no Ethernet header, and IP read as one would be \
         judged wrongly, natively and generically. Configure {instead}"
    )]
    NoEthernet {
        /// As `ip -details link` calls it.
        what: String,
        /// Where else to filter.
        instead: &'static str,
    },
    /// It is a name for others, or a place where frames are sent to.
    #[error("it is {what}: no frame arrives there. Configure {instead}")]
    NothingArrives {
        /// As `ip -details link` calls it.
        what: String,
        /// Where else to filter.
        instead: String,
    },
    /// Another interface of the configuration is the same device: each has
    /// alternative names.
    #[error(
        "it is the same device as {other}: `ip link` shows one of the two names as altname. Configure \
         one of them"
    )]
    TwoNames {
        /// The other one.
        other: String,
    },
    /// Whatever arrives at the one arrives at the other as well.
    #[error(
        "its member {member} is configured as well, and what arrives there would be judged and \
         counted twice. Configure {member} and the other members, or this interface"
    )]
    Member {
        /// The other one.
        member: String,
    },
}

/// Why a device has no native XDP, and where it is to be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotNative {
    /// A network card, say.
    #[error("its driver has no native XDP. Use a driver that has it")]
    Driver,
    /// It gets a part of the frames of another device.
    #[error(
        "it is {what} on {lower}, and has no native XDP of its own. Configure {lower}, where its \
         frames arrive as well (tags are read past)"
    )]
    On {
        /// As `ip -details link` calls it.
        what: String,
        /// The other device.
        lower: String,
    },
    /// It hands the program to its members.
    #[error(
        "it is a bond, which has native XDP in the modes balance-rr, active-backup, balance-xor and \
         802.3ad if all its members have, and none of them a program. Configure {}",
        ports_of("the bond", .members)
    )]
    Bond {
        /// Their names.
        members: Vec<String>,
    },
    /// Its frames arrive elsewhere before.
    #[error("it is {what}, and has no native XDP. Configure {}", ports_of("it", .members))]
    Team {
        /// As `ip -details link` calls it.
        what: String,
        /// Their names.
        members: Vec<String>,
    },
    /// Its frames come out of packets.
    #[error("it is {what}, and tunnels have no native XDP")]
    Tunnel {
        /// As `ip -details link` calls it.
        what: String,
    },
}

/// The ports of a device, by name where there are any.
fn ports_of(of: &str, names: &[String]) -> String {
    match names {
        [] => format!("the ports of {of}"),
        names => names.join(", "),
    }
}

/// What keeps XDP from judging what arrives at a device.
///
/// # Errors
///
/// When the kernel cannot be asked.
pub(super) fn misplaced(device: &Device) -> io::Result<Option<Misplaced>> {
    if let Some(instead) = without_ethernet(device) {
        let what = what(device);
        return Ok(Some(Misplaced::NoEthernet { what, instead }));
    }
    let nothing_arrives = |instead: String| {
        Some(Misplaced::NothingArrives {
            what: what(device),
            instead,
        })
    };
    Ok(match &device.kind {
        Some(InfoKind::Bridge) => Some(bridge(what(device), device)?),
        // The host's own port of an Open vSwitch bridge.
        Some(InfoKind::Other(kind)) if kind == "openvswitch" => Some(Misplaced::Bridge {
            what: what(device),
            bridge: device.name.clone(),
            ports: Vec::new(),
        }),
        Some(InfoKind::IpVlan | InfoKind::IpVtap) => Some(Misplaced::OwnAddresses {
            lower: below(device)?,
        }),
        Some(InfoKind::Vrf) => nothing_arrives(ports_of("it", &port_names(device)?)),
        Some(InfoKind::Dummy | InfoKind::Ifb) => {
            nothing_arrives("the interfaces that frames come in at".to_owned())
        }
        _ => {
            let below = device.below()?;
            let found = below.iter().find(|below| is_bridge(below));
            let on = |found: &Device| format!("{} on {}", what(device), found.name);
            found.map(|found| bridge(on(found), found)).transpose()?
        }
    })
}

/// Why a device has no native XDP.
///
/// # Errors
///
/// When the kernel cannot be asked.
pub(super) fn not_native(device: &Device) -> io::Result<NotNative> {
    let what = what(device);
    Ok(match &device.kind {
        Some(InfoKind::Bond) => NotNative::Bond {
            members: port_names(device)?,
        },
        Some(InfoKind::Team) => NotNative::Team {
            what,
            members: port_names(device)?,
        },
        Some(
            InfoKind::Vxlan
            | InfoKind::Geneve
            | InfoKind::GreTap
            | InfoKind::GreTap6
            | InfoKind::ErSpan
            | InfoKind::Ip6ErSpan,
        ) => NotNative::Tunnel { what },
        _ if device.lower.is_some() => NotNative::On {
            what,
            lower: below(device)?,
        },
        _ => NotNative::Driver,
    })
}

/// Where to filter instead of on a device without Ethernet frames; none for one
/// that has them.
fn without_ethernet(device: &Device) -> Option<&'static str> {
    let is_ppp = |kind: &InfoKind| matches!(kind, InfoKind::Other(kind) if kind == "ppp");
    match device.header {
        LinkLayerType::Ether if !device.is_tun => None,
        LinkLayerType::Loopback => Some("the interfaces that frames come in at from elsewhere"),
        LinkLayerType::Ppp => Some(PPP),
        _ if device.kind.as_ref().is_some_and(is_ppp) => Some(PPP),
        _ => Some(
            "the Ethernet interfaces on which this traffic arrives before it goes in, or after it \
             has come out",
        ),
    }
}

/// Sessions come and go, and are counted by the interface that all of them come
/// in at.
const PPP: &str = "the Ethernet interface that PPPoE comes in at: what is in its sessions is judged \
                   there";

fn is_bridge(device: &Device) -> bool {
    device.kind == Some(InfoKind::Bridge)
}

fn bridge(what: String, bridge: &Device) -> io::Result<Misplaced> {
    Ok(Misplaced::Bridge {
        what,
        bridge: bridge.name.clone(),
        ports: port_names(bridge)?,
    })
}

fn port_names(device: &Device) -> io::Result<Vec<String>> {
    let ports = Device::ports(device.index)?.into_iter();
    Ok(ports.map(|port| port.name).collect())
}

/// The name of the device that one is on.
fn below(device: &Device) -> io::Result<String> {
    let below = device.below()?.into_iter().next();
    Ok(below.map_or_else(
        || "the interface that it is on".to_owned(),
        |device| device.name,
    ))
}

/// What a device is, with its article.
fn what(device: &Device) -> String {
    let kind = match &device.kind {
        _ if device.header == LinkLayerType::Loopback => return "the loopback device".to_owned(),
        None => return format!("a device of type {}", device.header),
        Some(InfoKind::Tun) if !device.is_tun => "tap".to_owned(),
        Some(kind) => kind.to_string(),
    };
    let article = match kind.starts_with(['a', 'e', 'i', 'o']) {
        true => "an",
        false => "a",
    };
    match kind.as_str() {
        "bridge" | "vlan" => format!("{article} {kind}"),
        _ => format!("{article} {kind} device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(header: LinkLayerType, kind: Option<InfoKind>) -> Device {
        Device {
            header,
            kind,
            ..Device::unreadable(7, "dev7")
        }
    }

    fn said(device: &Device) -> String {
        let why = misplaced(device).ok().flatten();
        why.map_or_else(String::new, |why| why.to_string())
    }

    #[test]
    fn what_has_ethernet_frames_is_accepted_whatever_made_it() {
        let other = Some(InfoKind::Other("something-new".to_owned()));
        for kind in [None, other, Some(InfoKind::Veth), Some(InfoKind::Tun)] {
            let device = device(LinkLayerType::Ether, kind);
            assert_eq!(misplaced(&device).ok(), Some(None), "{device:?}");
        }
    }

    #[test]
    fn what_has_none_is_refused_whatever_made_it() {
        for (header, kind) in [
            (LinkLayerType::Infiniband, None),
            (LinkLayerType::Rawip, Some(InfoKind::RmNet)),
            (LinkLayerType::None, Some(InfoKind::Xfrm)),
            // A bond takes on what its first member is.
            (LinkLayerType::Infiniband, Some(InfoKind::Bond)),
        ] {
            let said = said(&device(header, kind));
            assert!(said.contains("has no Ethernet header"), "{said}");
        }
        // Its owner says that it has.
        let tun = Device {
            is_tun: true,
            ..device(LinkLayerType::Ether, Some(InfoKind::Tun))
        };
        assert!(said(&tun).starts_with("it is a tun device"), "{tun:?}");
    }

    #[test]
    fn the_hosts_own_port_of_open_vswitch_is_a_bridge() {
        let kind = InfoKind::Other("openvswitch".to_owned());
        let said = said(&device(LinkLayerType::Ether, Some(kind)));
        assert!(said.contains("only what is meant for this host"), "{said}");
        assert!(said.ends_with("Configure the ports of dev7"), "{said}");
    }
}
