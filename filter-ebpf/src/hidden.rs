//! Numbers of which the compiler knows nothing.

use core::arch::asm;

/// `number`, of which the compiler knows nothing: neither what it was computed from
/// nor how large it is.
///
/// [`core::hint::black_box`] does the same by way of memory, which takes three
/// instructions more, and of what was in memory the kernel's verifier knows what it
/// was: it would walk all that follows for each value that there can have been.
#[inline(always)]
pub(crate) fn hidden(mut number: usize) -> usize {
    // SAFETY: there is no instruction in it.
    unsafe {
        asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    }
    number
}
