//! What is joined by wires, and that nothing is left over.

use std::collections::{HashMap, HashSet};

use super::once::twice;
use crate::config::{
    draft::{Draft, InterfaceDraft, WireDraft},
    mistakes::Mistakes,
    model::Attach,
    reader::List,
    report::Diagnostic,
    text::{Place, Placed},
    words::quoted,
};

pub(super) fn check(draft: &Draft, mistakes: &mut Mistakes) {
    match &draft.is_wire {
        // Nobody knows what was meant.
        Some(is_wire) if is_wire.guessed => {}
        None if mistakes.may_lack("forwarding") => {}
        Some(is_wire) if is_wire.value => check_wires(draft, &is_wire.place, mistakes),
        _ => refuse_wires(draft, mistakes),
    }
}

fn refuse_wires(draft: &Draft, mistakes: &mut Mistakes) {
    let words = draft.interfaces.iter().flat_map(|known| &known.is_wire);
    for word in words.filter(|word| word.value && !word.guessed) {
        let message = "`forwarding = \"wire\"` at an interface of a box that has no wires";
        let help = "write it at the top of the main file, with a [[wire]], or remove it";
        mistakes.push(Diagnostic::error(&word.place, message).help(help));
    }
    for wire in &draft.wires {
        let message = "a wire under `forwarding = \"kernel\"`: nothing would be done with it";
        let help = "write `forwarding = \"wire\"` at the top of the main file, or remove it";
        mistakes.push(Diagnostic::error(&wire.place, message).help(help));
    }
}

fn check_wires(draft: &Draft, forwarding: &Place, mistakes: &mut Mistakes) {
    for interface in &draft.interfaces {
        if !is_beside(interface) {
            check_attach(interface, mistakes);
        }
    }
    for wire in &draft.wires {
        check_count(wire, mistakes);
    }
    check_ends(draft, mistakes);
    check_beside(draft, mistakes);
    if mistakes.may_lack("wire") {
        return;
    }
    if draft.wires.is_empty() {
        let message = "no wire joins any interfaces";
        let help = "add a [[wire]] with `ends = [\"eth1\", \"eth0\"]` for each pair";
        mistakes.push(Diagnostic::error(forwarding, message).help(help));
    } else if draft.wires.iter().all(has_all_ends) {
        check_loose(draft, mistakes);
    }
}

/// Generic XDP sends through the network stack, a frame at a time.
fn check_attach(interface: &InterfaceDraft, mistakes: &mut Mistakes) {
    let generic = |attach: &&Placed<Attach>| attach.value == Attach::Generic;
    if let Some(attach) = interface.attach.as_ref().filter(generic) {
        let message = "`attach = \"generic\"` at the end of a wire";
        let help = "remove it: wires take native XDP. A driver without it can do \
                    `forwarding = \"kernel\"`, which is no slower then";
        mistakes.push(Diagnostic::error(&attach.place, message).help(help));
    }
}

fn check_count(wire: &WireDraft, mistakes: &mut Mistakes) {
    // Half of a wire without brackets around it has been complained about.
    let is_written = |ends: &&List<String>| ends.complete && !ends.items.iter().any(|e| e.guessed);
    let ends = wire.ends.as_ref().filter(is_written);
    if let Some(ends) = ends.filter(|ends| ends.items.len() != 2) {
        let message = match ends.items.len() {
            1 => "a wire with 1 end".to_owned(),
            count => format!("a wire with {count} ends"),
        };
        let help = "write the two interfaces that it joins: [\"eth1\", \"eth0\"]";
        mistakes.push(Diagnostic::error(&ends.place, message).help(help));
    }
}

/// That each end is an interface, and the end of one wire.
fn check_ends(draft: &Draft, mistakes: &mut Mistakes) {
    let names = draft.interfaces.iter().flat_map(|known| &known.name);
    let names: HashSet<&str> = names.map(|name| name.value.as_str()).collect();
    let lacks_names =
        mistakes.may_lack("interface") || draft.interfaces.iter().any(|known| known.name.is_none());
    let mut first: HashMap<&str, &Placed<String>> = HashMap::new();
    for end in ends(draft).filter(|end| !end.guessed) {
        let name = end.value.as_str();
        if let Some(first) = first.get(name) {
            mistakes.push(twice(&format!("wire end {}", quoted(name)), end, first));
            continue;
        }
        first.insert(name, end);
        if !names.contains(name) && !lacks_names {
            let message = format!("{} is no [[interface]]", quoted(name));
            let help = "name another one, or add an [[interface]] of this name: what arrives there \
                        is filtered as well";
            mistakes.push(Diagnostic::error(&end.place, message).help(help));
        }
    }
}

/// That what the kernel forwards is the end of no wire.
fn check_beside(draft: &Draft, mistakes: &mut Mistakes) {
    for interface in &draft.interfaces {
        let (Some(name), Some(is_wire)) = (&interface.name, &interface.is_wire) else {
            continue;
        };
        if !is_beside(interface) {
            continue;
        }
        let is_end = |end: &Placed<String>| !end.guessed && end.value == name.value;
        if ends(draft).any(is_end) {
            let message = format!(
                "`forwarding = \"kernel\"` for {}, which is the end of a wire",
                quoted(&name.value)
            );
            let help = "remove it, or the [[wire]]";
            mistakes.push(Diagnostic::error(&is_wire.place, message).help(help));
        }
    }
}

/// That no interface is left over.
fn check_loose(draft: &Draft, mistakes: &mut Mistakes) {
    let joined: HashSet<&str> = ends(draft).map(|end| end.value.as_str()).collect();
    let by_wire = draft.interfaces.iter().filter(|known| !is_beside(known));
    let names = by_wire.flat_map(|known| &known.name);
    for name in names.filter(|name| !joined.contains(name.value.as_str())) {
        let message = format!("interface {} is in no wire", quoted(&name.value));
        let help = "add a [[wire]] that joins it to another one, or `forwarding = \"kernel\"` to \
                    its [[interface]] if the kernel routes what it permits";
        mistakes.push(Diagnostic::error(&name.place, message).help(help));
    }
}

/// Whether the kernel is to forward what this interface permits.
fn is_beside(interface: &InterfaceDraft) -> bool {
    let mut word = interface.is_wire.iter();
    word.any(|is_wire| !is_wire.value)
}

fn ends(draft: &Draft) -> impl Iterator<Item = &Placed<String>> {
    let lists = draft.wires.iter().flat_map(|wire| &wire.ends);
    lists.flat_map(|list| &list.items)
}

fn has_all_ends(wire: &WireDraft) -> bool {
    wire.ends.as_ref().is_some_and(|ends| ends.complete)
}
