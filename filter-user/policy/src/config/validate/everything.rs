//! Sets of prefixes that come to nearly everything, as a default route in two halves
//! does: a slip, which would filter for everybody, or let everybody send mail.

use ipnet::IpNet;

use crate::config::{
    draft::Draft, mistakes::Mistakes, reader::List, report::Diagnostic, text::Placed,
};

/// The most of each family, as the length of a prefix: a quarter of IPv4, which is more
/// than anybody has, and 1/32 of what is handed out of IPv6 (2000::/3), where nobody has
/// more than a /16.
const MOST: [(&str, u8, u8); 2] = [("IPv4", 32, 2), ("IPv6", 128, 8)];

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    let pools = draft.pools.iter().flat_map(|pool| &pool.prefixes);
    check_set("the pools", pools, mistakes);
    let servers = draft.mail.iter().flat_map(|mail| &mail.servers);
    check_set("the mail servers", servers, mistakes);
}

fn check_set<'a>(
    what: &str,
    lists: impl Iterator<Item = &'a List<IpNet>>,
    mistakes: &mut Mistakes,
) {
    let items: Vec<_> = lists.flat_map(|list| &list.items).collect();
    for (family, longest, most) in MOST {
        let of_family = |item: &&&Placed<IpNet>| item.value.max_prefix_len() == longest;
        let prefixes: Vec<IpNet> = items
            .iter()
            .filter(of_family)
            .map(|item| item.value)
            .collect();
        // In units of a prefix of 32 bits: shorter ones alone can come to so much.
        let size = |prefix: &IpNet| 1_u64 << (32 - prefix.prefix_len().min(32));
        let total: u64 = IpNet::aggregate(&prefixes).iter().map(size).sum();
        let widest = items
            .iter()
            .filter(of_family)
            .min_by_key(|item| item.value.prefix_len());
        if let Some(widest) = widest.filter(|_| total > 1 << (32 - most)) {
            let message = format!("{what} have more than a /{most} of {family} in all");
            let help = "write the prefixes that are meant: this is close to a default route";
            mistakes.push(Diagnostic::error(&widest.place, message).help(help));
        }
    }
}
