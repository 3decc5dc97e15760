//! How something comes into force: the one way for a start, a reload, a roll-back, an
//! exemption that is given or taken back, and one that ends.
//!
//! What is [`Wanted`] is [prepared](Controller::prepare) whole, while nothing changes
//! that anybody could notice: it is compared with what is in force, compiled, loaded
//! and written beside what is kept on disk. Then it is [committed](Controller::commit):
//! first the disk, so that a crash at any moment leaves a way back, then the data plane,
//! which takes all of it or none, and at last what this controller knows of it.
//!
//! A data plane that fails may leave an amendment half done, and keep failing while it is
//! taken back. The controller knows where: [`Controller::catch_up`] goes over these
//! prefixes again, and so does whatever comes into force before that.

use std::{collections::BTreeSet, thread};

use dataplane::{Dataplane, Demand, Events};
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    change::{Extent, check_limit, check_sides},
    compile::{Amendment, Compiled, InUse, amend, compile},
    config::Texts,
    intent::Intent,
    listing::some_of,
};

use super::{
    ApplyError, Controller, NewListener, Standing,
    archive::{self, CONFIRMED, ON_TRIAL},
    defect::guarded,
    endpoint::Move,
    exemptions::{KeptExemptions, log_back, log_over},
};
use crate::{
    state::{self, StateError},
    threads,
};

/// Something that is to come into force, with all that is to change with it.
pub(super) struct Wanted {
    /// All that is to hold.
    pub(super) intent: Intent,
    /// Whether it is there to stay.
    pub(super) standing: Standing,
    /// What it was read from, if that is to be kept.
    pub(super) texts: Option<Texts>,
    /// Whether it is compared with what is in force.
    pub(super) compare: Compare,
    /// The prefixes in which it differs from what is in force, if it does in no others.
    pub(super) only_in: Option<Vec<IpNet>>,
    /// What it comes to if an interface, the disk or the address of the metrics is not
    /// to be had.
    pub(super) insists: Insists,
    /// The number of the next temporary exemption.
    pub(super) next_exemption: u64,
}

/// What a comparison with what is in force is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// Nothing: nobody asked for another configuration.
    Not,
    /// To say what it changes.
    ToSay,
    /// Also to refuse what changes too much.
    ToJudge,
}

/// What has to work for something to come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insists {
    /// All of it: somebody asked for it, and can ask again.
    OnAll,
    /// The filter. What does not work beside it is logged, and tried again.
    OnTheFilter,
}

impl Insists {
    /// On the interfaces.
    fn demand(self) -> Demand {
        match self {
            Self::OnAll => Demand::All,
            Self::OnTheFilter => Demand::WhatCan,
        }
    }
}

/// Something that can come into force at once.
pub(super) struct Prepared<G> {
    wanted: Wanted,
    tables: Tables<G>,
    archive: Option<Result<state::Prepared, StateError>>,
    endpoint: Result<Option<Move>, ApplyError>,
    extent: Option<Extent>,
    now: Timestamp,
}

/// How the data plane gets there.
enum Tables<G> {
    /// The tables in use are changed.
    Amended(Box<Amendment>),
    /// Others take their place.
    Loaded(Box<Compiled>, G),
}

/// More prefixes take no less time in the tables in use than others do in their place,
/// and the kernel more than half a second to verify the program.
const FEW: usize = 256;

impl<D: Dataplane> Controller<D> {
    /// Puts something into force, or leaves everything as it is, unless it says that it is
    /// [half done](ApplyError::HalfDone). Says what it changes, if that was compared.
    pub(super) fn put_into_force(
        &mut self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(Option<Extent>, NewListener), ApplyError> {
        let mut prepared = self.prepare(wanted, now)?;
        let extent = prepared.extent.take();
        Ok((extent, self.commit(prepared)?))
    }

    /// Makes everything ready that can be without anybody's noticing.
    pub(super) fn prepare(
        &mut self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Prepared<D::Generation>, ApplyError> {
        if let Some(amendment) = self.amendment(&wanted, now) {
            return Ok(Prepared {
                tables: Tables::Amended(Box::new(amendment)),
                archive: None,
                endpoint: Ok(None),
                extent: None,
                wanted,
                now,
            });
        }
        let (extent, archive, compiled) = self.compared_kept_and_compiled(&wanted, now);
        let (compiled, mut archive) = (compiled?, archive);
        let extent = extent.transpose()?;
        if let (Some(extent), Compare::ToJudge) = (&extent, wanted.compare) {
            // Not the new one's limit: a mistake could be in there as well.
            check_limit(extent, self.intent.config.max_change)?;
            let without = self.dataplane.would_leave(&compiled.interfaces)?;
            check_sides(without, &self.intent.config, &wanted.intent.config)?;
        }
        let listen = wanted.intent.config.metrics.listen;
        let mut endpoint = self.endpoint.prepare(listen);
        if wanted.insists == Insists::OnAll {
            // One that is in force already is waited for, whatever else changes.
            if listen != self.intent.config.metrics.listen {
                endpoint = Ok(endpoint?);
            }
            // What is on trial has to be there after a crash. What stays is kept if it
            // can be; whoever asked for it hears of a defect.
            let has_to_be = matches!(wanted.standing, Standing::OnTrial(_))
                || matches!(archive, Some(Err(StateError::Defect(_))));
            if has_to_be {
                archive = archive.transpose()?.map(Ok);
            }
        }
        let generation = self.kept().load(&mut self.dataplane, &compiled)?;
        Ok(Prepared {
            tables: Tables::Loaded(Box::new(compiled), generation),
            archive,
            endpoint,
            extent,
            wanted,
            now,
        })
    }

    /// What changes in the tables in use, where that is little.
    fn amendment(&self, wanted: &Wanted, now: Timestamp) -> Option<Amendment> {
        let changed = wanted.only_in.iter().flatten();
        let within: BTreeSet<_> = changed.chain(&self.half_done).copied().collect();
        if wanted.only_in.is_none() || within.len() > FEW {
            return None;
        }
        let in_use = self.dataplane.in_use()?;
        amendment(&wanted.intent, &within, in_use, now)
            .inspect_err(log_new_tables)
            .ok()
    }

    /// Does three things at once, each of which takes a while with a million
    /// customers.
    #[expect(clippy::type_complexity, reason = "the outcomes of the three")]
    fn compared_kept_and_compiled(
        &self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> (
        Option<Result<Extent, ApplyError>>,
        Option<Result<state::Prepared, StateError>>,
        Result<Compiled, ApplyError>,
    ) {
        thread::scope(|scope| {
            let (old, new) = (&self.intent, &wanted.intent);
            let extent = (wanted.compare != Compare::Not).then(|| {
                threads::begin_in(scope, || {
                    guarded("comparing the configurations", || {
                        Extent::between(old, new, now)
                    })
                })
            });
            let (state, main) = (&self.state, &self.config_file);
            let archive = wanted.texts.as_ref().map(|texts| {
                let name = wanted.standing.archive();
                threads::begin_in(scope, move || {
                    guarded("keeping the configuration", || {
                        archive::prepare(state, name, main, texts, now)
                    })
                })
            });
            let compiled = guarded("compiling", || compile(new, now));
            let compiled = compiled.map_err(ApplyError::from);
            (
                extent.map(|extent| extent.join().map_err(ApplyError::from)),
                archive.map(|archive| archive.join().map_err(StateError::from).flatten()),
                compiled.and_then(|compiled| Ok(compiled?)),
            )
        })
    }

    /// Puts into force what is ready. Where that fails, everything is as it was, or
    /// [half done](ApplyError::HalfDone).
    pub(super) fn commit(
        &mut self,
        prepared: Prepared<D::Generation>,
    ) -> Result<NewListener, ApplyError> {
        let Prepared {
            wanted,
            tables,
            archive,
            endpoint,
            extent: _,
            now,
        } = prepared;
        if let Err(error) = self.write_ahead(&wanted) {
            if let Tables::Loaded(_, generation) = tables {
                self.dataplane.discard(generation);
            }
            return Err(error.into());
        }
        let replaced = match self.enforce(&wanted, tables, now) {
            Ok(enforced) => enforced,
            Err(error) => {
                self.write_back(&wanted);
                return Err(error);
            }
        };
        self.take_over(wanted, now);
        let happened = replaced.map(|(compiled, events)| {
            self.note(&compiled);
            self.retries.clear();
            let failed_before = self.note_events(&events, &BTreeSet::new());
            (events, failed_before)
        });
        let listen = self.intent.config.metrics.listen;
        let listener = match endpoint {
            Ok(moved) => self.endpoint.commit(listen, moved),
            Err(error) => {
                self.endpoint.postpone(listen, &error);
                None
            }
        };
        self.publish();
        if let Some((events, failed_before)) = happened {
            self.log_events(&events, &failed_before);
        }
        self.log_wires();
        if let Some(archive) = archive {
            self.keep_archive(archive);
        }
        Ok(listener)
    }

    /// Keeps on disk what the next controller has to find if this one dies from here
    /// on.
    fn write_ahead(&self, wanted: &Wanted) -> Result<(), StateError> {
        let exemptions = KeptExemptions {
            next_id: wanted.next_exemption,
            exemptions: wanted.intent.temporary.clone(),
            over: self.over.of(&wanted.intent.temporary),
        };
        let is_same = exemptions == self.kept_exemptions();
        let written = match is_same {
            true => Ok(()),
            false => exemptions.write(&self.state),
        };
        let kept = written.and_then(|()| match wanted.standing == self.standing {
            true => Ok(()),
            false => self.keep(&wanted.intent.config, &wanted.standing),
        });
        match (kept, wanted.insists) {
            (Err(error), Insists::OnAll) => {
                self.write_back(wanted);
                Err(error)
            }
            (Err(error), Insists::OnTheFilter) => {
                tracing::error!(
                    %error,
                    "what comes into force cannot be kept, and the next start goes by what is on \
                     disk. The filter does not wait for it: correct this, then reload"
                );
                Ok(())
            }
            (Ok(()), _) => Ok(()),
        }
    }

    /// Puts things on disk back to how they stand.
    fn write_back(&self, wanted: &Wanted) {
        let in_force = self.kept_exemptions();
        let is_same = wanted.next_exemption == in_force.next_id
            && wanted.intent.temporary == in_force.exemptions;
        let written = match is_same {
            true => Ok(()),
            false => in_force.write(&self.state),
        };
        if let Err(error) = written {
            tracing::error!(
                traffic = self.traffic(), %error,
                "the exemptions on disk may not be those in force, and a restart goes by what is on \
                 disk: correct this, then add or remove one"
            );
        }
        if wanted.standing != self.standing {
            self.keep_as_it_stands();
        }
    }

    /// Has the data plane decide by it. Says what became of the interfaces, unless the
    /// tables in use were changed.
    fn enforce(
        &mut self,
        wanted: &Wanted,
        tables: Tables<D::Generation>,
        now: Timestamp,
    ) -> Result<Option<(Compiled, Events)>, ApplyError> {
        self.take_marks();
        let amendment = match tables {
            Tables::Loaded(compiled, generation) => {
                let demand = wanted.insists.demand();
                let events = self.dataplane.enforce(generation, demand)?;
                return Ok(Some((*compiled, events)));
            }
            Tables::Amended(amendment) => amendment,
        };
        // Before it is so: it may end in a panic.
        let within = amendment.tables.iter().map(|(prefix, _)| *prefix);
        self.half_done.extend(within);
        match self.dataplane.amend(&amendment) {
            Ok(()) => {
                self.note_loaded(&amendment.loaded);
                Ok(None)
            }
            Err(error) => {
                log_new_tables(&error.into());
                let enforced = self.enforce_new_tables(wanted, now);
                enforced.map(Some).map_err(|error| self.take_back(error))
            }
        }
    }

    /// Has others take the place of the tables in use, which could not be changed.
    fn enforce_new_tables(
        &mut self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<(Compiled, Events), ApplyError> {
        let compiled = guarded("compiling", || compile(&wanted.intent, now))??;
        let generation = self.kept().load(&mut self.dataplane, &compiled)?;
        let events = self
            .dataplane
            .enforce(generation, wanted.insists.demand())?;
        Ok((compiled, events))
    }

    /// Takes back what `error` may have left changed in the tables in use. Gives back what is
    /// to be said then.
    fn take_back(&mut self, error: ApplyError) -> ApplyError {
        let error = match self.amend_back() {
            Ok(()) => {
                self.half_done.clear();
                error
            }
            Err(back) => ApplyError::HalfDone {
                within: some_of(self.half_done.iter().collect()).join(", "),
                error: Box::new(error),
                back: Box::new(back),
            },
        };
        if !self.half_done.iter().eq(&self.status.half_done) {
            self.publish();
        }
        error
    }

    /// Has what is in force decide again wherever something else may, as it was in force:
    /// what has expired since holds until that is put into force.
    fn amend_back(&mut self) -> Result<(), ApplyError> {
        let Some(in_use) = self.dataplane.in_use() else {
            return Ok(());
        };
        let amendment = amendment(&self.intent, &self.half_done, in_use, self.as_of)?;
        Ok(self.dataplane.amend(&amendment)?)
    }

    /// It is in force as a whole, as it holds at `now`.
    fn take_over(&mut self, wanted: Wanted, now: Timestamp) {
        self.half_done.clear();
        if !self.status.half_done.is_empty() {
            tracing::info!("what was half done is whole: what is in force decides everywhere");
        }
        self.intent = wanted.intent;
        self.standing = wanted.standing;
        self.next_exemption = wanted.next_exemption;
        let before = std::mem::replace(&mut self.as_of, now);
        for exemption in &self.intent.temporary {
            match (exemption.is_expired(before), exemption.is_expired(now)) {
                (false, true) => log_over(exemption),
                (true, false) => log_back(exemption),
                _ => {}
            }
        }
    }

    /// Keeps what was read, which is in force.
    fn keep_archive(&mut self, archive: Result<state::Prepared, StateError>) {
        let lost = match &self.standing {
            Standing::OnTrial(_) => {
                "what is on trial cannot be kept: a restart goes back before the time"
            }
            Standing::Unconfirmed(_) => {
                "the configuration in force cannot be kept, nor confirmed: correct this and reload"
            }
            _ => return self.keep_prepared(archive),
        };
        if let Err(error) = archive.and_then(state::Prepared::commit) {
            tracing::error!(%error, "{lost}");
        }
    }
}

/// What it takes that `intent`, as it holds at `now`, decides in these prefixes.
fn amendment(
    intent: &Intent,
    within: &BTreeSet<IpNet>,
    in_use: InUse<'_>,
    now: Timestamp,
) -> Result<Amendment, ApplyError> {
    let within: Vec<_> = within.iter().copied().collect();
    let amendment = guarded("compiling", || amend(intent, &within, in_use, now))?;
    Ok(amendment?)
}

fn log_new_tables(error: &ApplyError) {
    tracing::info!(%error, "new tables take the place of those in use");
}

impl Standing {
    /// Under which name what it was read from is kept.
    fn archive(&self) -> &'static str {
        match self {
            Self::OnTrial(_) | Self::Unconfirmed(_) => ON_TRIAL,
            _ => CONFIRMED,
        }
    }
}
