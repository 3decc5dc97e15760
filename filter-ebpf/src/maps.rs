//! The program's constants and tables. `filter-user/dataplane/src` fills them, by
//! the names in [`filter_common::abi`].

use crate::{context::Head, hidden::hidden, outgoing::LongHead};
use aya_ebpf::{
    Global,
    bindings::xdp_action,
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, xdp::DevMap},
};
use filter_common::{
    Address, Policy, PortClass, PortClasses, PortSlots, Settings, Sources, Tables,
    abi::{JUDGED_BELOW_DEVICES, JUDGED_DEVICES},
    counters::{Ledger, ROWS, Row},
    flow::{CAPACITY, Flow},
    last_use::{MARK_LINES, MarkLine, mark, mark_line},
    prefix_table::{Line, ROOT_LINES, find_policy},
};

/// The counter slot of the interface.
#[unsafe(no_mangle)]
static INTERFACE: Global<u32> = Global::new(0);
/// What holds for the whole box.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings::UNSET;

/// Port number to class. A constant, not a map: there is nothing to look up, and
/// next to every frame asks.
#[unsafe(no_mangle)]
static PORT_CLASSES: PortClasses = [0; 1 << 16];
/// Port number to counter slot. Not beside the class: most frames ask for that alone, and
/// find it in the cache the more often.
#[unsafe(no_mangle)]
static PORT_SLOTS: PortSlots = [0; 1 << 16];

/// The [`Sources`] that the interface lets in, by number.
#[unsafe(no_mangle)]
static SOURCES: Global<u32> = Global::new(0);

/// Whether what passes goes out of [`PEER`], and not to the kernel.
#[unsafe(no_mangle)]
static WIRE: Global<u32> = Global::new(0);

/// The other end of the wire, where there is one. Of this copy alone. The kernel
/// empties it when that device goes.
#[map]
static PEER: DevMap = DevMap::with_max_entries(1, 0);

/// Frames change no table of a generation but the marks: no two CPUs ever want to write to
/// the same cache line. With this flag the verifier enforces it.
const READ_ONLY: u32 = aya_ebpf::bindings::BPF_F_RDONLY_PROG;
/// Policy number to policy. Of the generation, sized when it is loaded.
#[map]
static POLICIES: Array<Policy> = Array::with_max_entries(1, READ_ONLY);
/// The controller stores single entries of prefix tables, in one piece, while
/// they are in use: `BPF_MAP_UPDATE_ELEM` copies whole lines.
/// They are not [`READ_ONLY`], since the kernel then maps them for nobody to write.
const MAPPABLE: u32 = aya_ebpf::bindings::BPF_F_MMAPABLE;
/// The IPv4 prefix table. Of the generation, sized when it is loaded.
#[map]
static PREFIXES_V4: Array<Line> = Array::with_max_entries(ROOT_LINES, MAPPABLE);
/// The IPv6 prefix table. Of the generation, sized when it is loaded.
#[map]
static PREFIXES_V6: Array<Line> = Array::with_max_entries(ROOT_LINES, MAPPABLE);
/// The marks of exemptions that are used. Of the generation. The controller takes them away
/// while they are in use.
#[map]
static MARKS: Array<MarkLine> = Array::with_max_entries(MARK_LINES, MAPPABLE);

/// Outlives generations.
#[map]
static COUNTERS: PerCpuArray<Row> = PerCpuArray::with_max_entries(ROWS, 0);
/// Flow to the second it was last seen at. Outlives generations.
#[map]
static FLOWS: LruHashMap<Flow, u64> = LruHashMap::with_max_entries(CAPACITY, 0);

/// The devices whose frames were judged on arrival, by index. The controller knows them.
#[map]
static JUDGED: HashMap<u32, u32> = HashMap::with_max_entries(
    JUDGED_DEVICES,
    READ_ONLY | aya_ebpf::bindings::BPF_F_NO_PREALLOC,
);

/// The same for devices with low indices, as nearly all that frames arrive at: a table that
/// is found in without a call.
#[map]
static JUDGED_BELOW: Array<u32> = Array::with_max_entries(JUDGED_BELOW_DEVICES, READ_ONLY);

/// Where the heads of frames are copied whose linear part is too short.
#[map]
static HEAD: PerCpuArray<Head> = PerCpuArray::with_max_entries(1, 0);

/// Where long heads are copied on the way out. The copies of a generation share it.
#[map]
static LONG_HEAD: PerCpuArray<LongHead> = PerCpuArray::with_max_entries(1, 0);

/// A part of a constant that the controller sets: to the compiler it is what is
/// written above, and it must not know.
#[inline(always)]
fn part<T: Copy>(of_constant: &T) -> T {
    // SAFETY: it is a reference, and the controller sets the constant to a value of
    // its type.
    unsafe { core::ptr::from_ref(of_constant).read_volatile() }
}

/// This CPU's room for the head of a frame.
#[inline(always)]
pub(crate) fn head() -> Option<&'static mut Head> {
    // SAFETY: it belongs to this CPU, where no program is interrupted by another one, as
    // for the counters below.
    HEAD.get_ptr_mut(0).map(|head| unsafe { &mut *head })
}

/// This CPU's room for a long head of a frame on its way out.
#[inline(always)]
pub(crate) fn long_head() -> Option<&'static mut LongHead> {
    // SAFETY: as above.
    LONG_HEAD.get_ptr_mut(0).map(|head| unsafe { &mut *head })
}

/// Whether the frames that arrive at a device are judged there. What was never received
/// has 0 for one.
#[inline(always)]
pub(crate) fn is_judged_on_arrival(device: u32) -> bool {
    match JUDGED_BELOW.get(device) {
        Some(is_judged) => *is_judged != 0,
        None => JUDGED.get_ptr(device).is_some(),
    }
}

#[inline(always)]
pub(crate) fn interface() -> u32 {
    INTERFACE.load()
}

#[inline(always)]
pub(crate) fn sources() -> Sources {
    Sources::from_number(SOURCES.load())
}

#[inline(always)]
pub(crate) fn is_wire() -> bool {
    WIRE.load() != 0
}

/// The action that sends the frame to the other end of the wire; `XDP_DROP`
/// where there is none.
#[inline(always)]
pub(crate) fn send_to_peer() -> u32 {
    PEER.redirect(0, xdp_action::XDP_DROP.into())
        .unwrap_or_else(|nowhere| nowhere)
}

/// The tables of the generation that this copy of the program belongs to.
pub(crate) struct Generation;

impl Tables for Generation {
    #[inline(always)]
    fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T {
        part(which(&SETTINGS))
    }

    #[inline(always)]
    fn port_class(&self, port: u16) -> PortClass {
        // The compiler knows that a port has 16 bits and would leave the mask
        // out. The verifier of Linux 6.1 does not: it forgets the bounds of what
        // was swapped or assembled with OR. So the compiler must not know.
        PortClass(part(&PORT_CLASSES[hidden(port as usize) & 0xffff]))
    }

    #[inline(always)]
    fn port_slot(&self, port: u16) -> u32 {
        // As for the classes.
        part(&PORT_SLOTS[hidden(port as usize) & 0xffff]).into()
    }

    #[inline(always)]
    fn policy_of(&self, address: Address) -> &Policy {
        find_policy(
            address,
            |number| PREFIXES_V4.get(number),
            |number| PREFIXES_V6.get(number),
            |number| POLICIES.get(number),
        )
    }

    #[inline(always)]
    fn mark_used(&self, address: Address) {
        let Some(line) = MARKS.get_ptr_mut(mark_line(address)) else {
            return;
        };
        // SAFETY: words of a map value.
        let word = |place: usize, word: usize| unsafe { &raw mut (*line)[place][word] };
        // SAFETY: such a word, in one piece.
        let load = |place, half| unsafe { word(place, half).read_volatile() };
        // SAFETY: the same.
        let store = |place, half, value| unsafe { word(place, half).write_volatile(value) };
        mark(address, load, store);
    }

    #[inline(always)]
    fn now_seconds(&self) -> u64 {
        // SAFETY: takes nothing and reads the kernel's coarse monotonic clock.
        let nanoseconds = unsafe { bpf_ktime_get_coarse_ns() };
        nanoseconds / 1_000_000_000
    }

    #[inline(always)]
    fn flow_seen(&self, flow: &Flow) -> Option<u64> {
        // SAFETY: an eight-byte load, which other CPUs write whole. The memory of
        // an entry that is evicted meanwhile stays a map value: at worst this is
        // the time of another flow.
        unsafe { FLOWS.get(flow) }.copied()
    }

    #[inline(always)]
    fn remember_flow(&self, flow: &Flow, now_seconds: u64) {
        // When the map cannot take the flow, its answer will be dropped like
        // anything unsolicited: there is nothing else to do about it here.
        let _full = FLOWS.insert(flow, now_seconds, 0);
    }
}

/// The counters of this CPU.
pub(crate) struct Counters;

impl Ledger for Counters {
    #[inline(always)]
    fn row(&mut self, number: u32) -> Option<&mut Row> {
        let row = COUNTERS.get_ptr_mut(number)?;
        // SAFETY: the row belongs to this CPU, and readers sum whole words. No program
        // is interrupted by another one there: XDP runs in softirqs, which do not
        // interrupt each other, and what a process sends runs through the program at
        // the way out with softirqs off (`rcu_read_lock_bh()` in `__dev_queue_xmit()`).
        // No program calls what would send or receive a frame before it returns.
        Some(unsafe { &mut *row })
    }
}
