//! The data plane in the kernel.
//!
//! It holds the links that attach a [`Generation`] to the interfaces, and the
//! counters and the memory of flows, which outlive generations. Links and shared maps
//! are pinned in the instance's own directory, so that the kernel keeps them should
//! this process die. The next one [opens](Kernel::open) the directory and goes on from
//! what it finds.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use policy::{
    compile::{Amendment, Compiled, CompiledInterface, InUse, Slots},
    config::{Attach, Egress},
    instance::Instance,
    listing::some_of,
    totals::{Forgotten, Totals},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Attached, Books, Dataplane, DataplaneError, Demand, Event, Events, FlowMemory, Generation,
    InterfaceState, Links, Namespace, Readings, TableUse, books,
    bpf::Barrier,
    claims::Claims,
    egress::{ExitState, Exits, Judged},
    found::{Found, warn_of_given_away},
    link::{self, Place, name_or_number},
    maps,
    marks::Marks,
    notes::{BOOKS_BYTES, Notes},
    occupied::{above, check_above},
    pins::Pins,
    preflight,
    wire::{self, End, SetDevices},
};

/// Takes off what an earlier run has left attached, and removes its pins. Names
/// the interfaces that were joined by wires; nothing, if nothing was left at all.
///
/// # Errors
///
/// When privileges are missing, a pin cannot be removed, or the instance filters in another
/// network namespace.
pub fn detach_leftovers(instance: &Instance) -> Result<Option<Vec<String>>, DataplaneError> {
    preflight(instance)?;
    if Pins::existing(instance).is_none() {
        return Ok(None);
    }
    Found::of(instance)?.check_is_here(instance)?;
    let pins = Pins::open(instance)?;
    let mut settings = SetDevices::open(&pins)?;
    settings.check_namespace()?;
    let wired = settings.names();
    pins.create()?;
    pins.detach_links()?;
    let mut exits = Exits::none(instance.name());
    exits.take_over(&pins)?;
    exits.detach()?;
    let set_back = settings.keep_only(&[]);
    pins.remove_all()?;
    set_back.map(|()| Some(wired))
}

/// The links, the counters and the memory of flows of one instance.
#[derive(Debug)]
pub struct Kernel {
    pins: Pins,
    notes: Notes<BOOKS_BYTES>,
    books: Books,
    barrier: Barrier,
    is_new: bool,
    running: Option<Generation>,
    links: Links,
    /// The marks that frames leave by the programs of an earlier run, until a generation of
    /// this one takes their place.
    left: Vec<Marks>,
    /// What is at the ways out.
    exits: Exits,
    /// There since the first generation.
    flows: Option<Arc<FlowMemory>>,
    /// There since the first generation.
    judged: Option<Judged>,
    settings: SetDevices,
    /// What was said already of things that do not work.
    said: BTreeSet<String>,
    /// The interfaces of which it was said that somebody else's program comes first at the
    /// way out.
    behind: BTreeSet<String>,
    generations: u64,
}

/// What was done to an interface on the way to the next generation.
enum Step {
    /// It had no link, and has one.
    Attached,
    /// It had a link in this mode that served this interface, and has none.
    Detached(Attach, String),
    /// Its link went over to the next program. Before, it served this interface.
    Replaced(String),
}

/// Interfaces that are attached to together or not at all: the two ends of a wire,
/// or one that is the end of none.
struct Group<'a> {
    claims: Vec<(u32, &'a CompiledInterface)>,
    ends: Vec<End>,
}

impl<'a> Group<'a> {
    fn all(claims: &[(u32, &'a CompiledInterface)]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for &(index, interface) in claims {
            let is_other_end = |group: &&mut Self| {
                let mut ends = group.claims.iter();
                ends.any(|(_, end)| interface.peer.as_ref() == Some(&end.name))
            };
            match groups.iter_mut().find(is_other_end) {
                Some(group) => group.claims.push((index, interface)),
                None => groups.push(Self {
                    claims: vec![(index, interface)],
                    ends: Vec::new(),
                }),
            }
        }
        for group in &mut groups {
            group.ends = wire::ends(&group.claims);
        }
        groups
    }

    /// The interface that stands for it.
    fn name(&self) -> String {
        let names = self.claims.iter().map(|(_, interface)| &interface.name);
        names.min().cloned().unwrap_or_default()
    }
}

impl Kernel {
    /// Prepares to filter. What an earlier run has left attached goes on as it
    /// is, until [`enforce`](Self::enforce) takes it over.
    ///
    /// # Errors
    ///
    /// When something that a filter needs is missing, as [`preflight`] says, or
    /// the pins cannot be made, or they are not poolguard's, or they hold what filters in
    /// another network namespace.
    pub fn open(instance: &Instance) -> Result<Self, DataplaneError> {
        preflight(instance)?;
        let is_new = Pins::existing(instance).is_none();
        // Before anything is touched that may be somebody else's.
        let found = Found::of(instance)?;
        found.check_is_here(instance)?;
        let pins = Pins::open(instance)?;
        let mut settings = SetDevices::open(&pins)?;
        settings.forget(&found.given_away())?;
        let links = found.take_over()?;
        let mut exits = Exits::none(instance.name());
        exits.take_over(&pins)?;
        maps::discard_unfit(&pins)?;
        Ok(Self {
            notes: Notes::at(pins.books())?,
            books: Books::default(),
            barrier: Barrier::create().map_err(DataplaneError::Wait)?,
            settings,
            said: BTreeSet::new(),
            behind: BTreeSet::new(),
            pins,
            is_new,
            running: None,
            left: Marks::left_by(
                &links
                    .values()
                    .filter_map(Attached::program_id)
                    .chain(exits.programs())
                    .collect(),
            ),
            links,
            exits,
            flows: None,
            judged: None,
            generations: 0,
        })
    }

    /// Leaves tcx alone from now on, as on a kernel before 6.6: ways out have `clsact`
    /// filters then.
    #[must_use]
    pub fn without_tcx(mut self) -> Self {
        self.exits.without_tcx = true;
        self
    }

    fn noted<T: DeserializeOwned>(&self) -> Result<Noted<T, books::KeptBooks>, NotesError> {
        let text = self.notes.read()?;
        let noted: Noted<T, books::KeptBooks> = match text.is_empty() {
            false => serde_json::from_slice(&text)?,
            true => self.noted_by_shared()?,
        };
        for number in noted.books.numbers() {
            if !maps::are_counters(&self.pins.counters(number))? {
                return Err(NotesError::Unfit);
            }
        }
        Ok(noted)
    }

    /// What a poolguard noted whose generations shared their counters.
    fn noted_by_shared<T: DeserializeOwned>(
        &self,
    ) -> Result<Noted<T, books::KeptBooks>, NotesError> {
        let place = self.pins.shared_notes();
        if !place.exists() {
            return Err(NotesError::None);
        }
        if !maps::are_notes(&place, books::SHARED_NOTES_BYTES)? {
            return Err(NotesError::Unfit);
        }
        let text = Notes::<{ books::SHARED_NOTES_BYTES }>::at(place)?.read()?;
        if text.is_empty() {
            return Err(NotesError::None);
        }
        let Shared { slots } = serde_json::from_slice(&text)?;
        Ok(Noted {
            noted: serde_json::from_slice(&text)?,
            books: books::KeptBooks::shared(slots),
        })
    }

    fn replace_running(
        &mut self,
        mut next: Generation,
        demand: Demand,
    ) -> Result<Events, DataplaneError> {
        let interfaces = next.interfaces();
        let Claims {
            devices: claims,
            refused,
        } = Claims::of(&interfaces, &self.links)?;
        let mut events = Vec::new();
        for (interface, error) in refused {
            if demand == Demand::All && !self.waits_for(&interface, &interfaces) {
                return Err(error);
            }
            events.push((interface, Event::Failed(error)));
        }
        let mut groups = Group::all(&claims);
        // What can fail before what hardly can.
        groups.sort_by_key(|group| {
            let mut claims = group.claims.iter();
            claims.all(|&(index, interface)| self.can_replace(index, interface))
        });
        let before = self.settings.devices();
        let (mut done, mut ends) = (Vec::new(), Vec::new());
        for group in groups {
            let (set, steps) = (self.settings.devices(), done.len());
            match self.put_in(&mut next, &group, &claims, &mut done) {
                Ok(()) => ends.extend(group.ends),
                Err(error)
                    if demand == Demand::WhatCan || self.waits_for_group(&group, &interfaces) =>
                {
                    self.take_back(&mut next, done.split_off(steps));
                    log_unset(self.settings.go_back_to(set));
                    events.push((group.name(), Event::Failed(error)));
                }
                Err(error) => {
                    self.take_back(&mut next, done);
                    log_unset(self.settings.go_back_to(before));
                    return Err(error);
                }
            }
        }
        let exits = self.exits.devices();
        let open = self.fill_exits(&mut next, &claims, &mut Vec::new());
        for (interface, error) in open {
            if demand == Demand::All && !self.has_open_exit(&interface, &claims) {
                self.take_exits_back(&exits);
                self.take_back(&mut next, done);
                log_unset(self.settings.go_back_to(before));
                return Err(error);
            }
            events.push((interface, Event::Open(error)));
        }
        self.exits.keep_only(&claims);
        self.detach_all_but(&claims);
        self.note_judged(None);
        log_unset(self.settings.keep_only(&ends));
        wire::warn_of_side_effects(&ends, &mut self.said);
        self.books.came_into_force(next.number());
        self.running = Some(next);
        self.left.clear();
        self.pins.remove_other_maps();
        Ok(events)
    }

    /// Gives the ways out that are to be filtered the programs of a generation. Says which
    /// could not have it, and why.
    fn fill_exits(
        &mut self,
        generation: &mut Generation,
        claims: &[(u32, &CompiledInterface)],
        new: &mut Vec<String>,
    ) -> Vec<(String, DataplaneError)> {
        let mut open = Vec::new();
        for &(index, interface) in claims {
            if interface.egress != Egress::Filter {
                continue;
            }
            let name = &interface.name;
            let was_there = self.exits.serves(index, name);
            match self.exits.settle(&self.pins, index, generation, name) {
                Ok(()) if was_there => {}
                Ok(()) => new.push(name.clone()),
                Err(error) => open.push((name.clone(), error)),
            }
        }
        open
    }

    /// Whether the way out of an interface is open though the running generation was to
    /// filter it: that is said already, and keeps no other change off.
    fn has_open_exit(&self, interface: &str, claims: &[(u32, &CompiledInterface)]) -> bool {
        let running = self.running.as_ref().map(Generation::interfaces);
        let mut running = running.unwrap_or_default().into_iter();
        let was_wanted =
            running.any(|known| known.name == interface && known.egress == Egress::Filter);
        let mut claims = claims.iter();
        let index = claims.find(|(_, claim)| claim.name == interface);
        was_wanted && index.is_some_and(|(index, _)| self.exits.program(*index).is_none())
    }

    /// Has the ways out be as the running generation wants them, which had programs at
    /// these devices. What an earlier run had left there cannot be had back: the next
    /// program is better than none.
    fn take_exits_back(&mut self, before: &[u32]) {
        let new = self.exits.devices().into_iter();
        for index in new.filter(|index| !before.contains(index)) {
            if let Err(error) = self.exits.remove(index) {
                tracing::error!(
                    interface = %name_or_number(index), %error,
                    "cannot take the program off the way out again: what leaves there is judged"
                );
            }
        }
        let Some(mut running) = self.running.take() else {
            return;
        };
        let interfaces = running.interfaces();
        match Claims::of(&interfaces, &self.links) {
            Ok(claims) => {
                for (interface, error) in
                    self.fill_exits(&mut running, &claims.devices, &mut Vec::new())
                {
                    tracing::error!(
                        %interface, %error,
                        "cannot go back to the configuration in force at the way out. Reload once it \
                         can be"
                    );
                }
                self.exits.keep_only(&claims.devices);
            }
            Err(error) => tracing::error!(
                %error,
                "cannot go back to the configuration in force at the ways out. Reload once it can be"
            ),
        }
        self.running = Some(running);
    }

    /// Writes down whose frames are judged on arrival, for the programs at the ways out;
    /// without those of the device that is `leaving`.
    fn note_judged(&mut self, leaving: Option<u32>) {
        let links = self.links.iter();
        let on = links.filter(|(index, link)| Some(**index) != leaving && link.is_on(**index));
        let filtered = on.map(|(index, _)| *index).collect();
        let Some(judged) = &mut self.judged else {
            return;
        };
        if let Err(error) = judged.set(&filtered) {
            tracing::error!(
                %error,
                "cannot note which frames are judged on arrival: on the way out some may be judged and \
                 counted again. Tried again in a while"
            );
        }
    }

    /// Says once where somebody else's program has come before the one at a way out.
    fn warn_of_others_before(&mut self) {
        let behind = self.exits.behind();
        for interface in behind.difference(&self.behind) {
            tracing::warn!(
                %interface,
                "another program comes before poolguard's at the way out, and decides which frames \
                 that one sees (`bpftool net`): have it attached behind"
            );
        }
        for interface in self.behind.difference(&behind) {
            tracing::info!(%interface, "no other program comes before poolguard's at the way out");
        }
        self.behind = behind;
    }

    /// Settles the accounts of generations that decide nowhere any more.
    fn settle_accounts(&mut self) {
        let attached = self.links.values().filter_map(Attached::program_id);
        let attached = attached.chain(self.exits.programs());
        let mut idle = self.books.idle(&attached.collect());
        let running = self.running.as_ref().map(Generation::number);
        // It may wait for interfaces.
        idle.retain(|number| Some(*number) != running);
        if idle.is_empty() {
            return;
        }
        // A frame that came before a program was replaced may not be counted yet.
        let waited = self.barrier.wait().map_err(DataplaneError::Wait);
        match waited.and_then(|()| self.books.settle(&idle)) {
            Ok(forgotten) => log_forgotten(forgotten),
            Err(error) => tracing::warn!(
                %error,
                "counters of an earlier generation are kept apart, which does no harm, until the \
                 next generation"
            ),
        }
    }

    /// Gives each device of a group the program for its interface, and notes each
    /// step.
    fn put_in(
        &mut self,
        next: &mut Generation,
        group: &Group<'_>,
        claims: &[(u32, &CompiledInterface)],
        done: &mut Vec<(u32, Step)>,
    ) -> Result<(), DataplaneError> {
        // Of ends that are joined already it is said, and nothing else is refused
        // because of them.
        let new = self.settings.new_among(&group.ends);
        wire::check(&new)?;
        for end in &group.ends {
            self.settings.prepare(end, &self.pins)?;
            // Before the first frame that is to go there.
            next.send_to(&end.interface, end.peer_index)?;
        }
        for &(index, interface) in &group.claims {
            if !self.can_replace(index, interface) {
                self.make_way(index, &interface.name, claims, done)?;
            }
            self.settle(index, next, interface, done)?;
        }
        Ok(wire::check_ability(&new)?)
    }

    /// Whether the running generation has an interface just so: it is waited for, and
    /// may go on keeping everybody waiting.
    fn waits_for(&self, interface: &str, wanted: &[CompiledInterface]) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let (known, mut wanted) = (running.interfaces(), wanted.iter());
        let wanted = wanted.find(|wanted| wanted.name == interface);
        wanted.is_some_and(|wanted| {
            known.iter().any(|known| {
                (&known.name, known.attach, &known.peer)
                    == (&wanted.name, wanted.attach, &wanted.peer)
            })
        })
    }

    /// Whether a group is waited for, and nothing of it has the program.
    fn waits_for_group(&self, group: &Group<'_>, wanted: &[CompiledInterface]) -> bool {
        group.claims.iter().all(|&(index, interface)| {
            let link = self.links.get(&index);
            self.waits_for(&interface.name, wanted) && link.is_none_or(|link| !link.is_on(index))
        })
    }

    /// Takes the program off devices that leave the configuration for the one that
    /// they get their frames from: the kernel attaches nothing below them.
    fn make_way(
        &mut self,
        index: u32,
        interface: &str,
        claims: &[(u32, &CompiledInterface)],
        done: &mut Vec<(u32, Step)>,
    ) -> Result<(), DataplaneError> {
        let leaving = self.unclaimed(claims);
        if leaving.is_empty() {
            return Ok(());
        }
        for upper in above(index).map_err(DataplaneError::Interfaces)? {
            let Some(link) = self.links.get(&upper.index) else {
                continue;
            };
            if leaving.contains(&upper.index) {
                let step = Step::Detached(link.mode, link.serves.clone());
                self.detach_link(upper.index)?;
                done.push((upper.index, step));
                tracing::warn!(
                    interface = %upper.name,
                    "NOT ENFORCING here any more: {interface}, where its frames arrive before, is \
                     configured instead"
                );
            }
        }
        Ok(())
    }

    /// Attaches to a group of which nothing is attached, or to nothing of it.
    fn join(
        &mut self,
        running: &mut Generation,
        group: &Group<'_>,
        claims: &[(u32, &CompiledInterface)],
        events: &mut Events,
    ) -> bool {
        let set = self.settings.devices();
        let mut done = Vec::new();
        if let Err(error) = self.put_in(running, group, claims, &mut done) {
            self.take_back(running, done);
            log_unset(self.settings.go_back_to(set));
            events.push((group.name(), Event::Failed(error)));
            return false;
        }
        let attached = group
            .claims
            .iter()
            .filter(|(index, _)| self.links.contains_key(index));
        events.extend(attached.map(|(_, interface)| (interface.name.clone(), Event::Attached)));
        true
    }

    /// Sees that a group of which something is attached stays as it should be, and
    /// attaches what has come back of it.
    fn look_after(
        &mut self,
        running: &mut Generation,
        group: &Group<'_>,
        waiting: &BTreeSet<String>,
        events: &mut Events,
    ) {
        for end in &group.ends {
            let prepared = self.settings.prepare(end, &self.pins);
            let prepared = prepared.and(running.send_to(&end.interface, end.peer_index));
            if let Err(error) = prepared {
                events.push((end.interface.clone(), Event::Unfit(error)));
            }
        }
        let claims = group.claims.iter();
        for &(index, interface) in claims.filter(|(_, claim)| !waiting.contains(&claim.name)) {
            let link = self.links.get(&index);
            let event = match link.filter(|link| link.serves == interface.name) {
                // It could not go over to this generation when that came into force.
                Some(link)
                    if link.mode == interface.attach && !running.has_program(link.program_id()) =>
                {
                    match self.settle(index, running, interface, &mut Vec::new()) {
                        Ok(()) => Some(Event::Attached),
                        Err(error) => Some(Event::Failed(error)),
                    }
                }
                Some(link) if link.mode == interface.attach => {
                    link.pin().err().map(Event::Unpinned)
                }
                // The other mode was refused. Trying again would take this one off.
                Some(link) => Some(Event::Failed(DataplaneError::OtherMode {
                    interface: interface.name.clone(),
                    mode: link.mode,
                    wanted: interface.attach,
                })),
                None => match self.settle(index, running, interface, &mut Vec::new()) {
                    Ok(()) => self.links.contains_key(&index).then_some(Event::Attached),
                    Err(error) => Some(Event::Failed(error)),
                },
            };
            events.extend(event.map(|event| (interface.name.clone(), event)));
        }
    }

    /// Whether there is a link that can go over to another program. Another
    /// mode takes another link, and so does an interface that has lost it.
    fn can_replace(&self, index: u32, interface: &CompiledInterface) -> bool {
        let link = self.links.get(&index);
        link.is_some_and(|link| link.mode == interface.attach && link.is_on(index))
    }

    /// Gives a device the program for an interface, and notes each step.
    fn settle(
        &mut self,
        index: u32,
        generation: &mut Generation,
        interface: &CompiledInterface,
        done: &mut Vec<(u32, Step)>,
    ) -> Result<(), DataplaneError> {
        if self.can_replace(index, interface)
            && let Some(link) = self.links.get_mut(&index)
        {
            let served = link.serves.clone();
            done.push((index, Step::Replaced(served)));
            link.replace(&self.pins, generation, &interface.name)?;
            return link.pin();
        }
        if let Some(link) = self.links.get(&index) {
            let step = Step::Detached(link.mode, link.serves.clone());
            let was_attached = link.is_on(index);
            if was_attached {
                check_above(&interface.name, index)?;
            }
            self.detach_link(index)?;
            if was_attached {
                done.push((index, step));
            }
        }
        match self.attach(index, generation, &interface.name, interface.attach) {
            Ok(()) => done.push((index, Step::Attached)),
            // It went this very moment.
            Err(DataplaneError::NoInterface { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Undoes the steps that were done, the last one first.
    fn take_back(&mut self, next: &mut Generation, done: Vec<(u32, Step)>) {
        let mut running = self.running.take();
        for (index, step) in done.into_iter().rev() {
            let result = match (step, &mut running) {
                (Step::Attached, _) => self.detach_link(index),
                (Step::Detached(mode, served), Some(running)) => {
                    self.attach(index, running, &served, mode)
                }
                (Step::Replaced(served), Some(running)) => match self.links.get_mut(&index) {
                    Some(link) => link.replace(&self.pins, running, &served),
                    None => Ok(()),
                },
                // What an earlier run had left there cannot be had back: better
                // the next program, as it was attached before, than none.
                (Step::Detached(mode, served), None) => self.attach(index, next, &served, mode),
                (Step::Replaced(_), None) => Ok(()),
            };
            if let Err(error) = result {
                tracing::error!(
                    interface = %name_or_number(index), %error,
                    "cannot go back to the configuration in force. `poolguard status` shows \
                     whether this interface is attached; reload once it can be"
                );
            }
        }
        self.running = running;
        self.note_judged(None);
    }

    fn attach(
        &mut self,
        index: u32,
        generation: &mut Generation,
        interface: &str,
        mode: Attach,
    ) -> Result<(), DataplaneError> {
        self.pins.note_namespace(Namespace::here()?)?;
        let link = Attached::new(&self.pins, index, generation, interface, mode)?;
        self.links.insert(index, link);
        Ok(())
    }

    fn detach_link(&mut self, index: u32) -> Result<(), DataplaneError> {
        if self.links.contains_key(&index) {
            // Before: no frame is judged at neither place.
            self.note_judged(Some(index));
        }
        if let Some(link) = self.links.get(&index) {
            link.detach()?;
            self.links.remove(&index);
        }
        Ok(())
    }

    /// Takes the program off what is not configured any more.
    fn detach_all_but(&mut self, claims: &[(u32, &CompiledInterface)]) {
        for index in self.unclaimed(claims) {
            let interface = name_or_number(index);
            match self.detach_link(index) {
                Ok(()) => tracing::warn!(
                    %interface,
                    "NOT ENFORCING here any more: the configuration has no interface of this name, \
                     or another device has it"
                ),
                Err(error) => tracing::error!(
                    %interface, %error,
                    "cannot detach: frames are still decided there. `bpftool link` shows the link; \
                     remove its pin by hand"
                ),
            }
        }
    }

    /// The links that no interface claims.
    fn unclaimed(&self, claims: &[(u32, &CompiledInterface)]) -> Vec<u32> {
        let claimed: BTreeSet<u32> = claims.iter().map(|&(index, _)| index).collect();
        let links = self.links.keys().copied();
        links.filter(|index| !claimed.contains(index)).collect()
    }

    /// Forgets links whose interface is gone or was given to another network namespace,
    /// maybe to come back under another number, or that somebody detached.
    fn remove_dead(&mut self) -> Vec<Attached> {
        let is_dead = |index: &u32, link: &mut Attached| !link.is_on(*index);
        let dead = self.links.extract_if(.., is_dead);
        let dead: Vec<Attached> = dead.map(|(_, link)| link).collect();
        for link in &dead {
            if link.place() == Place::Elsewhere {
                warn_of_given_away(&link.serves);
                log_unset(self.settings.forget(&[link.number]));
            }
            if let Err(error) = link.detach() {
                tracing::warn!(
                    %error,
                    "cannot remove the pin of a link that is gone, which does no harm"
                );
            }
        }
        dead
    }

    /// The links.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// What all generations have counted, for a reader of its own.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The memory of flows, for a reader of its own.
    ///
    /// # Errors
    ///
    /// Before the first generation is loaded.
    pub fn flows(&self) -> Result<FlowMemory, DataplaneError> {
        FlowMemory::open(&self.pins)
    }
}

impl Dataplane for Kernel {
    type Generation = Generation;

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn link_count(&self) -> usize {
        self.links.len()
    }

    fn go_on_counting<T: DeserializeOwned>(&mut self) -> Result<Option<T>, DataplaneError> {
        let (noted, books) = match self.noted() {
            Ok(Noted { noted, books }) => (noted, books),
            Err(NotesError::None) => return Ok(None),
            Err(NotesError::Kernel(error)) => return Err(error),
            Err(NotesError::Unfit) => {
                maps::warn_of_unfit();
                self.forget_counters()?;
                return Ok(None);
            }
            Err(NotesError::Nonsense(error)) => {
                tracing::warn!(
                    %error,
                    "the notes of an earlier run make no sense: counting starts over. What is \
                     attached goes on filtering"
                );
                self.forget_counters()?;
                return Ok(None);
            }
        };
        self.books = Books::open(books, &self.pins)?;
        self.settle_accounts();
        Ok(Some(noted))
    }

    fn forget_counters(&mut self) -> Result<(), DataplaneError> {
        self.pins.remove_maps()?;
        self.books = Books::default();
        self.notes = Notes::at(self.pins.books())?;
        Ok(())
    }

    fn note<T: Serialize>(&mut self, noted: &T) -> Result<(), DataplaneError> {
        let books = self.books.kept();
        let numbers: Vec<u64> = books.numbers().collect();
        let text = serde_json::to_vec(&Noted { noted, books }).unwrap_or_default();
        self.notes.write(&text)?;
        // From here on nobody asks for what is settled.
        self.pins.keep_counters(&numbers)?;
        self.pins.remove_shared_notes()
    }

    fn load(&mut self, compiled: &Compiled) -> Result<Generation, DataplaneError> {
        self.generations += 1;
        let account = self.books.next_number();
        let generation = Generation::load(compiled, &self.pins, self.generations, account)?;
        self.books.add(&generation);
        if self.judged.is_none() {
            self.judged = Some(Judged::open(&self.pins)?);
        }
        if self.flows.is_none() {
            self.flows = Some(Arc::new(FlowMemory::open(&self.pins)?));
        }
        Ok(generation)
    }

    fn discard(&mut self, generation: Generation) {
        self.books.discard(generation.number());
    }

    fn enforce(&mut self, next: Generation, demand: Demand) -> Result<Events, DataplaneError> {
        let outcome = self.replace_running(next, demand);
        self.settle_accounts();
        outcome
    }

    fn in_use(&self) -> Option<InUse<'_>> {
        self.running.as_ref().map(Generation::in_use)
    }

    fn amend(&mut self, amendment: &Amendment) -> Result<(), DataplaneError> {
        self.running
            .as_mut()
            .map_or(Ok(()), |running| running.amend(amendment))
    }

    fn used(&mut self) -> Result<Vec<IpAddr>, DataplaneError> {
        let running = self.running.iter().filter_map(Generation::marks);
        let marks = running.chain(&self.left).map(Marks::take);
        marks
            .collect::<Result<Vec<_>, _>>()
            .map(|used| used.concat())
    }

    fn reconcile(&mut self, waiting: &BTreeSet<String>) -> Result<Events, DataplaneError> {
        let interfaces = self.running.as_ref().map(Generation::interfaces);
        let interfaces = interfaces.unwrap_or_default();
        let claims = Claims::of(&interfaces, &self.links)?;
        let Some(mut running) = self.running.take() else {
            return Ok(Vec::new());
        };
        let refused = claims.refused.into_iter();
        let refused = refused.filter(|(interface, _)| !waiting.contains(interface));
        let mut events: Vec<_> = refused
            .map(|(interface, error)| (interface, Event::Failed(error)))
            .collect();
        let claims = claims.devices;
        let repinned = self.pins.create().and_then(|()| {
            if !self.links.is_empty() {
                self.pins.note_namespace(Namespace::here()?)?;
            }
            self.notes.pin()?;
            self.settings.pin()?;
            running.pin_shared(&self.pins)
        });
        if let Err(error) = repinned {
            tracing::error!(
                %error,
                "the pins of the counters are gone and cannot be made again: counters start over at \
                 the next start. The filter goes on"
            );
        }
        for link in self.remove_dead() {
            events.push((link.serves, Event::Lost));
        }
        let mut ends = Vec::new();
        for group in Group::all(&claims) {
            let mut indices = group.claims.iter().map(|(index, _)| index);
            if indices.any(|index| self.links.contains_key(index)) {
                self.look_after(&mut running, &group, waiting, &mut events);
                ends.extend(group.ends);
            } else if waiting.contains(&group.name()) {
                continue;
            } else if self.join(&mut running, &group, &claims, &mut events) {
                ends.extend(group.ends);
            }
        }
        self.exits.remove_dead();
        let wanted = claims
            .iter()
            .filter(|(_, claim)| claim.egress == Egress::Filter);
        let missing: Vec<_> = wanted
            .filter(|(index, claim)| {
                let is_of_now = running.has_program(self.exits.program(*index));
                !(is_of_now && self.exits.serves(*index, &claim.name))
            })
            .copied()
            .collect();
        let mut new = Vec::new();
        let open = self
            .fill_exits(&mut running, &missing, &mut new)
            .into_iter();
        events.extend(open.map(|(interface, error)| (interface, Event::Open(error))));
        for interface in new {
            tracing::info!(%interface, "what leaves here is judged unless it was on arrival");
        }
        for index in self.exits.devices() {
            if let Err(error) = self.exits.keep(index) {
                events.push((name_or_number(index), Event::Unpinned(error)));
            }
        }
        self.exits.keep_only(&claims);
        self.warn_of_others_before();
        self.detach_all_but(&claims);
        self.note_judged(None);
        log_unset(self.settings.keep_only(&ends));
        self.running = Some(running);
        Ok(events)
    }

    fn would_leave(&self, interfaces: &[CompiledInterface]) -> Result<Vec<String>, DataplaneError> {
        let claims = Claims::of(interfaces, &self.links)?.devices;
        let left = self.unclaimed(&claims).into_iter();
        let attached = left.filter(|index| self.links[index].is_on(*index));
        Ok(attached.map(name_or_number).collect())
    }

    fn unpinned(&self) -> Vec<String> {
        let links = self.links.iter();
        let unpinned = links.filter(|(_, link)| !link.pin.exists());
        let unpinned: BTreeSet<u32> = unpinned
            .map(|(index, _)| *index)
            .chain(self.exits.unpinned())
            .collect();
        unpinned.into_iter().map(name_or_number).collect()
    }

    fn detach(mut self) -> Result<(), DataplaneError> {
        // Those whose pin somebody removed as well.
        self.links.values().try_for_each(Attached::detach)?;
        self.exits.detach()?;
        let set_back = self.settings.keep_only(&[]);
        self.pins.remove_all()?;
        set_back
    }

    fn counts(&self, interface: &str) -> bool {
        self.books.has_interface(interface)
    }

    fn readings(&self) -> Arc<dyn Readings> {
        let tables = self.running.as_ref().map(Generation::tables);
        Arc::new(KernelReadings {
            books: self.books.clone(),
            links: self.links.clone(),
            exits: self.exits.clone(),
            programs: self
                .running
                .as_ref()
                .map(|running| running.program_ids().clone()),
            tables: tables.unwrap_or_default(),
            flows: self.flows.clone(),
        })
    }
}

/// The links, counters and tables of a moment.
#[derive(Debug)]
struct KernelReadings {
    books: Books,
    links: Links,
    exits: Exits,
    /// Of the running generation.
    programs: Option<BTreeSet<u32>>,
    tables: Vec<TableUse>,
    flows: Option<Arc<FlowMemory>>,
}

impl Readings for KernelReadings {
    fn standing(&self, interface: &str) -> InterfaceState {
        link::standing(interface, &self.links, self.programs.as_ref())
    }

    fn way_out(&self, interface: &str) -> ExitState {
        let programs = self.programs.as_ref();
        let is_of_now = |program| programs.is_none_or(|programs| programs.contains(&program));
        self.exits.state(interface, is_of_now)
    }

    fn wire_problem(&self, interface: &str, peer: &str) -> Option<String> {
        wire::problem(interface, peer, &self.links)
    }

    fn totals(&self) -> Result<Totals, DataplaneError> {
        self.books.totals()
    }

    fn tables(&self) -> Vec<TableUse> {
        let flows = self.flows.iter().map(|flows| flows.table_use());
        self.tables.iter().copied().chain(flows).collect()
    }
}

/// What is written down beside the counters.
#[derive(Serialize, Deserialize)]
pub(super) struct Noted<T, B> {
    pub(super) noted: T,
    pub(super) books: B,
}

/// What a poolguard whose generations shared their counters wrote down of them.
#[derive(Deserialize)]
struct Shared {
    slots: Slots,
}

/// Why there are no notes to go by.
#[derive(thiserror::Error, Debug)]
enum NotesError {
    #[error("there are none")]
    None,
    #[error("what they are about is not there")]
    Unfit,
    #[error(transparent)]
    Kernel(#[from] DataplaneError),
    #[error(transparent)]
    Nonsense(#[from] serde_json::Error),
}

/// Says whose counters are gone.
fn log_forgotten(forgotten: Forgotten) {
    if forgotten.is_empty() {
        return;
    }
    let Forgotten {
        pools,
        ports,
        interfaces,
    } = forgotten;
    tracing::warn!(
        pools = ?some_of(pools), ports = ?some_of(ports), interfaces = ?some_of(interfaces),
        "these counters are gone: there is no room for more names, and nobody has configured \
         these for the longest"
    );
}

/// Says what could not be set back, which does not concern what is enforced.
fn log_unset(set_back: Result<(), DataplaneError>) {
    if let Err(error) = set_back {
        tracing::error!(
            %error,
            "what was set for a wire cannot be set back. The filter goes on: set it back by hand"
        );
    }
}
