//! Length fields that say something else.

use proptest::prelude::*;

/// What a length field says.
#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
pub enum Lie {
    /// The truth.
    None,
    /// So much more or less.
    Off(i16),
    /// This.
    Exactly(u16),
}

/// Draws what a length field says; mostly the truth.
pub fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        40 => Just(Lie::None),
        2 => (-48..=48_i16).prop_map(Lie::Off),
        1 => (0..=96_u16).prop_map(Lie::Exactly),
        1 => prop::sample::select(vec![0_u16, 1, 19, 20, 24, 40, 65_535]).prop_map(Lie::Exactly),
    ]
}

impl Lie {
    /// The value of the field, if this is the truth.
    pub fn of(self, truth: usize) -> u16 {
        let truth = u16::try_from(truth).unwrap_or(u16::MAX);
        match self {
            Self::None => truth,
            Self::Off(off) => truth.saturating_add_signed(off),
            Self::Exactly(value) => value,
        }
    }

    /// Whether it is one.
    pub fn is_told(self) -> bool {
        !matches!(self, Self::None)
    }
}
