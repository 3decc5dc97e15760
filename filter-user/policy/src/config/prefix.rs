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
