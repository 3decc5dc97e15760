//! The place of the programs in the kernel, where tests do without them.

use policy::config::Interface;

use super::{counters::Places, trial::Testimony};
use crate::fixture::Counters;

/// There is none.
pub(super) enum Program {}

impl Program {
    pub(super) fn name(&self) -> &'static str {
        match *self {}
    }

    pub(super) fn flows(&self) -> usize {
        match *self {}
    }

    pub(super) fn arrive(
        &mut self,
        _: &Interface,
        _: &[u8],
        _: Option<usize>,
        _: &mut Counters,
    ) -> Option<Testimony> {
        match *self {}
    }

    pub(super) fn moved(&mut self, _: &Places) -> Counters {
        match *self {}
    }
}
