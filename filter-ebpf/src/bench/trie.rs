//! The policy on a `BPF_MAP_TYPE_LPM_TRIE`: what poolguard would be without its
//! own prefix table. It reads frames by the same code and does less: no rule 5,
//! no return traffic, one counter.

use aya_ebpf::{
    bindings::xdp_action,
    macros::{map, xdp},
    maps::{Array, LpmTrie, PerCpuArray, lpm_trie::Key},
    programs::XdpContext,
};
use filter_common::{
    Family, PortClasses,
    parse::{Parsed, parse},
};

use crate::context::PacketBytes;

/// Port to class; 0 where it is allowed.
#[map]
static PORT_CLASSES: Array<PortClasses> = Array::with_max_entries(1, 0);
/// Pools and customers to the classes that are exempted there.
#[map]
static CUSTOMERS_V4: LpmTrie<u32, u64> = LpmTrie::with_max_entries(1, 0);
/// The same for IPv6.
#[map]
static CUSTOMERS_V6: LpmTrie<[u64; 2], u64> = LpmTrie::with_max_entries(1, 0);
/// Frames dropped.
#[map]
static DROPPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Rules 1 to 4.
#[xdp(frags)]
pub(crate) fn trie(ctx: XdpContext) -> u32 {
    match is_forbidden(&PacketBytes::new(&ctx)) {
        Some(true) => {
            if let Some(dropped) = DROPPED.get_ptr_mut(0) {
                // SAFETY: the word belongs to this CPU.
                unsafe { *dropped += 1 };
            }
            xdp_action::XDP_DROP
        }
        _ => xdp_action::XDP_PASS,
    }
}

#[inline(always)]
fn is_forbidden(frame: &PacketBytes) -> Option<bool> {
    let Parsed::Packet(packet) = parse(frame) else {
        return None;
    };
    let port = packet.destination_port;
    // The verifier has to see the mask.
    let port = core::hint::black_box(port as usize) & 0xffff;
    let class = PORT_CLASSES.get(0)?[port];
    if class == 0 {
        return None;
    }
    let to = packet.endpoints(frame)?.destination;
    let exempt = match to.family {
        Family::V4 => CUSTOMERS_V4.get(Key::new(32, ((to.high >> 32) as u32).to_be())),
        Family::V6 => {
            let aligned = AlignedKey {
                reserved: 0,
                key: Key::new(128, [to.high.to_be(), to.low.to_be()]),
            };
            CUSTOMERS_V6.get(&aligned.key)
        }
    }?;
    Some(exempt >> (class & 63) & 1 == 0)
}

/// The verifier wants the two words of an address on the stack where words belong.
#[repr(C, align(8))]
struct AlignedKey {
    reserved: u32,
    key: Key<[u64; 2]>,
}
