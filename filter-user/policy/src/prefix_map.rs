//! Which prefix lies in which.

use std::net::IpAddr;

use ipnet::IpNet;

/// Prefixes without host bits, each with something that belongs to it.
#[derive(Debug)]
pub(crate) struct PrefixMap<T> {
    /// By first address, then by length: after a prefix come, without a gap,
    /// those that lie in it.
    sorted: Vec<(IpNet, T)>,
    /// The lengths that occur, the longest first, in IPv4 and in IPv6.
    lengths: [Vec<u8>; 2],
}

impl<T> PrefixMap<T> {
    /// Of a prefix that is given twice, the first one counts.
    pub(crate) fn new(prefixes: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let mut sorted: Vec<_> = prefixes.into_iter().collect();
        sorted.sort_by_key(|&(prefix, _)| prefix);
        sorted.dedup_by_key(|&mut (prefix, _)| prefix);
        let mut lengths = [Vec::new(), Vec::new()];
        for (prefix, _) in &sorted {
            lengths[family(prefix)].push(prefix.prefix_len());
        }
        for lengths in &mut lengths {
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            lengths.dedup();
        }
        Self { sorted, lengths }
    }

    /// The most specific prefix that contains all of `prefix`, or is it.
    pub(crate) fn containing(&self, prefix: &IpNet) -> Option<&(IpNet, T)> {
        self.lengths[family(prefix)]
            .iter()
            .filter(|&&length| length <= prefix.prefix_len())
            .find_map(|&length| {
                let shorter = IpNet::new(prefix.addr(), length).ok()?.trunc();
                let found = self.sorted.binary_search_by_key(&shorter, |&(key, _)| key);
                found.ok().map(|index| &self.sorted[index])
            })
    }

    /// The prefixes in `prefix` that are more specific, in order.
    pub(crate) fn inside(&self, prefix: &IpNet) -> &[(IpNet, T)] {
        let start = self.sorted.partition_point(|(other, _)| other <= prefix);
        let rest = &self.sorted[start..];
        let last = prefix.broadcast();
        // An IPv4 address is less than any IPv6 address, as with prefixes.
        let end = rest.partition_point(|(other, _)| other.network() <= last);
        &rest[..end]
    }
}

fn family(prefix: &IpNet) -> usize {
    match prefix {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => 1,
    }
}

/// Whether `parts`, which lie in `whole`, leave no address of it over.
pub(crate) fn is_covered(whole: &IpNet, mut parts: Vec<IpNet>) -> bool {
    parts.sort_unstable();
    let mut next = Some(bits(whole.network()));
    for part in parts {
        let (first, last) = (bits(part.network()), bits(part.broadcast()));
        match next {
            Some(next) if first > next => return false,
            // A part of what is covered already.
            Some(next) if last < next => {}
            Some(_) => next = last.checked_add(1),
            None => return true,
        }
    }
    next.is_none_or(|next| next > bits(whole.broadcast()))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn nets(prefixes: &[&str]) -> Vec<IpNet> {
        prefixes.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn map(prefixes: &[&str]) -> PrefixMap<()> {
        PrefixMap::new(nets(prefixes).into_iter().map(|prefix| (prefix, ())))
    }

    #[track_caller]
    fn containing(map: &PrefixMap<()>, prefix: &str) -> Option<String> {
        let prefix = prefix.parse().unwrap();
        map.containing(&prefix).map(|(found, ())| found.to_string())
    }

    #[test]
    fn the_most_specific_prefix_contains() {
        let map = map(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/24",
            "::/1",
            "8000::/1",
        ]);
        assert_eq!(containing(&map, "10.1.2.3/32").unwrap(), "10.1.2.0/24");
        assert_eq!(containing(&map, "10.1.2.0/24").unwrap(), "10.1.2.0/24");
        assert_eq!(containing(&map, "10.1.2.0/23").unwrap(), "10.1.0.0/16");
        assert_eq!(containing(&map, "10.2.0.0/15").unwrap(), "10.0.0.0/8");
        assert_eq!(containing(&map, "10.0.0.0/7"), None);
        assert_eq!(containing(&map, "11.0.0.0/8"), None);
        assert_eq!(containing(&map, "ffff::/16").unwrap(), "8000::/1");
    }

    #[test]
    fn inside_is_what_is_more_specific() {
        let map = map(&[
            "9.255.255.255/32",
            "10.0.0.0/8",
            "10.0.0.0/9",
            "10.255.255.255/32",
            "11.0.0.0/8",
            "::/64",
        ]);
        let inside = |prefix: &str| -> Vec<String> {
            let inside = map.inside(&prefix.parse().unwrap()).iter();
            inside.map(|(prefix, ())| prefix.to_string()).collect()
        };
        assert_eq!(inside("10.0.0.0/8"), ["10.0.0.0/9", "10.255.255.255/32"]);
        assert_eq!(inside("11.0.0.0/8"), [""; 0]);
        assert_eq!(inside("::/1"), ["::/64"]);
        assert_eq!(inside("12.0.0.0/8"), [""; 0]);
    }

    #[test]
    fn parts_cover_only_without_a_gap() {
        let covers = |whole: &str, parts: &[&str]| is_covered(&whole.parse().unwrap(), nets(parts));
        assert!(covers("10.0.0.0/8", &["10.128.0.0/9", "10.0.0.0/9"]));
        assert!(covers(
            "10.0.0.0/8",
            &["10.0.0.0/9", "10.0.0.0/24", "10.128.0.0/9"]
        ));
        assert!(!covers("10.0.0.0/8", &["10.0.0.0/9", "10.129.0.0/16"]));
        assert!(!covers("10.0.0.0/8", &["10.128.0.0/9"]));
        assert!(!covers("10.0.0.0/8", &["10.0.0.0/9"]));
        assert!(!covers("10.0.0.0/8", &[]));
        assert!(covers("fffe::/15", &["ffff::/16", "fffe::/16"]));
        assert!(covers(
            "ffff::/16",
            &["ffff::/17", "ffff:8000::/17", "ffff:ffff::/32"]
        ));
        assert!(covers("255.0.0.0/8", &["255.0.0.0/9", "255.128.0.0/9"]));
    }
}
