//! The XDP programs, and the one at the way out: each reads the frame, asks [`filter_common::decide`], counts.
//!
//! There is no policy here. One copy of the program is loaded for each
//! interface and generation, with its settings as constants; the copies of a
//! generation share its tables, and all copies share the counters and the memory of
//! flows.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "maps, globals and the licence are symbols in sections of their own, \
              packet memory and helpers have no safe interface; each block says why it is sound"
)]

mod context;
mod hidden;
mod maps;
mod outgoing;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use filter_common::{DropReason, Frame as _, Ingress, Role, Sources, counters, decide};

use crate::{
    context::PacketBytes,
    maps::{Counters, Generation},
    outgoing::Outgoing,
};

/// For interfaces of the role `customer`. [`filter_common::abi`] has the names of both
/// programs. `frags`: an interface whose MTU exceeds a page hands over
/// frames in several buffers.
#[xdp(frags)]
#[inline(always)] // The entry point would call it: every frame would pay for a return.
pub(crate) fn poolguard_cust(ctx: XdpContext) -> u32 {
    let ingress = Ingress {
        role: Role::Customer,
        sources: maps::sources(),
    };
    filter(&ctx, ingress)
}

/// For interfaces of the role `network`. A role of its own takes a program of its
/// own: what the other one asks is not in it.
#[xdp(frags)]
#[inline(always)]
pub(crate) fn poolguard_net(ctx: XdpContext) -> u32 {
    let ingress = Ingress {
        role: Role::Network,
        sources: Sources::Any,
    };
    filter(&ctx, ingress)
}

/// For interfaces of the role `mixed`.
#[xdp(frags)]
#[inline(always)]
pub(crate) fn poolguard_mixed(ctx: XdpContext) -> u32 {
    let ingress = Ingress {
        role: Role::Mixed,
        sources: Sources::Any,
    };
    filter(&ctx, ingress)
}

/// At the way out of an interface toward customers, for what was not judged on arrival:
/// what this box sends itself, what comes out of a tunnel, what arrived at an interface
/// without the filter. It is judged as what the network sends.
///
/// What passes is left to the programs and filters after this one (`TCX_NEXT` has the
/// same number).
#[classifier]
#[inline(always)]
pub(crate) fn poolguard_out(ctx: TcContext) -> i32 {
    if maps::is_judged_on_arrival(outgoing::came_from(&ctx)) {
        return TC_ACT_UNSPEC;
    }
    let outgoing = Outgoing::new(&ctx);
    let ingress = Ingress {
        role: Role::Network,
        sources: Sources::Any,
    };
    // There is room on every CPU; the verifier does not know.
    let Some(room) = maps::head() else {
        return TC_ACT_UNSPEC;
    };
    let head = outgoing.copy_head(room);
    let mut verdict = decide(&head, ingress, &Generation);
    if verdict.reason.is_some_and(DropReason::is_cut_short)
        && outgoing.has_more(head.copied)
        && let Some(room) = maps::long_head()
    {
        verdict = decide(&outgoing.copy_head(room), ingress, &Generation);
    }
    let (interface, packets) = (maps::interface(), outgoing.packets());
    counters::count_out(&verdict, interface, packets, outgoing.len(), &mut Counters);
    match verdict.passes() {
        true => TC_ACT_UNSPEC,
        false => TC_ACT_SHOT,
    }
}

/// Decides one frame.
#[inline(always)]
fn filter(ctx: &XdpContext, ingress: Ingress) -> u32 {
    let frame = PacketBytes::new(ctx);
    let mut verdict = decide(&frame, ingress, &Generation);
    // Drivers may begin a frame in several buffers anywhere, some with nothing
    // in the first one. Then the headers are read out of a copy.
    if verdict.reason.is_some_and(DropReason::is_cut_short) && frame.has_more() {
        let head = maps::head().and_then(|room| frame.copy_head(room));
        if let Some(head) = head {
            verdict = decide(&head, ingress, &Generation);
        }
    }
    if !verdict.passes() {
        counters::count(&verdict, maps::interface(), frame.len(), &mut Counters);
        return xdp_action::XDP_DROP;
    }
    let action = match maps::is_wire() {
        true => maps::send_to_peer(),
        false => xdp_action::XDP_PASS,
    };
    if action == xdp_action::XDP_DROP {
        // It ends here: the host is no part of a wire.
        counters::count_unsent(maps::interface(), &mut Counters);
    } else {
        // Its length is not counted, and asking for it is a call.
        counters::count(&verdict, maps::interface(), 0, &mut Counters);
    }
    action
}

/// The kernel's helpers ask for a licence that is compatible with the GPL.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Nothing in the program panics; the language asks for a handler all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
