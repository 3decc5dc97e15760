//! The filter itself: loading, attaching, replacing, counting.
//!
//! A [`Dataplane`] puts compiled tables into force on interfaces. There are two:
//! [`Kernel`], the XDP program, and [`Memory`](memory::Memory), which the tests of the
//! controller use and which needs no privileges.
//!
//! aya is used here and nowhere else. A [`Generation`] is one configuration's
//! tables with a copy of the program for each interface; it is loaded whole
//! before the first frame sees it; what is changed in it afterwards is told in
//! [`compile::amendment`](policy::compile).
//!
//! ```
//! use std::path::Path;
//!
//! use dataplane::{Dataplane as _, Demand, memory::{Machine, Memory}};
//! use policy::{compile::compile, config, intent::Intent};
//!
//! let text = r#"
//! [[interface]]
//! name = "eth1"
//! role = "customer"
//! [[interface]]
//! name = "eth0"
//! role = "network"
//! [mail]
//! servers = ["192.0.2.25"]
//! [[pool]]
//! name = "dialup"
//! kind = "dynamic"
//! prefixes = ["203.0.113.0/24"]
//! "#;
//! let now = "2026-06-15T12:00:00Z".parse()?;
//! let files = config::Memory::default().with("poolguard.toml", text);
//! let loaded = config::load_from(&files, Path::new("poolguard.toml"), now)?;
//! let tables = compile(&Intent::from(loaded.config), now)?;
//!
//! let machine = Machine::with(&["eth0", "eth1"]);
//! let mut dataplane = Memory::open(&machine)?;
//! let generation = dataplane.load(&tables)?;
//! assert!(machine.tables("eth0").is_none(), "loaded, and not yet in force");
//! dataplane.enforce(generation, Demand::All)?;
//! assert!(machine.tables("eth0").is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod books;
mod bpf;
mod bpf_link;
mod cause;
mod claims;
mod device;
mod egress;
mod error;
mod fitness;
mod found;
mod generation;
mod kernel;
mod left;
mod link;
mod live_table;
mod mapped;
mod maps;
mod marks;
pub mod memory;
mod namespace;
mod netlink;
mod notes;
mod occupied;
mod pins;
mod preflight;
pub mod refused_link;
pub mod remedy;
mod shared;
mod wire;

pub use books::Books;
pub use egress::{ExitState, Way};
pub use error::DataplaneError;
pub use fitness::{Misplaced, NotNative};
pub use generation::{Generation, TableUse, xdp_object};
pub use kernel::{Kernel, detach_leftovers};
pub use left::{Left, LeftExit, LeftLink, left_behind};
pub use link::{Attached, InterfaceState, standing};
pub use namespace::Namespace;
pub use preflight::check as preflight;
pub use shared::{Counters, FlowMemory};
pub use wire::WireError;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use policy::{
    compile::{Amendment, Compiled, CompiledInterface, InUse},
    totals::Totals,
};
use serde::{Serialize, de::DeserializeOwned};

/// What brings tables into force, as the controller knows it.
///
/// A generation is [loaded](Self::load) whole while nothing that runs is touched, and
/// then [put into force](Self::enforce). Dropping a data plane leaves everything in
/// force.
pub trait Dataplane: Sized {
    /// Tables that are loaded.
    type Generation;

    /// Whether no earlier run has left anything.
    fn is_new(&self) -> bool;

    /// How many interfaces have the filter, of this run or an earlier one.
    fn link_count(&self) -> usize;

    /// Goes on counting where an earlier run has left off, if it left what makes
    /// sense, and gives back what it [noted](Self::note) beside its counters.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn go_on_counting<T: DeserializeOwned>(&mut self) -> Result<Option<T>, DataplaneError>;

    /// Starts counting over. What is attached goes on with the counters that it has until
    /// the next generation.
    ///
    /// # Errors
    ///
    /// When those of an earlier run cannot be removed.
    fn forget_counters(&mut self) -> Result<(), DataplaneError>;

    /// Keeps this, and whose counters are which, for as long as the counters.
    ///
    /// # Errors
    ///
    /// When it cannot be kept.
    fn note<T: Serialize>(&mut self, noted: &T) -> Result<(), DataplaneError>;

    /// Loads a generation. Nothing that is running is touched.
    ///
    /// # Errors
    ///
    /// When the tables or the program are refused.
    fn load(&mut self, compiled: &Compiled) -> Result<Self::Generation, DataplaneError>;

    /// Gives up a generation that was loaded and never [put into
    /// force](Self::enforce).
    fn discard(&mut self, generation: Self::Generation);

    /// Puts a generation in the place of the running one, interface by interface.
    /// What it counts has to be [noted](Self::note) before. On each, the change
    /// happens between two frames, unless it has to be attached in another mode. An
    /// interface that does not exist gets the filter when it does:
    /// [`reconcile`](Self::reconcile). Says which interfaces could not have it, as far
    /// as `demand` allows that.
    ///
    /// # Errors
    ///
    /// When an interface cannot be attached to, or joined to another one. All
    /// interfaces then go on with the generation that was running.
    fn enforce(&mut self, next: Self::Generation, demand: Demand)
    -> Result<Events, DataplaneError>;

    /// What an amendment of the running tables has to go on with; none where nothing
    /// runs.
    fn in_use(&self) -> Option<InUse<'_>>;

    /// Changes the running tables while frames are looked up in them: each
    /// address is found as before or as after, and from now on as after.
    ///
    /// # Errors
    ///
    /// When a table has no room left or cannot be written. What was to change may
    /// have changed in part: another generation is to follow.
    fn amend(&mut self, amendment: &Amendment) -> Result<(), DataplaneError>;

    /// The addresses whose exemptions have let frames pass since this was last asked. Where
    /// they are very many, some are missing. Marks are of the generation, and what exempts
    /// an address changes: whoever changes or replaces tables asks before.
    ///
    /// # Errors
    ///
    /// When the marks cannot be read. Those that were not are told the next time.
    fn used(&mut self) -> Result<Vec<IpAddr>, DataplaneError>;

    /// Gives the running generation to interfaces that have come (back), and takes
    /// notice of those that have gone. Nothing happens to the others, nor to those that
    /// are `waiting` because they could not have it a moment ago.
    ///
    /// # Errors
    ///
    /// When nobody can say which interfaces there are. Nothing is done then.
    fn reconcile(&mut self, waiting: &BTreeSet<String>) -> Result<Events, DataplaneError>;

    /// The devices that have the filter, and would not under a configuration with
    /// these interfaces.
    ///
    /// # Errors
    ///
    /// When nobody can say which interfaces there are.
    fn would_leave(&self, interfaces: &[CompiledInterface]) -> Result<Vec<String>, DataplaneError>;

    /// The devices whose filter goes when this process does.
    fn unpinned(&self) -> Vec<String>;

    /// Whether an interface has counters, now or from before.
    fn counts(&self, interface: &str) -> bool;

    /// What can be read of it, for a reader of its own.
    fn readings(&self) -> Arc<dyn Readings>;

    /// Takes the filter off every interface and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    fn detach(self) -> Result<(), DataplaneError>;
}

/// What a data plane shows as it was at one moment of its life: scrapes and `status`
/// read it on other threads, whatever the controller is busy with.
pub trait Readings: fmt::Debug + Send + Sync {
    /// How an interface stands now.
    fn standing(&self, interface: &str) -> InterfaceState;

    /// How the way out of an interface stands now.
    fn way_out(&self, interface: &str) -> ExitState;

    /// What keeps permitted frames from going from an interface to the other end of
    /// its wire.
    fn wire_problem(&self, interface: &str, peer: &str) -> Option<String>;

    /// All counters, as they are now. As long as somebody has these readings, none
    /// goes back.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn totals(&self) -> Result<Totals, DataplaneError>;

    /// How full the tables are.
    fn tables(&self) -> Vec<TableUse>;
}

/// What is asked of the interfaces when a generation is put into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// All of them, or nothing changes. Those that the running generation is waiting
    /// for as well may keep it waiting.
    All,
    /// As many of them as can be. The others are tried again by
    /// [`reconcile`](Dataplane::reconcile).
    WhatCan,
}

/// What became of which interface.
pub type Events = Vec<(String, Event)>;

/// What became of an interface of the configuration without anybody's asking.
#[derive(Debug)]
pub enum Event {
    /// It is there (again), and has the program.
    Attached,
    /// It was there, and is gone, or its link was detached.
    Lost,
    /// It is there, and cannot have the program.
    Failed(DataplaneError),
    /// It has the program, for as long as this process runs: the pin is missing.
    Unpinned(DataplaneError),
    /// It is the end of a wire, and cannot be set up as one.
    Unfit(DataplaneError),
    /// It has the program where frames arrive, and cannot have one at its way out.
    Open(DataplaneError),
}

/// The links that are attached, by the index of the interface.
pub type Links = BTreeMap<u32, Attached>;
