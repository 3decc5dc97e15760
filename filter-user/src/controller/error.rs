//! Why a configuration is not put into force.

use std::net::SocketAddr;

use dataplane::{DataplaneError, remedy::remedy};
use jiff::{SignedDuration, Timestamp};
use policy::{
    change::{Sides, TooMuch},
    compile::CompileError,
    config::Report,
};
use thiserror::Error;

use super::{defect::Defect, reading::NoAnswer};
use crate::state::StateError;

/// Why something was not put into force. What was before still is, unless it says otherwise.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It is wrong; the report says where.
    #[error("the configuration is wrong: {}", .0.summary())]
    Config(Report),
    /// It does not fit the tables.
    #[error("the configuration does not fit: {0}")]
    Compile(#[from] CompileError),
    /// The kernel would not have it.
    #[error(transparent)]
    Dataplane(#[from] DataplaneError),
    /// What was kept on disk makes no sense.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another one is on trial.
    #[error(
        "what is in force is on trial until {deadline}: `poolguard confirm` it, or wait until it \
         has gone back. `poolguard reload --force` goes on from it all the same"
    )]
    Unconfirmed {
        /// When it goes back.
        deadline: Timestamp,
    },
    /// No clock goes that far.
    #[error("a trial of {time:#} has no end")]
    TrialTooLong {
        /// How long it was to last.
        time: SignedDuration,
    },
    /// It would leave interfaces without the filter, or under other rules, or
    /// forward elsewhere.
    #[error(transparent)]
    Sides(#[from] Sides),
    /// It changes more at once than it may.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// A start would put into force what a reload did not.
    #[error("a reload of it was refused at {at}: {error}")]
    Refused {
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// A disk does not answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// Others wait for it already.
    #[error(
        "{waiting} reloads wait already, while the files are read for another one: try again when \
         that is over"
    )]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Nothing is there to compare the files with.
    #[error(
        "the files cannot be compared with what was last in force, which cannot be used: {why}"
    )]
    Uncompared {
        /// Why not.
        why: String,
    },
    /// The tables have a part of it, which could not be taken back.
    #[error(
        "{error}; and what had changed by then could not be taken back: {back}. In {within} a part \
         of the change may be in force until that works, which is tried every minute"
    )]
    HalfDone {
        /// Why it was not put into force.
        error: Box<ApplyError>,
        /// Why it could not be taken back.
        back: Box<ApplyError>,
        /// The prefixes.
        within: String,
    },
    /// Poolguard itself is wrong.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The metrics cannot be served where it says.
    #[error(
        "cannot listen on {address} for [metrics]: {source}: {}",
        remedy(source)
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl ApplyError {
    /// Whether the same files would be refused again, whatever else becomes of the box.
    pub(super) fn is_of_the_files(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Compile(_)
            | Self::Sides(_)
            | Self::TooMuch(_)
            | Self::Defect(_)
            | Self::Dataplane(
                DataplaneError::Misplaced { .. } | DataplaneError::NoNativeXdp { .. },
            ) => true,
            Self::Dataplane(_)
            | Self::State(_)
            | Self::Unconfirmed { .. }
            | Self::TrialTooLong { .. }
            | Self::Refused { .. }
            | Self::Uncompared { .. }
            | Self::NoAnswer(_)
            | Self::Busy { .. }
            | Self::HalfDone { .. }
            | Self::Listen { .. } => false,
        }
    }
}
