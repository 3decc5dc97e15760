//! A `bpf_link` between an interface and an XDP program.
//!
//! Made with `bpf(2)` itself: aya falls back to netlink where the kernel refuses
//! a link, and what it attaches that way can neither be pinned nor replaced in
//! one step, and outlives the process unseen. Nor does aya detach a link: its
//! links go some time after the last reference to them, and until then nothing
//! else can be attached.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use crate::config::Attach;

/// `enum bpf_cmd` in `linux/bpf.h`. All of them are there from Linux 5.9.
#[derive(Clone, Copy)]
#[repr(i64)]
enum Command {
    ObjPin = 6,
    ObjGet = 7,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkDetach = 34,
}

/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_TYPE_XDP: u32 = 37;
/// `XDP_FLAGS_SKB_MODE` in `linux/if_link.h`.
const FLAG_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`: in the driver or not at all.
const FLAG_NATIVE: u32 = 1 << 2;

/// `union bpf_attr` for each command, without the fields that stay zero.
mod attributes {
    #[repr(C)]
    pub(super) struct Obj {
        pub(super) pathname: u64,
        pub(super) bpf_fd: u32,
        pub(super) file_flags: u32,
    }

    #[repr(C)]
    pub(super) struct LinkCreate {
        pub(super) prog_fd: u32,
        pub(super) target_ifindex: u32,
        pub(super) attach_type: u32,
        pub(super) flags: u32,
    }

    #[repr(C)]
    pub(super) struct LinkUpdate {
        pub(super) link_fd: u32,
        pub(super) new_prog_fd: u32,
    }

    #[repr(C)]
    pub(super) struct LinkDetach {
        pub(super) link_fd: u32,
    }
}

/// A reference to a link. The link goes when the last reference is dropped,
/// pins included.
#[derive(Debug)]
pub(super) struct BpfLink(OwnedFd);

impl BpfLink {
    /// Attaches a program.
    pub(super) fn create(
        program: BorrowedFd<'_>,
        interface_index: u32,
        mode: Attach,
    ) -> io::Result<Self> {
        let create = attributes::LinkCreate {
            prog_fd: number(&program),
            target_ifindex: interface_index,
            attach_type: ATTACH_TYPE_XDP,
            flags: match mode {
                Attach::Native => FLAG_NATIVE,
                Attach::Generic => FLAG_GENERIC,
            },
        };
        bpf(Command::LinkCreate, &create).map(Self::own)
    }

    /// The link that is pinned here.
    pub(super) fn open(pin: &Path) -> io::Result<Self> {
        let path = CString::new(pin.as_os_str().as_bytes())?;
        let get = attributes::Obj {
            pathname: path.as_ptr() as u64,
            bpf_fd: 0,
            file_flags: 0,
        };
        bpf(Command::ObjGet, &get).map(Self::own)
    }

    fn own(descriptor: i32) -> Self {
        // SAFETY: the kernel has just made this descriptor, for nobody else.
        #[expect(unsafe_code, reason = "a system call gives a bare number")]
        Self(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Keeps the link at a place in bpffs, whatever becomes of this process.
    pub(super) fn pin(&self, pin: &Path) -> io::Result<()> {
        let path = CString::new(pin.as_os_str().as_bytes())?;
        let obj = attributes::Obj {
            pathname: path.as_ptr() as u64,
            bpf_fd: number(&self.0),
            file_flags: 0,
        };
        bpf(Command::ObjPin, &obj).map(drop)
    }

    /// Puts another program in the place of the one that is attached, between
    /// two frames.
    pub(super) fn replace(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let update = attributes::LinkUpdate {
            link_fd: number(&self.0),
            new_prog_fd: number(&program),
        };
        bpf(Command::LinkUpdate, &update).map(drop)
    }

    /// Detaches the program, whoever else has a reference. The kernel is done
    /// with it when this returns.
    pub(super) fn detach(&self) -> io::Result<()> {
        let detach = attributes::LinkDetach {
            link_fd: number(&self.0),
        };
        bpf(Command::LinkDetach, &detach).map(drop)
    }

    /// The index of the interface that it is attached to; 0 when it no longer
    /// is: it was detached, or the interface is gone.
    pub(super) fn interface_index(&self) -> io::Result<u32> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", number(&self.0.as_fd())))?;
        let line = info.lines().find_map(|line| line.strip_prefix("ifindex:"));
        line.and_then(|index| index.trim().parse().ok())
            .ok_or_else(|| io::Error::other("not a link of an XDP program"))
    }
}

fn number(descriptor: &impl AsRawFd) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// `bpf(2)`.
fn bpf<T>(command: Command, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads as many bytes as it is told, those of a `repr(C)`
    // value without padding, and takes the rest of the union for zero. The
    // strings and descriptors in it outlive the call.
    #[expect(unsafe_code, reason = "aya does not wrap these as they are needed")]
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}
