//! The one place that reads packet memory.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use filter_common::Frame;

use crate::hidden::hidden;

/// The verifier follows offsets into a packet up to 65,535.
const MAX_OFFSET: usize = 0x7fff;

/// How much of a frame is copied where its linear part is too short: more than
/// the longest headers that anyone has use for.
const HEAD_LENGTH: usize = 512;

/// The longest piece that is read at once: the headers of IPv6 and TCP, up to the
/// latter's flags.
pub(crate) const LONGEST_READ: usize = 54;

/// Room for the head of a frame, and for a read that begins in it.
pub(crate) type Head = [u8; HEAD_ROOM];
const HEAD_ROOM: usize = HEAD_LENGTH + LONGEST_READ;

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

impl PacketBytes {
    /// Whether the frame goes on in other buffers.
    #[inline(always)]
    pub(crate) fn has_more(&self) -> bool {
        // Asked for once more: `start`, kept until here, would carry what the verifier
        // knows of the bytes behind it through the whole decision, which it would then
        // walk once for every length of headers.
        //
        // SAFETY: `ctx` is the context that the kernel called the program with, and
        // these are two of its fields.
        let (start, end) = unsafe {
            let ctx = self.ctx;
            (
                (&raw const (*ctx).data).read_volatile() as usize,
                (&raw const (*ctx).data_end).read_volatile() as usize,
            )
        };
        self.len() > end - start
    }

    /// Copies the head of the frame, from all of its buffers.
    #[inline(always)]
    pub(crate) fn copy_head<'a>(&self, room: &'a mut Head) -> Option<HeadBytes<'a, HEAD_ROOM>> {
        let length = self.len();
        let copied = to_copy(length, HEAD_LENGTH);
        // SAFETY: `ctx` is the context that the kernel called the program with,
        // and the kernel writes no more than the bytes of the array.
        let error =
            unsafe { bpf_xdp_load_bytes(self.ctx, 0, room.as_mut_ptr().cast(), copied as u32) };
        (error == 0).then_some(HeadBytes {
            head: room,
            copied,
            length,
            is_uncut: false,
        })
    }
}

/// How many bytes of so many to copy: 1 to `most`, a power of two, in terms that the
/// verifier of Linux 6.1 follows. It learns nothing from a comparison with zero, and
/// forgets what it learns of one copy of a number for the others. For an empty frame, of
/// which there is none, it is too much, and the kernel copies nothing.
#[inline(always)]
pub(crate) fn to_copy(length: usize, most: usize) -> usize {
    (hidden(length.min(most)).wrapping_sub(1) & (most - 1)) + 1
}

/// The head of a frame, copied out of its buffers into this much room.
pub(crate) struct HeadBytes<'a, const ROOM: usize> {
    /// What was copied, and whatever was there before.
    pub(crate) head: &'a [u8; ROOM],
    /// How many bytes were.
    pub(crate) copied: usize,
    /// How long the frame is.
    pub(crate) length: usize,
    /// As [`Frame::is_uncut`].
    pub(crate) is_uncut: bool,
}

impl<const ROOM: usize> HeadBytes<'_, ROOM> {
    /// How much of a frame there is room for, a power of two.
    const LENGTH: usize = ROOM - LONGEST_READ;
}

impl<const ROOM: usize> Frame for HeadBytes<'_, ROOM> {
    #[inline(always)]
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        const { assert!(N <= LONGEST_READ) };
        if at > Self::LENGTH || at + N > self.copied {
            return None;
        }
        // The verifier need not follow how that bounds `at`: the mask does.
        let at = at & (Self::LENGTH - 1);
        // SAFETY: `N` bytes from anywhere in the head lie in the array.
        Some(unsafe {
            self.head
                .as_ptr()
                .add(at)
                .cast::<[u8; N]>()
                .read_unaligned()
        })
    }

    #[inline(always)]
    fn opaque(&self, at: usize) -> usize {
        let start = self.head.as_ptr() as usize;
        difference(start + at, start) & (Self::LENGTH - 1)
    }

    #[inline(always)]
    fn is_uncut(&self) -> bool {
        self.is_uncut
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.length
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
        difference(self.start + at, self.start) & MAX_OFFSET
    }

    #[inline(always)]
    fn len(&self) -> usize {
        // SAFETY: `ctx` is the context that the kernel called the program with.
        let length = unsafe { bpf_xdp_get_buff_len(self.ctx) };
        length as usize
    }
}

/// How far a pointer is from another one. The verifier does not follow it; a
/// mask gives it a bound that it keeps, whatever register or slot holds it.
#[inline(always)]
fn difference(pointer: usize, start: usize) -> usize {
    hidden(pointer) - start
}
