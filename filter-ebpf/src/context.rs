//! The one place that reads packet memory.

use core::hint::black_box;

use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_xdp_get_buff_len, programs::XdpContext};
use filter_common::Frame;

/// The verifier follows offsets into a packet up to 65,535.
const MAX_OFFSET: usize = 0x7fff;

/// The linear part of the frame that an XDP program was called for.
pub(crate) struct PacketBytes {
    ctx: *mut xdp_md,
    start: usize,
    end: usize,
}

impl PacketBytes {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self {
            ctx: ctx.ctx,
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }
}

impl Frame for PacketBytes {
    #[inline(always)]
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > MAX_OFFSET {
            return None;
        }
        let first = self.start + at;
        if first + N > self.end {
            return None;
        }
        // SAFETY: the N bytes from `first` lie between the start and the end of
        // the packet that the kernel gave; any bytes are a valid array of them,
        // and a packet is aligned to nothing in particular.
        Some(unsafe { (first as *const [u8; N]).read_unaligned() })
    }

    #[inline(always)]
    fn opaque(&self, at: usize) -> usize {
        // The verifier does not follow the difference of two pointers. The mask
        // gives it a bound that it keeps, whatever register or slot holds it.
        (black_box(self.start + at) - self.start) & MAX_OFFSET
    }

    #[inline(always)]
    fn len(&self) -> usize {
        // SAFETY: `ctx` is the context that the kernel called the program with.
        let length = unsafe { bpf_xdp_get_buff_len(self.ctx) };
        length as usize
    }
}
