//! Reading a frame, wherever its bytes are.

/// An Ethernet frame that can be read a few bytes at a time.
///
/// This is the only way in which the decision touches a packet. Offsets count
/// from the first byte of the Ethernet header.
pub trait Frame {
    /// The `N` bytes that start at offset `at`, or `None` unless all of them
    /// are in the frame.
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// The number of bytes in the frame, from the Ethernet header on, without
    /// the frame check sequence.
    fn len(&self) -> usize;

    /// Whether the kernel or a card cuts the frame into segments later on. A segment of
    /// more than 65,535 bytes gives no length in its IP header: it ends where the frame
    /// does (`iph_set_totlen()` in `include/linux/ip.h`).
    #[inline(always)]
    fn is_uncut(&self) -> bool {
        false
    }

    /// `at`, which is less than 32,768, as a number that says nothing of how it
    /// came about.
    ///
    /// For the kernel's verifier, which walks all that follows once for every
    /// value that it knows `at` to have; to everyone else this is `at`.
    #[inline(always)]
    fn opaque(&self, at: usize) -> usize {
        at
    }

    /// Whether there is nothing to read at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Frame for [u8] {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}
