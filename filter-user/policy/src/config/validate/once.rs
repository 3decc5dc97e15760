//! What may be given once.

use std::{collections::HashMap, fmt::Display, hash::Hash};

use crate::config::{
    draft::Draft,
    mistakes::Mistakes,
    port::{PortRange, PortSpec},
    reader::List,
    report::Diagnostic,
    text::Placed,
    words::quoted,
};

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    let interfaces = draft.interfaces.iter().flat_map(|known| &known.name);
    check_names("interface", interfaces, mistakes);
    check_names(
        "pool",
        draft.pools.iter().flat_map(|pool| &pool.name),
        mistakes,
    );
    // A customer may be given many times, with other prefixes and other exemptions.
    let customers = draft.customers.iter();
    // A pool, a customer and a mail server may share a prefix.
    check_prefixes(draft.pools.iter().flat_map(|pool| &pool.prefixes), mistakes);
    check_prefixes(
        customers.clone().flat_map(|known| &known.prefixes),
        mistakes,
    );
    let mail = draft.mail.iter();
    check_prefixes(mail.clone().flat_map(|mail| &mail.servers), mistakes);

    let lists = draft.forbidden.iter();
    let lists = lists.chain(draft.pools.iter().flat_map(|pool| &pool.forbidden));
    for list in lists.chain(customers.flat_map(|known| &known.allow_inbound)) {
        check_ports(list, mistakes);
    }
    for ports in mail.flat_map(|mail| &mail.ports) {
        check_each(&ports.items, |port| format!("port {port}"), mistakes);
    }
}

fn check_names<'a>(
    what: &str,
    names: impl Iterator<Item = &'a Placed<String>>,
    mistakes: &mut Mistakes,
) {
    check_each(names, |name| format!("{what} {}", quoted(name)), mistakes);
}

fn check_prefixes<'a, T: Display + Eq + Hash + 'a>(
    lists: impl Iterator<Item = &'a List<T>>,
    mistakes: &mut Mistakes,
) {
    let prefixes = lists.flat_map(|list| &list.items);
    check_each(prefixes, |prefix| format!("prefix {prefix}"), mistakes);
}

fn check_each<'a, T: Eq + Hash + 'a>(
    items: impl IntoIterator<Item = &'a Placed<T>>,
    name: impl Fn(&T) -> String,
    mistakes: &mut Mistakes,
) {
    let mut first: HashMap<&T, &Placed<T>> = HashMap::new();
    for item in items {
        if item.guessed {
            continue;
        }
        match first.get(&item.value) {
            Some(first) => mistakes.push(twice(&name(&item.value), item, first)),
            None => {
                first.insert(&item.value, item);
            }
        }
    }
}

pub(super) fn twice<T>(name: &str, item: &Placed<T>, first: &Placed<T>) -> Diagnostic {
    Diagnostic::error(&item.place, format!("{name} is given twice"))
        .help("remove one of them")
        .see(&first.place, "first given here")
}

/// Ports are given twice also by naming all of their protocols and one of them. Ranges
/// may overlap: of two that do, neither says what the other does.
pub(super) fn check_ports(list: &List<PortSpec>, mistakes: &mut Mistakes) {
    let mut known: HashMap<PortRange, Vec<&Placed<PortSpec>>> = HashMap::new();
    for item in list.items.iter().filter(|item| !item.guessed) {
        let same_ports = known.entry(item.value.ports).or_default();
        let first = same_ports
            .iter()
            .find(|first| first.value.overlaps(item.value));
        match first {
            Some(first) => mistakes.push(twice(&format!("port {}", item.value), item, first)),
            None => same_ports.push(item),
        }
    }
}
