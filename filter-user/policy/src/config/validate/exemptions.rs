//! Customers, the pools that they are in, and what their exemptions open.

use filter_common::Protocol;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    config::{
        customer_list::CustomerList,
        draft::{CustomerDraft, Draft, PoolDraft},
        mistakes::Mistakes,
        port::{PortRange, PortSpec},
        reader::List,
        report::Diagnostic,
        text::Placed,
        words::list,
    },
    prefix_map::{PrefixMap, is_covered},
};

pub(super) fn check(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    now: Timestamp,
    mistakes: &mut Mistakes,
) {
    for customer in &draft.customers {
        surroundings.check(customer, now, mistakes);
    }
}

fn warn_expired(customer: &CustomerDraft, expires: &Placed<Timestamp>, mistakes: &mut Mistakes) {
    let message = format!("the exemptions of {} have expired", customer.title());
    let help = "remove the customer, or write a later date";
    mistakes.push(Diagnostic::warning(&expires.place, message).help(help));
}

/// A pool with what it forbids.
struct Home<'a> {
    draft: &'a PoolDraft,
    forbidden: Vec<PortSpec>,
    /// Whether `forbidden` lacks nothing that was written.
    is_known: bool,
}

impl Home<'_> {
    /// `None` where that is not known.
    fn takes_exemptions(&self) -> Option<bool> {
        let kind = self.draft.kind.as_ref()?;
        Some(kind.value.takes_exemptions())
    }

    fn forbids(&self, port: PortSpec) -> bool {
        self.forbidden.iter().any(|&known| known.overlaps(port))
    }

    fn describe(&self) -> String {
        let ports: Vec<_> = self.forbidden.iter().map(PortSpec::to_string).collect();
        let ports = match ports.is_empty() {
            true => "nothing".to_owned(),
            false => list(&ports, "and"),
        };
        format!("{} forbids {ports}", self.draft.title())
    }
}

/// What a customer is held against.
pub(super) struct Surroundings<'a> {
    pools: PrefixMap<(&'a Placed<IpNet>, usize)>,
    homes: Vec<Home<'a>>,
    /// Whether there may be pools that could not be read.
    lacks_pools: bool,
    /// Those of tables, and where each prefix is written.
    customers: PrefixMap<&'a Placed<IpNet>>,
    listed: &'a CustomerList,
    mail_servers: PrefixMap<()>,
    mail_ports: Vec<u16>,
    direct_smtp: bool,
}

/// What decides, together with its terms, what there is to say about a
/// customer of one prefix that nothing more specific lies in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Situation {
    home: Option<usize>,
    is_mail_server: bool,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(draft: &'a Draft, mistakes: &Mistakes) -> Self {
        let prefixes = draft.pools.iter().enumerate().flat_map(|(index, pool)| {
            let items = items(&pool.prefixes);
            items.iter().map(move |item| (item.value, (item, index)))
        });
        let customers = draft.customers.iter();
        let customers = customers.flat_map(|customer| items(&customer.prefixes));
        let mail_servers = draft.mail.iter().flat_map(|mail| items(&mail.servers));
        Self {
            pools: PrefixMap::new(prefixes),
            homes: homes(draft, mistakes.may_lack("forbidden")),
            lacks_pools: mistakes.may_lack("pool") || !draft.pools.iter().all(has_all_prefixes),
            customers: PrefixMap::new(customers.map(|item| (item.value, item))),
            listed: draft.lists.rows(),
            mail_servers: PrefixMap::new(mail_servers.map(|item| (item.value, ()))),
            mail_ports: draft.mail_ports(),
            direct_smtp: draft.mail.as_ref().is_some_and(|mail| mail.direct_smtp),
        }
    }

    /// Notes all that there is to say about a customer.
    pub(super) fn check(&self, customer: &CustomerDraft, now: Timestamp, mistakes: &mut Mistakes) {
        let homes = self.check_homes(customer, mistakes);
        self.check_ports(customer, &homes, mistakes);
        if !holds_exemptions(customer) {
            // A name, for `explain` and whoever reads events.
            return;
        }
        let expires = customer.expires.as_ref().filter(|expires| !expires.guessed);
        match expires {
            Some(expires) if expires.value <= now => warn_expired(customer, expires, mistakes),
            _ => self.check_use(customer, &homes, mistakes),
        }
    }

    /// The situation of a prefix, unless something more specific lies in it.
    pub(super) fn situation(&self, prefix: &IpNet) -> Option<Situation> {
        let has_inside =
            !self.pools.inside(prefix).is_empty() || !self.customers.inside(prefix).is_empty();
        (!has_inside).then(|| Situation {
            home: self.pools.containing(prefix).map(|(_, (_, index))| *index),
            is_mail_server: self.mail_servers.containing(prefix).is_some(),
        })
    }

    /// Where a table has this prefix as well.
    pub(super) fn same_prefix(&self, prefix: &IpNet) -> Option<&'a Placed<IpNet>> {
        let (found, item) = self.customers.containing(prefix)?;
        (found == prefix).then_some(*item)
    }

    /// The pools whose rules the customer's exemptions are from. Each prefix has to lie
    /// in a pool, and in one that takes exemptions if there are any.
    fn check_homes(&self, customer: &CustomerDraft, mistakes: &mut Mistakes) -> Vec<&Home<'a>> {
        let mut found = Vec::new();
        for prefix in items(&customer.prefixes) {
            let Some((_, (pool_prefix, index))) = self.pools.containing(&prefix.value) else {
                if !self.lacks_pools {
                    mistakes.push(self.outside(customer, prefix));
                }
                continue;
            };
            let home = &self.homes[*index];
            match home.takes_exemptions() {
                Some(true) => found.push(*index),
                Some(false) if holds_exemptions(customer) => {
                    mistakes.push(takes_none(customer, prefix, home, pool_prefix));
                }
                Some(false) | None => {}
            }
            // More specific pools have rules of their own for their part of it.
            let inside = self.pools.inside(&prefix.value).iter();
            let inside = inside.map(|(_, (_, index))| *index);
            found
                .extend(inside.filter(|&index| self.homes[index].takes_exemptions() == Some(true)));
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|index| &self.homes[index]).collect()
    }

    fn outside(&self, customer: &CustomerDraft, prefix: &Placed<IpNet>) -> Diagnostic {
        let message = format!("{} of {} lies in no pool", prefix.value, customer.title());
        let diagnostic = Diagnostic::error(&prefix.place, message);
        match self.pools.inside(&prefix.value).first() {
            Some((_, (part, index))) => diagnostic
                .help("write prefixes that lie in one pool each")
                .see(&part.place, self.homes[*index].draft.title()),
            None => diagnostic.help("correct it, or add it to a pool of kind \"static\""),
        }
    }

    /// Each port has to be forbidden by one of the customer's pools.
    fn check_ports(&self, customer: &CustomerDraft, homes: &[&Home<'_>], mistakes: &mut Mistakes) {
        if homes.is_empty() || !homes.iter().all(|home| home.is_known) {
            return;
        }
        for port in items(&customer.allow_inbound) {
            if homes.iter().any(|home| home.forbids(port.value)) {
                continue;
            }
            let title = customer.title();
            let message = format!("port {} is not forbidden toward {title}", port.value);
            let known: Vec<_> = homes.iter().map(|home| home.describe()).collect();
            let help = format!("remove it: {}", list(&known, "and"));
            mistakes.push(Diagnostic::error(&port.place, message).help(help));
        }
    }

    /// Warns of exemptions that open nothing.
    fn check_use(&self, customer: &CustomerDraft, homes: &[&Home<'_>], mistakes: &mut Mistakes) {
        self.warn_covered(customer, mistakes);
        let only_servers = self.is_only_mail_servers(customer);
        self.warn_smtp_out(customer, only_servers, mistakes);
        if only_servers {
            self.warn_open_for_mail(customer, homes, mistakes);
        }
    }

    /// The most specific customer's exemptions hold, and those of the most
    /// specific pool's customers.
    fn warn_covered(&self, customer: &CustomerDraft, mistakes: &mut Mistakes) {
        for prefix in items(&customer.prefixes) {
            let customers = self.customers.inside(&prefix.value).iter();
            let customers = customers.map(|&(prefix, _)| prefix);
            let listed = self.listed.within(&prefix.value);
            let listed = listed.map(|(_, listed)| listed);
            let listed = listed.filter(|listed| *listed != prefix.value);
            let pools = self.pools.inside(&prefix.value).iter();
            let pools = pools
                .filter(|(_, (_, index))| self.homes[*index].takes_exemptions() == Some(false))
                .map(|&(prefix, _)| prefix);
            let parts: Vec<_> = customers.chain(listed).chain(pools).collect();
            if !parts.is_empty() && is_covered(&prefix.value, parts) {
                let message = format!(
                    "the exemptions of {} can never match in {}: more specific prefixes cover all of it",
                    customer.title(),
                    prefix.value,
                );
                let help = "remove the prefix here, or the customers and pools in it";
                mistakes.push(Diagnostic::warning(&prefix.place, message).help(help));
            }
        }
    }

    /// Whether each address of the customer is a mail server's.
    fn is_only_mail_servers(&self, customer: &CustomerDraft) -> bool {
        let prefixes = items(&customer.prefixes);
        let is_server = |prefix: &Placed<_>| self.mail_servers.containing(&prefix.value).is_some();
        !prefixes.is_empty() && is_complete(&customer.prefixes) && prefixes.iter().all(is_server)
    }

    fn warn_smtp_out(&self, customer: &CustomerDraft, only_servers: bool, mistakes: &mut Mistakes) {
        let Some(allow) = customer.allow_smtp_out.as_ref().filter(|allow| allow.value) else {
            return;
        };
        let reason = match (self.direct_smtp, only_servers) {
            (true, _) => "`direct_smtp = \"pass\"` lets everyone send mail",
            (_, true) => "mail servers may send mail anyway",
            _ => return,
        };
        let message = format!("`allow_smtp_out` can never match: {reason}");
        mistakes.push(Diagnostic::warning(&allow.place, message).help("remove it"));
    }

    /// A mail server is reachable on the mail ports of TCP without exemption.
    fn warn_open_for_mail(
        &self,
        customer: &CustomerDraft,
        homes: &[&Home<'_>],
        mistakes: &mut Mistakes,
    ) {
        for port in items(&customer.allow_inbound) {
            let forbidden = homes.iter().flat_map(|home| &home.forbidden);
            let forbidden: Vec<_> = forbidden
                .filter(|known| known.overlaps(port.value))
                .collect();
            let is_mail = |known: &PortSpec| self.is_mail(*known, port.value);
            if !forbidden.is_empty() && forbidden.into_iter().all(is_mail) {
                let message = format!(
                    "port {} can never match: mail servers are reachable for mail anyway",
                    port.value
                );
                mistakes.push(Diagnostic::warning(&port.place, message).help("remove it"));
            }
        }
    }

    /// Whether all that is in both is TCP to mail ports.
    fn is_mail(&self, forbidden: PortSpec, allowed: PortSpec) -> bool {
        let is_tcp = forbidden.protocol.or(allowed.protocol) == Some(Protocol::Tcp);
        let both = forbidden.ports.and(allowed.ports);
        let mut both = both.into_iter().flat_map(PortRange::ports);
        is_tcp && both.all(|port| self.mail_ports.contains(&port))
    }
}

fn takes_none(
    customer: &CustomerDraft,
    prefix: &Placed<IpNet>,
    home: &Home<'_>,
    pool_prefix: &Placed<IpNet>,
) -> Diagnostic {
    let pool = home.draft.title();
    let message = format!(
        "{} of {} lies in {pool}, whose kind takes no exemptions",
        prefix.value,
        customer.title()
    );
    Diagnostic::error(&prefix.place, message)
        .help("only pools of kind \"static\" take exemptions")
        .see(&pool_prefix.place, pool)
}

/// Whether a customer is more than a name.
fn holds_exemptions(customer: &CustomerDraft) -> bool {
    let ports = customer.allow_inbound.as_ref();
    let opens = ports.is_some_and(|ports| !ports.is_empty());
    let sends = customer.allow_smtp_out.as_ref();
    opens || sends.is_some_and(|allow| allow.value)
}

fn items<T>(list: &Option<List<T>>) -> &[Placed<T>] {
    list.as_ref().map_or(&[], |list| &list.items)
}

fn is_complete<T>(list: &Option<List<T>>) -> bool {
    list.as_ref().is_some_and(|list| list.complete)
}

fn homes(draft: &Draft, lacks_ports: bool) -> Vec<Home<'_>> {
    let common = draft.box_forbidden();
    let home = |pool| home(pool, draft, &common, lacks_ports);
    draft.pools.iter().map(home).collect()
}

fn home<'a>(
    pool: &'a PoolDraft,
    draft: &Draft,
    common: &[PortSpec],
    lacks_ports: bool,
) -> Home<'a> {
    let own = pool.forbidden.as_ref();
    let written = own.or(draft.forbidden.as_ref());
    Home {
        draft: pool,
        forbidden: own.map_or_else(|| common.to_vec(), List::values),
        is_known: !lacks_ports && written.is_none_or(|list| list.complete),
    }
}

fn has_all_prefixes(pool: &PoolDraft) -> bool {
    is_complete(&pool.prefixes)
}
