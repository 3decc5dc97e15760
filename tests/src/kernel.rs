//! The stories, told to the XDP program through `BPF_PROG_TEST_RUN`.
//!
//! Nothing here skips. Without root, or without the XDP object, the tests fail
//! with the data plane's own message, which says what is missing.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use dataplane::{
    Books, Dataplane as _, DataplaneError, FlowMemory, Generation, Kernel, detach_leftovers,
};
use jiff::Timestamp;
use policy::{compile::Slots, instance::Instance, totals::Totals};

use crate::{
    configs::Configuration,
    fixture::{Counters, Done, FLOWS, Filter, Fixture, Step, extent, tell},
    frames::Arrival,
    host,
};

/// `XDP_DROP` of `enum xdp_action`.
const XDP_DROP: u32 = 1;
/// `XDP_PASS` of `enum xdp_action`.
const XDP_PASS: u32 = 2;
/// `XDP_REDIRECT` of `enum xdp_action`.
const XDP_REDIRECT: u32 = 4;

/// The loopback interface, which every machine has.
const LOOPBACK: u32 = 1;

/// The shortest frame that `BPF_PROG_TEST_RUN` takes.
const SHORTEST: usize = 14;

/// Tells every story of a chapter that the kernel can be told, and panics with
/// all that went wrong.
///
/// It cannot be told those in which time passes, nor frames that end inside
/// their Ethernet header. Those are for the decision function alone.
pub fn tell_all(stories: Vec<Fixture>) {
    tell_with(stories, XDP_PASS);
}

/// Tells the same stories to a program that sends what it permits to the other
/// end of a wire. All else is to be the same.
pub fn tell_all_by_wire(mut stories: Vec<Fixture>) {
    for story in &mut stories {
        story.config = story.config.clone().by_wire();
    }
    tell_with(stories, XDP_REDIRECT);
}

fn tell_with(stories: Vec<Fixture>, pass: u32) {
    let mut complaints = Vec::new();
    for stories in for_one_filter_each(stories) {
        println!("{}", extent(&stories));
        let mut program = Program::load(&stories[0].config, stories[0].now, pass);
        complaints.extend(stories.iter().filter_map(|s| tell(s, &mut program).err()));
    }
    assert!(
        complaints.is_empty(),
        "{} stories went wrong\n\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

/// Puts together what can be told to one filter: loading one takes a while.
/// Leaves out what the kernel cannot be told.
pub fn for_one_filter_each(stories: Vec<Fixture>) -> Vec<Vec<Fixture>> {
    let mut groups: BTreeMap<(Configuration, Timestamp, usize), Vec<Fixture>> = BTreeMap::new();
    for (number, story) in stories.into_iter().filter_map(for_the_kernel).enumerate() {
        let alone = if story.alone { number + 1 } else { 0 };
        let key = (story.config.clone(), story.now, alone);
        groups.entry(key).or_default().push(story);
    }
    groups.into_values().collect()
}

/// The part of a story that the kernel can be told.
fn for_the_kernel(mut story: Fixture) -> Option<Fixture> {
    let is_wait = |step: &Step| matches!(step, Step::Wait { .. });
    if story.steps.iter().any(is_wait) {
        return None;
    }
    story.steps.retain(|step| match step {
        Step::Frame { arrival, .. } => arrival.bytes.len() >= SHORTEST,
        Step::Wait { .. } => true,
    });
    Some(story)
}

/// A data plane of its own, which leaves nothing behind.
pub struct Apparatus {
    instance: Instance,
    dataplane: Option<Kernel>,
}

impl Apparatus {
    /// Opens a data plane under a name that no other has.
    pub fn open() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = Instance::new(&format!("test-{}-{number}", std::process::id())).unwrap();
        let dataplane = must(Kernel::open(&instance));
        Self {
            instance,
            dataplane: Some(dataplane),
        }
    }

    /// The data plane.
    pub fn dataplane(&mut self) -> &mut Kernel {
        self.dataplane.as_mut().unwrap()
    }

    /// What it has counted.
    pub fn books(&self) -> &Books {
        self.dataplane.as_ref().unwrap().books()
    }

    /// Its name and its place in bpffs.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Leaves everything to go on by itself, as a controller does that dies.
    pub fn abandon(&mut self) {
        // A controller notes what it counts whenever it publishes something.
        if let Some(dataplane) = &mut self.dataplane {
            must(dataplane.note(&()));
        }
        self.dataplane = None;
    }

    /// Takes over what was left, as the next one does.
    pub fn take_over(&mut self) {
        let mut dataplane = must(Kernel::open(&self.instance));
        let _noted: Option<()> = must(dataplane.go_on_counting());
        self.dataplane = Some(dataplane);
    }

    /// Detaches, as the controller does when it ends.
    pub fn detach(&mut self) {
        if let Some(dataplane) = self.dataplane.take() {
            must(dataplane.detach());
        }
    }
}

impl Apparatus {
    /// Detaches if that was not done, also when a test has failed.
    pub fn clean_up(&mut self) {
        let detached = match self.dataplane.take() {
            Some(dataplane) => dataplane.detach(),
            // Abandoned, maybe.
            None => detach_leftovers(&self.instance).map(drop),
        };
        if let Err(error) = detached {
            eprintln!("left behind: {error}");
        }
    }
}

impl Drop for Apparatus {
    fn drop(&mut self) {
        self.clean_up();
    }
}

/// The result, or the data plane's own words as the reason of a failed test.
pub fn must<T>(result: Result<T, DataplaneError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The XDP program, loaded for every interface of a configuration and attached
/// to none.
struct Program {
    slots: Slots,
    generation: Generation,
    flows: FlowMemory,
    /// The action for what passes.
    pass: u32,
    // Dropped last.
    _apparatus: Apparatus,
}

impl Program {
    fn load(config: &Configuration, now: Timestamp, pass: u32) -> Self {
        let compiled = host::load(config, now);
        let mut apparatus = Apparatus::open();
        let mut generation = must(apparatus.dataplane().load(&compiled));
        if pass == XDP_REDIRECT {
            for interface in generation.interfaces() {
                must(generation.send_to(&interface.name, Some(LOOPBACK)));
            }
        }
        let flows = must(apparatus.dataplane().flows());
        Self {
            slots: compiled.slots,
            generation,
            flows,
            pass,
            _apparatus: apparatus,
        }
    }
}

impl Filter for Program {
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done {
        let action = must(self.generation.test_run(interface, &frame.bytes));
        assert!(
            [self.pass, XDP_DROP].contains(&action),
            "the program returned XDP action {action}"
        );
        Done {
            passes: action == self.pass,
            verdict: None,
        }
    }

    fn counters(&mut self) -> Counters {
        let totals = Totals::of(&self.slots, &*self.generation.counters());
        let mut counters = host::read(&must(totals));
        counters.insert(FLOWS.to_owned(), self.flows.table_use().entries);
        counters
    }

    fn wait(&mut self, _seconds: u64) {
        unreachable!("the kernel's clock is not ours to set");
    }
}
