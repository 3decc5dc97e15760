//! The programs in the kernel.

use dataplane::{Dataplane as _, FlowMemory, Generation};
use filter_common::Role;
use policy::{compile::Compiled, config::Interface};

use super::{counters::Places, trial::Testimony};
use crate::{
    fixture::{Counters as Moved, series},
    kernel::{Apparatus, TC_ACT_SHOT, TC_ACT_UNSPEC, is_shown_on_the_way_out, must},
};

/// The shortest frame that `BPF_PROG_TEST_RUN` takes.
const SHORTEST: usize = 14;

/// `XDP_DROP` and `XDP_PASS` of `enum xdp_action`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// Where the frames of interfaces of the role `network` are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Where they arrive.
    Arrival,
    /// On the way out of an interface of the role `customer`, as far as the kernel can be
    /// shown them there.
    WayOut(String),
}

/// The programs, loaded for every interface and attached to none.
pub(super) struct Program {
    place: Place,
    generation: Generation,
    flows: FlowMemory,
    values: Vec<u64>,
    // Dropped last.
    _apparatus: Apparatus,
}

impl Program {
    /// One that is asked where frames arrive; and, where frames can leave toward customers,
    /// one that is asked there about those of the network.
    pub(super) fn load_all(compiled: &Compiled) -> Vec<Self> {
        let mut interfaces = compiled.interfaces.iter();
        let out = interfaces.find(|interface| interface.ingress.role == Role::Customer);
        let out = out.map(|interface| Place::WayOut(interface.name.clone()));
        let places = [Some(Place::Arrival), out].into_iter().flatten();
        places.map(|place| Self::load(compiled, place)).collect()
    }

    fn load(compiled: &Compiled, place: Place) -> Self {
        let mut apparatus = Apparatus::open();
        let generation = must(apparatus.dataplane().load(compiled));
        let flows = must(apparatus.dataplane().flows());
        Self {
            place,
            generation,
            flows,
            values: Vec::new(),
            _apparatus: apparatus,
        }
    }

    /// Which of them it is.
    pub(super) fn name(&self) -> &'static str {
        match self.place {
            Place::Arrival => "kernel",
            Place::WayOut(_) => "kernel, on the way out",
        }
    }

    /// How many flows it remembers.
    pub(super) fn flows(&self) -> usize {
        self.flows.table_use().entries as usize
    }

    /// `None` for a frame that the kernel cannot be shown. Where counters are others than
    /// for a frame that arrives, `moved` is changed to what they have to do.
    pub(super) fn arrive(
        &mut self,
        interface: &Interface,
        frame: &[u8],
        first: Option<usize>,
        moved: &mut Moved,
    ) -> Option<Testimony> {
        if frame.len() < SHORTEST {
            return None;
        }
        let passes = match &self.place {
            Place::WayOut(customers)
                if interface.role == Role::Network && is_shown_on_the_way_out(frame) =>
            {
                let customers = customers.clone();
                count_out(moved, &interface.name, &customers);
                self.leave(&customers, frame)
            }
            _ => self.enter(&interface.name, frame, first),
        };
        Some(Testimony { passes, why: None })
    }

    fn enter(&mut self, interface: &str, frame: &[u8], first: Option<usize>) -> bool {
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
        action == XDP_PASS
    }

    fn leave(&mut self, interface: &str, frame: &[u8]) -> bool {
        let action = must(self.generation.test_run_out(interface, frame, None));
        assert!(
            [TC_ACT_UNSPEC, TC_ACT_SHOT].contains(&action),
            "the program returned tc action {action}"
        );
        action == TC_ACT_UNSPEC
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

/// What moves for a frame that is judged where it leaves, and not where it arrives: it is
/// passed or dropped there, beside what says why.
fn count_out(moved: &mut Moved, arrived: &str, leaves: &str) {
    let at = |metric, interface| series(metric, &[("interface", interface)]);
    let metric = match moved.remove(&at("passed_packets", arrived)) {
        Some(_) => "egress_passed_packets",
        None => "egress_dropped_packets",
    };
    moved.insert(at(metric, leaves), 1);
}
