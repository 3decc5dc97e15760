//! Frames on their way out, as `tc` programs see them.
//!
//! What is read is a copy of the head: whatever buffers the headers are in, and with a
//! VLAN tag that the kernel keeps beside the frame put where it will be on the wire. So
//! the verdict is the one that the same frame gets when it arrives somewhere.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes, programs::TcContext};

use crate::{
    context::{HeadBytes, LONGEST_READ, to_copy},
    hidden::hidden,
};

/// The index of the device that the frame arrived at last, as tags and ports were taken
/// off it on its way up; 0 for what this box sends itself.
#[inline(always)]
pub(crate) fn came_from(ctx: &TcContext) -> u32 {
    // SAFETY: the context that the kernel called the program with, and one of its fields.
    unsafe { (*ctx.skb.skb).ingress_ifindex }
}

/// How much of a frame is copied if less does not tell: eight extension headers of the
/// longest kind, but for the last bytes.
const LONG_HEAD_LENGTH: usize = 16 * 1024;

/// Room for a long head of a frame, and for a read that begins in it.
pub(crate) type LongHead = [u8; LONG_HEAD_LENGTH + LONGEST_READ];

/// The two addresses, after which a tag goes.
const ADDRESSES: usize = 12;
/// A VLAN tag: what kind of one, and its value.
const TAG: usize = 4;

/// A frame on its way out, or one that will be cut into several.
pub(crate) struct Outgoing {
    ctx: *mut __sk_buff,
    /// How many bytes of it are in its buffers.
    in_buffers: usize,
    /// Whether there is a tag beside them.
    is_tagged: bool,
    /// How many segments it will be cut into; 0 where it will not.
    segments: u32,
    is_uncut: bool,
}

impl Outgoing {
    #[inline(always)]
    pub(crate) fn new(ctx: &TcContext) -> Self {
        let ctx = ctx.skb.skb;
        // Read here and nowhere else: the verifier lets nobody keep the address of a
        // field, as the compiler would where it is read twice.
        //
        // SAFETY: the context that the kernel called the program with, and its fields.
        let skb = unsafe { &*ctx };
        Self {
            ctx,
            in_buffers: skb.len as usize,
            is_tagged: skb.vlan_present != 0,
            segments: skb.gso_segs,
            is_uncut: skb.gso_size != 0,
        }
    }

    /// How many packets it is on the wire.
    #[inline(always)]
    pub(crate) fn packets(&self) -> u64 {
        u64::from(self.segments.max(1))
    }

    /// How long it is.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        match self.is_tagged {
            true => self.in_buffers + TAG,
            false => self.in_buffers,
        }
    }

    /// Whether it goes on behind a head of which so many bytes were copied.
    #[inline(always)]
    pub(crate) fn has_more(&self, copied: usize) -> bool {
        self.len() > copied
    }

    /// Copies the head. Of what cannot be read, nothing is there.
    #[inline(always)]
    pub(crate) fn copy_head<'a, const ROOM: usize>(
        &self,
        room: &'a mut [u8; ROOM],
    ) -> HeadBytes<'a, ROOM> {
        let (mut from, mut to) = (0, 0);
        if self.is_tagged {
            (from, to) = (ADDRESSES, ADDRESSES + TAG);
            self.load(0, room, 0, ADDRESSES);
            self.copy_tag(room);
        }
        let most = ROOM - LONGEST_READ;
        let rest = to_copy(self.in_buffers - from, most);
        let copied = match self.load(from, room, to, rest) {
            // The compiler must not follow that it is no more than there is room for: it
            // would leave out a mask that the verifiers before Linux 6.18 need.
            true => hidden((to + rest).min(most)),
            false => 0,
        };
        HeadBytes {
            head: room,
            copied,
            length: self.len(),
            is_uncut: self.is_uncut,
        }
    }

    /// Copies the tag that is beside the frame to its place in it.
    #[inline(always)]
    fn copy_tag<const ROOM: usize>(&self, room: &mut [u8; ROOM]) {
        // The kind is in network byte order here, the value is not.
        //
        // SAFETY: the context, and two of its fields.
        let (kind, value) = unsafe { ((*self.ctx).vlan_proto as u16, (*self.ctx).vlan_tci as u16) };
        let ([kind, more_kind], [high, low]) = (kind.to_ne_bytes(), value.to_be_bytes());
        room[ADDRESSES] = kind;
        room[ADDRESSES + 1] = more_kind;
        room[ADDRESSES + 2] = high;
        room[ADDRESSES + 3] = low;
    }

    /// Copies `length` bytes of the frame to a place in the head. Says whether it has
    /// them.
    #[inline(always)]
    fn load<const ROOM: usize>(
        &self,
        from: usize,
        room: &mut [u8; ROOM],
        to: usize,
        length: usize,
    ) -> bool {
        const { assert!(ADDRESSES + TAG <= LONGEST_READ) };
        // SAFETY: the context; and what is copied is within the array: at most all of it
        // but for `LONGEST_READ` bytes, and less than that behind a tag.
        let error = unsafe {
            let place = room.as_mut_ptr().add(to);
            bpf_skb_load_bytes(self.ctx.cast(), from as u32, place.cast(), length as u32)
        };
        error == 0
    }
}
