//! The values of a map in the kernel, as this process's memory.

use std::{
    ffi::c_void,
    io,
    os::fd::OwnedFd,
    ptr, slice,
    sync::atomic::{AtomicU32, AtomicU64},
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// Some pages of a map's values. Frames and this process see the same bytes.
pub(super) struct Mapped {
    memory: *mut c_void,
    bytes: usize,
}

impl Mapped {
    /// The pages in which so many bytes are, which begin at the beginning of a page.
    pub(super) fn new(map: &OwnedFd, first: usize, bytes: usize) -> io::Result<Self> {
        let bytes = bytes.next_multiple_of(page_size());
        #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
        // SAFETY: the kernel chooses where; nothing else is there.
        let memory = unsafe {
            mmap(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map,
                first as u64,
            )?
        };
        Ok(Self { memory, bytes })
    }

    /// As words that others may write as well, each in one piece.
    pub(super) fn words(&self) -> &[AtomicU32] {
        self.slice()
    }

    /// The same, of eight bytes.
    pub(super) fn long_words(&self) -> &[AtomicU64] {
        self.slice()
    }

    fn slice<T: OfNumbers>(&self) -> &[T] {
        #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
        // SAFETY: so many bytes are there as long as `self` is, and any bytes are such a
        // value. A page begins where each of them may begin.
        unsafe {
            slice::from_raw_parts(self.memory.cast(), self.bytes / size_of::<T>())
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
        // SAFETY: it is what was mapped, and whoever has a part of it borrows `self`.
        let gone = unsafe { munmap(self.memory, self.bytes) };
        debug_assert!(gone.is_ok(), "{gone:?}");
    }
}

/// What any bytes are a value of.
trait OfNumbers {}
impl OfNumbers for AtomicU32 {}
impl OfNumbers for AtomicU64 {}
