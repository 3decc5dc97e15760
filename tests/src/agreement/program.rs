//! The program in the kernel.

use dataplane::{Dataplane as _, FlowMemory, Generation};
use policy::compile::Compiled;

use super::{counters::Places, trial::Testimony};
use crate::{
    fixture::Counters as Moved,
    kernel::{Apparatus, must},
};

/// The shortest frame that `BPF_PROG_TEST_RUN` takes.
const SHORTEST: usize = 14;

/// `XDP_DROP` and `XDP_PASS` of `enum xdp_action`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// The program, loaded for every interface and attached to none.
pub(super) struct Program {
    generation: Generation,
    flows: FlowMemory,
    values: Vec<u64>,
    // Dropped last.
    _apparatus: Apparatus,
}

impl Program {
    pub(super) fn load(compiled: &Compiled) -> Self {
        let mut apparatus = Apparatus::open();
        let generation = must(apparatus.dataplane().load(compiled));
        let flows = must(apparatus.dataplane().flows());
        Self {
            generation,
            flows,
            values: Vec::new(),
            _apparatus: apparatus,
        }
    }

    /// How many flows it remembers.
    pub(super) fn flows(&self) -> usize {
        self.flows.table_use().entries as usize
    }

    /// `None` for a frame that the kernel cannot be shown.
    pub(super) fn arrive(
        &mut self,
        interface: &str,
        frame: &[u8],
        first: Option<usize>,
    ) -> Option<Testimony> {
        if frame.len() < SHORTEST {
            return None;
        }
        let action = must(match first {
            Some(first) => self
                .generation
                .test_run_split(interface, frame, first as u32),
            None => self.generation.test_run(interface, frame),
        });
        assert!(
            [XDP_PASS, XDP_DROP].contains(&action),
            "the program returned XDP action {action}"
        );
        Some(Testimony {
            passes: action == XDP_PASS,
            why: None,
        })
    }

    /// How its counters have moved since this was last asked.
    pub(super) fn moved(&mut self, places: &Places) -> Moved {
        let values = places.read(&*self.generation.counters());
        let zeros = vec![0; values.len()];
        let before = match self.values.is_empty() {
            true => &zeros,
            false => &self.values,
        };
        let moved = places.moved(before, &values);
        self.values = values;
        moved
    }
}
