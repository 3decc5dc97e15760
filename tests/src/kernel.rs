//! The stories, told to the XDP program through `BPF_PROG_TEST_RUN`.
//!
//! Nothing here skips. Without root, or without the XDP object, the tests fail
//! with the data plane's own message, which says what is missing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use dataplane::{
    Books, Dataplane as _, DataplaneError, FlowMemory, Generation, Kernel, Readings,
    detach_leftovers,
};
use filter_common::Role;
use jiff::Timestamp;
use policy::{
    compile::{CompiledInterface, Slots},
    instance::Instance,
    totals::Totals,
};

use crate::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    fixture::{self, Counters, Done, FLOWS, Filter, Fixture, Step, extent, series},
    frames::Arrival,
    host,
};

/// `XDP_DROP` of `enum xdp_action`.
const XDP_DROP: u32 = 1;
/// `XDP_PASS` of `enum xdp_action`.
const XDP_PASS: u32 = 2;
/// `XDP_REDIRECT` of `enum xdp_action`.
const XDP_REDIRECT: u32 = 4;

/// `TC_ACT_UNSPEC` of `linux/pkt_cls.h`: the next one decides.
pub const TC_ACT_UNSPEC: i32 = -1;
/// `TC_ACT_SHOT`.
pub const TC_ACT_SHOT: i32 = 2;

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

/// Tells the same stories to the program at the way out to the customers, as far as
/// frames come from the network. All else is to be the same.
pub fn tell_all_on_the_way_out(stories: Vec<Fixture>) {
    tell(stories, XDP_PASS, true);
}

fn tell_with(stories: Vec<Fixture>, pass: u32) {
    tell(stories, pass, false);
}

fn tell(stories: Vec<Fixture>, pass: u32, on_the_way_out: bool) {
    let mut complaints = Vec::new();
    for stories in for_one_filter_each(stories) {
        println!("{}", extent(&stories));
        let mut program = Program::load(&stories[0].config, stories[0].now, pass);
        program.on_the_way_out = on_the_way_out;
        complaints.extend(
            stories
                .iter()
                .filter_map(|s| fixture::tell(s, &mut program).err()),
        );
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

    /// Leaves tcx alone, as on a kernel that has none.
    pub fn without_tcx(&mut self) {
        self.dataplane = self.dataplane.take().map(Kernel::without_tcx);
    }

    /// The data plane.
    pub fn dataplane(&mut self) -> &mut Kernel {
        self.dataplane.as_mut().unwrap()
    }

    /// What it shows of itself now.
    pub fn readings(&self) -> Arc<dyn Readings> {
        self.dataplane.as_ref().unwrap().readings()
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
    /// Whether what the network sends is judged where it leaves.
    on_the_way_out: bool,
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
            on_the_way_out: false,
            _apparatus: apparatus,
        }
    }
}

impl Program {
    /// Whether a frame that arrives there gets the verdict of a way out, and the kernel can
    /// be shown it there.
    fn is_judged_out(&self, interface: &str, frame: &Arrival) -> bool {
        let interfaces = self.generation.interfaces();
        let is_network = |known: &CompiledInterface| {
            known.name == interface && known.ingress.role == Role::Network
        };
        self.on_the_way_out
            && is_shown_on_the_way_out(&frame.bytes)
            && interface == NETWORK
            && interfaces.iter().any(is_network)
    }
}

/// Whether `BPF_PROG_TEST_RUN` can show a frame to the program at a way out
/// (`bpf_prog_test_run_skb()` in `net/bpf/test_run.c`): it takes none that ends with its
/// Ethernet header, or in an IP header right behind that, and none that has no room in a
/// page, less what the kernel keeps before and behind the frame in it.
pub fn is_shown_on_the_way_out(frame: &[u8]) -> bool {
    const LONGEST: usize = 3_500;
    let shortest = match frame.get(12..SHORTEST) {
        Some([0x08, 0x00]) => SHORTEST + 20,
        Some([0x86, 0xdd]) => SHORTEST + 40,
        _ => SHORTEST + 1,
    };
    (shortest..=LONGEST).contains(&frame.len())
}

/// What was judged on the way out to the customers, counted as if it had arrived from the
/// network.
pub fn as_if_arrived(mut counters: Counters) -> Counters {
    let at = |metric, interface| series(metric, &[("interface", interface)]);
    let passed = counters.insert(at("egress_passed_packets", CUSTOMERS), 0);
    let arrived = at("passed_packets", NETWORK);
    *counters.entry(arrived).or_default() += passed.unwrap_or_default();
    counters.insert(at("egress_dropped_packets", CUSTOMERS), 0);
    counters
}

impl Filter for Program {
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done {
        if self.is_judged_out(interface, frame) {
            let out = self.generation.test_run_out(CUSTOMERS, &frame.bytes, None);
            let action = out.unwrap_or_else(|error| panic!("{:02x?}: {error}", frame.bytes));
            assert!(
                [TC_ACT_UNSPEC, TC_ACT_SHOT].contains(&action),
                "the program returned action {action}"
            );
            return Done {
                passes: action == TC_ACT_UNSPEC,
                verdict: None,
            };
        }
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
        match self.on_the_way_out {
            true => as_if_arrived(counters),
            false => counters,
        }
    }

    fn wait(&mut self, _seconds: u64) {
        unreachable!("the kernel's clock is not ours to set");
    }
}
