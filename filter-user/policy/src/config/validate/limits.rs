//! How much the tables of the program hold.

use std::collections::HashSet;

use filter_common::{PortClass, counters};

use crate::{
    config::{
        draft::{DEFAULT_FORBIDDEN, DEFAULT_MAIL_PORTS, Draft},
        mistakes::Mistakes,
        port::{PortRange, PortSpec},
        reader::List,
        report::Diagnostic,
        text::Place,
    },
    partition::{ListOf, Lists, Partition, culprits},
};

/// One slot counts what concerns no pool.
const POOLS: usize = counters::POOLS as usize - 1;
const INTERFACES: usize = counters::INTERFACES as usize;
const WRITTEN_PORTS: usize = counters::PORTS as usize;
const PORT_CLASSES: usize = PortClass::MAX as usize;

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    if let Some(pool) = draft.pools.get(POOLS) {
        let message = format!("more than {POOLS} pools");
        let help = "merge pools of the same kind: a pool can have many prefixes";
        mistakes.push(Diagnostic::error(&pool.place, message).help(help));
    }
    if let Some(interface) = draft.interfaces.get(INTERFACES) {
        let message = format!("more than {INTERFACES} interfaces");
        let help =
            "list the interfaces that traffic to or from customers arrives at, and no others";
        mistakes.push(Diagnostic::error(&interface.place, message).help(help));
    }
    check_port_labels(draft, mistakes);
    check_port_classes(draft, mistakes);
}

/// Ports are counted as they are written.
fn check_port_labels(draft: &Draft, mistakes: &mut Mistakes) {
    let mail_ports = draft.mail.as_ref().and_then(|mail| mail.ports.as_ref());
    let mut written: HashSet<PortRange> = HashSet::new();
    if draft.forbidden.is_none() {
        written.extend(DEFAULT_FORBIDDEN.map(PortRange::from));
    }
    if mail_ports.is_none() {
        written.extend(DEFAULT_MAIL_PORTS.map(PortRange::from));
    }
    let of_pools = draft
        .pools
        .iter()
        .filter_map(|pool| pool.forbidden.as_ref());
    let forbidden = draft.forbidden.iter().chain(of_pools);
    let forbidden = forbidden.flat_map(|list| &list.items);
    let forbidden = forbidden.map(|item| (item.value.ports, &item.place));
    let mail = mail_ports.into_iter().flat_map(|list| &list.items);
    let mail = mail.map(|item| (item.value.into(), &item.place));
    let mut all = mail.chain(forbidden);
    let one_too_many =
        all.find(|&(ports, _)| written.insert(ports) && written.len() > WRITTEN_PORTS);
    if let Some((_, place)) = one_too_many {
        let message = format!("more than {WRITTEN_PORTS} different ports and ranges of ports");
        let help = "all lists of forbidden ports and of mail ports count together; write neighbours \
                    as a range";
        mistakes.push(Diagnostic::error(place, message).help(help));
    }
}

/// What is forbidden, exempted or mail for the same protocols in the same lists is one
/// class of ports.
fn check_port_classes(draft: &Draft, mistakes: &mut Mistakes) {
    let ports = Ports::of(draft);
    let lists = ports.lists(draft);
    let mut partition = Partition::new(lists.ranges());
    let added = lists.split(&mut partition);
    let count = partition.count();
    if count <= PORT_CLASSES {
        return;
    }
    let places = culprits(added).into_iter().filter_map(|(which, more)| {
        let place = match which {
            ListOf::Forbidden(number) => ports.place_of_forbidden(draft, lists.forbidden[number]),
            ListOf::Mail => draft
                .mail
                .iter()
                .flat_map(|mail| &mail.ports)
                .next()
                .map(place_of),
            ListOf::Exempted(number) => ports.place_of_exempted(draft, lists.exempted[number]),
        };
        Some((place?, more))
    });
    let mut places = places.collect::<Vec<_>>().into_iter();
    let Some((first, more)) = places.next() else {
        return;
    };
    let message = format!(
        "the lists split the ports into {count} sets that are treated differently, and \
         {PORT_CLASSES} are possible: {more} by this list"
    );
    let help = "ports that the same lists name are one set, however many they are: write the same \
                ranges where the same is meant";
    let mut diagnostic = Diagnostic::error(&first, message).help(help);
    for (place, more) in places {
        diagnostic = diagnostic.see(&place, format!("{more} by this one"));
    }
    mistakes.push(diagnostic);
}

/// The lists of ports without their places.
struct Ports {
    common: Vec<PortSpec>,
    pools: Vec<Option<Vec<PortSpec>>>,
    mail: Vec<u16>,
    customers: Vec<Vec<PortSpec>>,
}

impl Ports {
    fn of(draft: &Draft) -> Self {
        let pools = draft.pools.iter();
        let customers = draft.customers.iter();
        Self {
            common: draft.box_forbidden(),
            pools: pools
                .map(|pool| pool.forbidden.as_ref().map(List::values))
                .collect(),
            mail: draft.mail_ports(),
            customers: customers
                .map(|known| {
                    known
                        .allow_inbound
                        .as_ref()
                        .map_or_else(Vec::new, List::values)
                })
                .collect(),
        }
    }

    fn lists<'a>(&'a self, draft: &'a Draft) -> Lists<'a> {
        let pools = self.pools.iter().zip(&draft.pools).map(|(own, pool)| {
            let kind = pool.kind.as_ref();
            let takes_any = kind.is_none_or(|kind| kind.value.takes_exemptions());
            (own.as_deref().unwrap_or(&self.common), takes_any)
        });
        let customers = self.customers.iter().map(Vec::as_slice);
        let rows = draft.lists.rows().terms();
        let rows = rows.map(|terms| &*terms.allow_inbound);
        Lists::new(
            &self.common,
            pools,
            &self.mail,
            customers.chain(rows),
            draft.return_traffic,
        )
    }

    fn place_of_forbidden(&self, draft: &Draft, wanted: &[PortSpec]) -> Option<Place> {
        let common = draft.forbidden.iter().filter(|_| self.common == wanted);
        let pools = self.pools.iter().zip(&draft.pools);
        let pools = pools.filter(|(own, _)| own.as_deref() == Some(wanted));
        let pools = pools.filter_map(|(_, pool)| pool.forbidden.as_ref());
        common.chain(pools).next().map(place_of)
    }

    fn place_of_exempted(&self, draft: &Draft, wanted: &[PortSpec]) -> Option<Place> {
        let mut tables = self.customers.iter().zip(&draft.customers);
        if let Some((_, customer)) = tables.find(|(own, _)| *own == wanted) {
            return customer.allow_inbound.as_ref().map(place_of);
        }
        let list = draft.lists.rows();
        let mut terms = list.terms();
        let number = terms.position(|terms| terms.allow_inbound == wanted)?;
        let row = list
            .rows()
            .iter()
            .find(|row| row.terms as usize == number)?;
        let customer = draft.lists.draft(row.file, row.line as usize);
        customer.allow_inbound.as_ref().map(place_of)
    }
}

fn place_of<T>(list: &List<T>) -> Place {
    list.place.clone()
}
