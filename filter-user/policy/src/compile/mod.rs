//! A valid configuration to the contents of the program's tables. Pure.
//!
//! `slots` says which counters belong to which name, `ports` puts watched ports into
//! classes, `layers` lays prefixes over one another, `policies`
//! says what holds for an address,
//! `prefix_table` finds an address's policy, in what `node` packs. `amendment`
//! changes tables that are in use, where a few prefixes are concerned.

mod amendment;
pub(crate) mod layers;
mod node;
mod policies;
mod ports;
mod prefix_table;
mod slots;

use std::sync::Arc;

use filter_common::{Policy, Settings, prefix_table::Line};
use indexmap::IndexSet;
use jiff::Timestamp;
use thiserror::Error;

pub use amendment::{Amendment, LiveLines, amend_table};
pub(crate) use policies::Policies;
pub use ports::PortTable;
pub use prefix_table::{MAX_LINES, PrefixTable, TableTooLarge};
pub use slots::{NO_POOL_NAME, Slots, SlotsFull};

use crate::{
    config::{Attach, Egress},
    intent::Intent,
};
use filter_common::Ingress;

/// The contents of every table of one generation.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What holds for the whole box.
    pub settings: Settings,
    /// The watched ports.
    pub ports: Arc<PortTable>,
    /// By number; number 0 is [`NO_POLICY`](filter_common::policy::NO_POLICY).
    pub policies: IndexSet<Policy>,
    /// The IPv4 prefix table.
    pub prefixes_v4: Vec<Line>,
    /// The IPv6 prefix table.
    pub prefixes_v6: Vec<Line>,
    /// Where the program is to be attached.
    pub interfaces: Vec<CompiledInterface>,
    /// Whose its counters are.
    pub slots: Slots,
    /// What went in, for `status` and the metrics.
    pub loaded: PrefixCounts,
}

/// An interface and its counter slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledInterface {
    /// As `ip link` shows it.
    pub name: String,
    /// What the rules know of it.
    pub ingress: Ingress,
    /// How the program is attached.
    pub attach: Attach,
    /// Where what it passes is counted.
    pub slot: u32,
    /// The interface that what it passes goes out of; none where the kernel
    /// forwards it.
    pub peer: Option<String>,
    /// Whether what leaves there is judged as well.
    pub egress: Egress,
}

/// How many prefixes of each family went into the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Pool prefixes.
    pub pool_prefixes: FamilyCount,
    /// Customer prefixes that hold an exemption today.
    pub exemptions: FamilyCount,
    /// Prefixes with a temporary exemption.
    pub temporary: FamilyCount,
    /// When the next exemption expires, and the tables with it.
    pub next_expiry: Option<Timestamp>,
}

impl PrefixCounts {
    fn of(intent: &Intent, now: Timestamp) -> Self {
        let config = &intent.config;
        let pool_prefixes = config.pools.iter().flat_map(|pool| &pool.prefixes);
        let exempted = config.exemptions();
        let exempted = exempted.filter(|(_, terms)| terms.open_something(now));
        let terms = config.terms().filter(|terms| terms.open_something(now));
        let temporary = || intent.temporary.iter().filter(|t| !t.is_expired(now));
        let expiries = terms.filter_map(|terms| terms.expires);
        let expiries = expiries.chain(temporary().map(|exemption| exemption.expires));
        Self {
            pool_prefixes: FamilyCount::of(pool_prefixes.copied()),
            exemptions: FamilyCount::of(exempted.map(|(prefix, _)| prefix)),
            temporary: FamilyCount::of(temporary().map(|exemption| exemption.prefix)),
            next_expiry: expiries.min(),
        }
    }
}

/// A count for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilyCount {
    /// IPv4.
    pub v4: u64,
    /// IPv6.
    pub v6: u64,
}

impl FamilyCount {
    fn of(prefixes: impl Iterator<Item = ipnet::IpNet>) -> Self {
        let mut count = Self::default();
        for prefix in prefixes {
            match prefix {
                ipnet::IpNet::V4(_) => count.v4 += 1,
                ipnet::IpNet::V6(_) => count.v6 += 1,
            }
        }
        count
    }
}

/// Why a valid configuration does not fit the tables.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CompileError {
    /// More names than counters.
    #[error(transparent)]
    SlotsFull(#[from] SlotsFull),
    /// More sets of ports that are treated differently than classes.
    #[error(
        "the lists of ports split them into {count} sets that are treated differently, and {} are \
         possible; those that split the most: {lists}",
        filter_common::PortClass::MAX
    )]
    TooManyPortClasses {
        /// How many there would be.
        count: usize,
        /// Which lists they come from, each with how many more there are because of it.
        lists: String,
    },
    /// Tables in use have ports in one class that an exemption treats differently.
    #[error("an exemption of {ports} treats ports differently that were treated alike")]
    SplitsClasses {
        /// What it opens, in words.
        ports: String,
    },
    /// The prefixes are scattered too widely.
    #[error(transparent)]
    TableTooLarge(#[from] TableTooLarge),
}

/// Compiles an intent as it holds at `now`.
///
/// What becomes of it depends on nothing that was in force before: whatever
/// `check` finds valid fits a reload and a start as well.
///
/// # Errors
///
/// When something does not fit; the tables in use are not concerned.
pub fn compile(intent: &Intent, now: Timestamp) -> Result<Compiled, CompileError> {
    let config = &intent.config;
    let mut slots = Slots::default();
    let ports = Arc::new(PortTable::new(intent, &mut slots, now)?);
    let policies = Policies::new(intent, ports, &mut slots, now)?;
    let interfaces = config
        .interfaces
        .iter()
        .map(|interface| {
            Ok(CompiledInterface {
                name: interface.name.clone(),
                ingress: interface.ingress(),
                attach: interface.attach,
                slot: slots.interface(&interface.name)?,
                peer: config.other_end(&interface.name).map(str::to_owned),
                egress: interface.egress,
            })
        })
        .collect::<Result<_, CompileError>>()?;
    let addresses = policies::addresses(&policies)?;
    Ok(Compiled {
        settings: policies.settings,
        ports: policies.ports,
        policies: addresses.policies,
        prefixes_v4: addresses.v4,
        prefixes_v6: addresses.v6,
        interfaces,
        slots,
        loaded: PrefixCounts::of(intent, now),
    })
}

/// What an amendment has to go on with: a part of the tables in use.
#[derive(Clone, Copy, Debug)]
pub struct InUse<'a> {
    /// The watched ports.
    pub ports: &'a Arc<PortTable>,
    /// By number.
    pub policies: &'a IndexSet<Policy>,
}

/// What tables in use need that a change of the exemptions is in force for
/// the addresses in `prefixes`, and none has changed for others. Pools are those of the
/// tables in use, in the same order, so that they have the same slots; and so are ports
/// and their classes.
///
/// # Errors
///
/// When something does not fit, or [ports would have to be in other
/// classes](CompileError::SplitsClasses).
pub fn amend(
    intent: &Intent,
    prefixes: &[ipnet::IpNet],
    in_use: InUse<'_>,
    now: Timestamp,
) -> Result<Amendment, CompileError> {
    let mut numbered = in_use.policies.clone();
    let mut lent = ports::lent(intent, now).into_iter();
    if let Some(splits) = lent.find(|list| !in_use.ports.tells_apart(list)) {
        let ports: Vec<_> = splits.iter().map(ToString::to_string).collect();
        return Err(CompileError::SplitsClasses {
            ports: ports.join(", "),
        });
    }
    let ports = Arc::clone(in_use.ports);
    let policies = Policies::new(intent, ports, &mut Slots::default(), now)?;
    let tables = prefixes.iter().map(|prefix| {
        let table = policies::addresses_within(&policies, prefix, &mut numbered)?;
        Ok((*prefix, table))
    });
    let tables = tables.collect::<Result<_, CompileError>>()?;
    Ok(Amendment {
        policies: numbered,
        tables,
        loaded: PrefixCounts::of(intent, now),
    })
}
