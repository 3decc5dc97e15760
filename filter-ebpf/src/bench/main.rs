//! The programs of the benchmark. They measure; nothing of them is in the product.
//!
//! `BPF_PROG_TEST_RUN` runs a program on the same bytes over and over, which
//! would measure one path through warm tables. So [`vary`] is run, which writes
//! another address into the frame each time and tail-calls the *subject*. What it
//! costs by itself is what it takes with [`floor`] for a subject.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "maps and the licence are symbols in sections of their own, packet memory and \
              helpers have no safe interface; each block says why it is sound"
)]

#[expect(dead_code, reason = "frames are in one buffer here")]
#[path = "../context.rs"]
mod context;
#[path = "../hidden.rs"]
mod hidden;
mod one_load;
#[expect(unreachable_pub, reason = "the host reaches what is in this file")]
mod spec;
mod trie;

use aya_ebpf::{
    bindings::xdp_action,
    helpers::bpf_redirect,
    macros::{map, xdp},
    maps::{Array, ProgramArray},
    programs::XdpContext,
};

use crate::spec::{PORTS, Spec};

/// What to write.
#[map]
static SPEC: Array<Spec> = Array::with_max_entries(1, 0);
/// The state of a linear congruential generator.
#[map]
static RANDOM: Array<u64> = Array::with_max_entries(1, 0);
/// The subject.
#[map]
static SUBJECT: ProgramArray = ProgramArray::with_max_entries(1, 0);
/// A subject that takes no frames in several buffers: the kernel lets only
/// programs of the same kind call each other.
#[map]
static SUBJECT_WITHOUT_FRAGS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Headers are found before this offset.
const HEADERS: usize = 0xff;

/// The program that does nothing but drop.
#[xdp(frags)]
pub(crate) fn floor(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// The same without support for several buffers.
#[xdp]
pub(crate) fn floor_without_frags(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Writes another address and calls the subject.
#[xdp(frags)]
pub(crate) fn vary(ctx: XdpContext) -> u32 {
    if write(&ctx).is_some() {
        // SAFETY: nothing here has anything to clean up.
        unsafe { SUBJECT.tail_call(&ctx, 0) };
    }
    xdp_action::XDP_ABORTED
}

/// The same without support for several buffers.
#[xdp]
pub(crate) fn vary_without_frags(ctx: XdpContext) -> u32 {
    if write(&ctx).is_some() {
        // SAFETY: nothing here has anything to clean up.
        unsafe { SUBJECT_WITHOUT_FRAGS.tail_call(&ctx, 0) };
    }
    xdp_action::XDP_ABORTED
}

/// Writes another address and sends the frame; drops it where it is to be sent nowhere.
#[xdp]
pub(crate) fn send(ctx: XdpContext) -> u32 {
    match write(&ctx).and_then(|spec| renew(&ctx, spec)) {
        Some(spec) if spec.interface == 0 => xdp_action::XDP_DROP,
        // SAFETY: the helper takes two numbers, and remembers one of them.
        Some(spec) => unsafe { bpf_redirect(spec.interface, 0) as u32 },
        None => xdp_action::XDP_ABORTED,
    }
}

/// Live frames come back as whoever forwarded them left them: writes the Ethernet
/// address of the router again, and what is to be left of the packet's life.
#[inline(always)]
fn renew(ctx: &XdpContext, spec: &'static Spec) -> Option<&'static Spec> {
    const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
    put(ctx, 0, ROUTER)?;
    put(ctx, spec.life_at.into(), spec.life)?;
    Some(spec)
}

#[inline(always)]
fn write(ctx: &XdpContext) -> Option<&'static Spec> {
    let spec = SPEC.get(0)?;
    let random = next_random()?;
    let index = ((random >> 32) * spec.count as u64) >> 32;
    let address = spec.customers.nth(index);
    if spec.checksum_at == 0 {
        put(ctx, spec.customer_at, address.to_be())?;
    } else {
        put(ctx, spec.customer_at, ((address >> 32) as u32).to_be())?;
    }
    let mut stranger = 0;
    if spec.stranger_at != 0 {
        stranger = random & 0xffff_ffff;
        put(ctx, spec.stranger_at, (stranger as u32).to_be())?;
    }
    if spec.port_at != 0 {
        let port = PORTS[(random >> 40) as usize & (PORTS.len() - 1)];
        put(ctx, spec.port_at, port.to_be())?;
    }
    if spec.checksum_at != 0 {
        let sum = spec.header_sum as u64
            + (address >> 48)
            + (address >> 32 & 0xffff)
            + (stranger >> 16)
            + (stranger & 0xffff);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        put(ctx, spec.checksum_at, (!sum as u16).to_be())?;
    }
    Some(spec)
}

/// The next number of the generator (Knuth's MMIX).
#[inline(always)]
fn next_random() -> Option<u64> {
    let state = RANDOM.get_ptr_mut(0)?;
    // SAFETY: a word of this map, which one CPU at a time uses.
    unsafe {
        *state = (*state)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(*state)
    }
}

/// Writes a number into the frame.
#[inline(always)]
fn put<T>(ctx: &XdpContext, at: u32, value: T) -> Option<()> {
    let place = ctx.data() + (at as usize & HEADERS);
    if place + size_of::<T>() > ctx.data_end() {
        return None;
    }
    // SAFETY: it lies between the start and the end of the packet that the kernel gave.
    unsafe { (place as *mut T).write_unaligned(value) };
    Some(())
}

/// The kernel's helpers ask for a licence that is compatible with the GPL.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Nothing in the programs panics; the language asks for a handler all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
