//! Detaching a pinned link, now.
//!
//! Removing the pin is not enough: the kernel detaches a link some time after
//! the last reference to it is gone, and until then nothing else can be
//! attached. aya has no call for `BPF_LINK_DETACH` (Linux 5.9), which is done
//! when it returns.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// `enum bpf_cmd` in `linux/bpf.h`.
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_DETACH: libc::c_long = 34;

/// `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// Detaches the link that is pinned at `pin`. The pin stays.
///
/// # Errors
///
/// When there is no link there, or it cannot be detached.
pub(super) fn detach(pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let get = ObjGet {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    let fd = bpf(BPF_OBJ_GET, &get)?;
    // SAFETY: the kernel has just made this descriptor for us.
    #[expect(unsafe_code, reason = "a system call gives a bare number")]
    let link = unsafe { OwnedFd::from_raw_fd(fd) };
    let link_fd = link.as_raw_fd().cast_unsigned();
    bpf(BPF_LINK_DETACH, &LinkDetach { link_fd }).map(drop)
}

/// `bpf(2)`.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads as many bytes as it is told, those of a `repr(C)`
    // value without padding, and takes the rest of the union for zero.
    #[expect(unsafe_code, reason = "aya wraps neither command")]
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}
