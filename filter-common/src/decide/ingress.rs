//! The interface that a frame arrives at, as far as rules ask.

use super::Role;

/// What rules know of the interface that a frame arrives at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ingress {
    /// What it faces.
    pub role: Role,
    /// Which source addresses are let in. Rule 7 is about interfaces of the role
    /// `customer` only: others have [`Sources::Any`], since anybody's packets arrive there.
    pub sources: Sources,
}

/// Which source addresses an interface lets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sources {
    /// All.
    #[default]
    Any = 0,
    /// All. Those that are in no pool are counted.
    Monitor = 1,
    /// Those of pools, and what a host sends from before it has one of them.
    Pools = 2,
}

impl Sources {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Any, Self::Monitor, Self::Pools];

    /// The one with this discriminant; [`Any`](Self::Any) if there is none.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Monitor,
            2 => Self::Pools,
            _ => Self::Any,
        }
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Monitor => "monitor",
            Self::Pools => "pools",
        }
    }
}
