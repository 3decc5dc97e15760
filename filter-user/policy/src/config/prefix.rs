//! Prefixes as they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::de::DeValue;

use super::{
    reader::{Read, Value, Wrong},
    words::quoted,
};

const HELP: &str = "write a prefix such as \"198.51.100.0/24\" or \"2001:db8::/32\"";

/// A prefix, or an address, which is a prefix of full length.
pub(super) fn prefix(value: Value<'_, '_>) -> Read<IpNet> {
    let DeValue::String(written) = value.toml() else {
        return Err(value.unexpected("a prefix in quotes", HELP));
    };
    parse(written)
}

/// The same without the quotes.
pub(super) fn parse(written: &str) -> Read<IpNet> {
    let (address, length) = match written.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (written, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        let message = format!("{} is not a prefix", quoted(written));
        return Err(Wrong::new(message, HELP));
    };
    match length {
        Some(length) => with_length(address, length),
        None => check(IpNet::from(address)),
    }
}

fn with_length(address: IpAddr, length: &str) -> Read<IpNet> {
    let longest = IpNet::from(address).max_prefix_len();
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(odd_length(address, length));
    }
    match length.parse().map(|length| IpNet::new(address, length)) {
        Ok(Ok(prefix)) => check(prefix),
        _ => Err(Wrong::new(
            format!("a prefix length of {length}"),
            format!("a length here is 1 to {longest}"),
        )),
    }
}

/// A length that is no number: a netmask, perhaps.
fn odd_length(address: IpAddr, length: &str) -> Wrong<IpNet> {
    let message = format!("{} is not a prefix length", quoted(length));
    let masked = length.parse::<IpAddr>();
    match masked.map(|mask| IpNet::with_netmask(address, mask)) {
        Ok(Ok(prefix)) if prefix.prefix_len() > 0 => {
            let prefix = prefix.trunc();
            Wrong::new(message, format!("write \"{prefix}\"")).meaning(prefix)
        }
        _ => Wrong::new(message, HELP),
    }
}

/// What is a prefix and yet makes no sense in a filter.
fn check(prefix: IpNet) -> Read<IpNet> {
    let network = prefix.trunc();
    if prefix.prefix_len() == 0 {
        return Err(Wrong::new(
            format!("{network} is a default route: it means every address there is"),
            "write the prefixes that are meant",
        ));
    }
    if network != prefix {
        return Err(Wrong::new(
            format!("{prefix} has host bits set"),
            format!(
                "write \"{network}\", or \"{}\" for the one address",
                prefix.addr()
            ),
        )
        .meaning(network));
    }
    if let Some((never, what)) = never_a_customers(&prefix) {
        let message = match never.contains(&prefix) {
            true => format!("{prefix} is {what}"),
            false => format!("{prefix} has {what} in it, {never}"),
        };
        return Err(Wrong::new(
            message,
            "write the prefixes that are meant: no customer and no mail server has such an address",
        ));
    }
    match inside_ipv4_mapped(prefix) {
        Some(meant) => Err(Wrong::new(
            format!("{prefix} can never match: no packet has an IPv4-mapped address"),
            match meant {
                Some(meant) => format!("write \"{meant}\""),
                None => "write the IPv4 prefixes that are meant".to_owned(),
            },
        )),
        None => Ok(prefix),
    }
}

/// Addresses that nobody on the Internet has (RFC 6890, RFC 4291), and what they are.
const NEVER: [(IpNet, &str); 9] = [
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
    (v6(0, 0, 128), "unspecified"),
    (v6(0, 1, 128), "loopback"),
    (v6(0xfe80, 0, 10), "link-local"),
    (v6(0xff00, 0, 8), "multicast"),
];

const fn v4(octets: [u8; 4], length: u8) -> IpNet {
    let [a, b, c, d] = octets;
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(first: u16, last: u16, length: u8) -> IpNet {
    let address = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last);
    IpNet::V6(Ipv6Net::new_assert(address, length))
}

/// What is in a prefix, or around it, that is never a customer's.
fn never_a_customers(prefix: &IpNet) -> Option<&'static (IpNet, &'static str)> {
    let mut all = NEVER.iter();
    all.find(|(never, _)| never.contains(prefix) || prefix.contains(never))
}

/// The IPv4 prefix that an IPv4-mapped one was meant to be, if it is one. All
/// of IPv4 is nothing that anyone can mean.
fn inside_ipv4_mapped(prefix: IpNet) -> Option<Option<Ipv4Net>> {
    const MAPPED: Ipv6Addr = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
    const MAPPED_LENGTH: u8 = 96;
    let IpNet::V6(prefix) = prefix else {
        return None;
    };
    let mapped = Ipv6Net::new(MAPPED, MAPPED_LENGTH).ok()?;
    let address = prefix.network().to_ipv4_mapped()?;
    let length = prefix.prefix_len().checked_sub(MAPPED_LENGTH)?;
    mapped.contains(&prefix).then(|| {
        let meant = Ipv4Net::new(address, length).ok();
        meant.filter(|meant| meant.prefix_len() > 0)
    })
}
