//! One word at the place of the frame's customer in a table with a byte for each
//! place of the pool, and nothing else: what memory alone takes.

use core::hint::black_box;

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, xdp_action},
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use filter_common::{
    Frame as _,
    prefix_table::{LINE_WORDS, Line},
};

use crate::context::PacketBytes;

/// The pool has 2^24 places, and a line 64 bytes.
const LINES: u32 = 1 << 18;

/// All zero. Mapped by nobody: it is to be where poolguard's tables are.
#[map]
static BYTES: Array<Line> = Array::with_max_entries(LINES, BPF_F_MMAPABLE);

/// Drops what finds a zero.
#[xdp(frags)]
pub(crate) fn one_load(ctx: XdpContext) -> u32 {
    match load(&PacketBytes::new(&ctx)) {
        Some(0) => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_ABORTED,
    }
}

#[inline(always)]
fn load(frame: &PacketBytes) -> Option<u32> {
    /// The EtherType of IPv4.
    const IPV4: [u8; 2] = [0x08, 0x00];
    // Of an address in 10.0.0.0/8 the last three bytes, of one in 2001:db8::/32
    // the three that come next.
    let [high, middle, low] = match frame.bytes::<2>(12)? {
        IPV4 => frame.bytes::<3>(14 + 17)?,
        _ => frame.bytes::<3>(14 + 28)?,
    };
    let place = u32::from_be_bytes([0, high, middle, low]);
    let line = BYTES.get(place / size_of::<Line>() as u32)?;
    Some(line[black_box(place as usize / 4) % LINE_WORDS])
}
