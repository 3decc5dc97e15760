//! `bpf(2)`, for the commands that aya does not wrap as they are needed here.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_cmd, bpf_map_type};

/// `union bpf_attr` of `BPF_OBJ_PIN` and `BPF_OBJ_GET`, without the fields that
/// stay zero.
#[repr(C)]
struct Obj {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Keeps what the descriptor refers to at a place in bpffs, whatever becomes of
/// this process.
pub(super) fn pin(object: &OwnedFd, place: &Path) -> io::Result<()> {
    let path = CString::new(place.as_os_str().as_bytes())?;
    let attributes = Obj {
        pathname: path.as_ptr() as u64,
        bpf_fd: number(object),
        file_flags: 0,
    };
    bpf(bpf_cmd::BPF_OBJ_PIN, &attributes).map(drop)
}

/// What is pinned at a place in bpffs.
pub(super) fn open(place: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(place.as_os_str().as_bytes())?;
    let attributes = Obj {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    descriptor(bpf_cmd::BPF_OBJ_GET, &attributes)
}

/// `union bpf_attr` of `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
struct Elem {
    map_fd: u32,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` of `BPF_MAP_CREATE`, without the fields that stay zero.
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
}

/// An array map of one element of `N` bytes, too many for the stack.
#[derive(Debug)]
pub(super) struct OneElement<const N: usize>(OwnedFd);

impl<const N: usize> OneElement<N> {
    /// Makes a map.
    pub(super) fn create() -> io::Result<Self> {
        let attributes = MapCreate {
            map_type: bpf_map_type::BPF_MAP_TYPE_ARRAY as u32,
            key_size: size_of::<u32>() as u32,
            value_size: N as u32,
            max_entries: 1,
            map_flags: 0,
            inner_map_fd: 0,
        };
        descriptor(bpf_cmd::BPF_MAP_CREATE, &attributes).map(Self)
    }

    /// Opens one. Whoever calls this has seen that what is pinned there is such
    /// a map: the kernel copies as many bytes as its elements have.
    pub(super) fn open(place: &Path) -> io::Result<Self> {
        open(place).map(Self)
    }

    /// Keeps it at a place in bpffs.
    pub(super) fn pin(&self, place: &Path) -> io::Result<()> {
        pin(&self.0, place)
    }

    /// Reads the element.
    pub(super) fn read(&self, value: &mut [u8; N]) -> io::Result<()> {
        self.element(bpf_cmd::BPF_MAP_LOOKUP_ELEM, value.as_mut_ptr() as u64)
    }

    /// Replaces the element, in one system call, which no signal ends half-way.
    pub(super) fn write(&self, value: &[u8; N]) -> io::Result<()> {
        self.element(bpf_cmd::BPF_MAP_UPDATE_ELEM, value.as_ptr() as u64)
    }

    fn element(&self, command: bpf_cmd, value: u64) -> io::Result<()> {
        element(&self.0, command, value)
    }
}

/// Runs a command on element 0 of an array.
fn element(map: &OwnedFd, command: bpf_cmd, value: u64) -> io::Result<()> {
    let key = 0_u32;
    let attributes = Elem {
        map_fd: number(map),
        reserved: 0,
        key: std::ptr::from_ref(&key) as u64,
        value,
        flags: 0,
    };
    bpf(command, &attributes).map(drop)
}

/// The end of every program that is running at a moment, to wait for.
///
/// The kernel lets whoever updates a map of maps wait for that, so that a program
/// which still uses the map before is seen to be done with it
/// (`maybe_wait_bpf_programs()` in `kernel/bpf/syscall.c`; its own tests wait the
/// same way, `kern_sync_rcu()`). membarrier(2) would do as well, but not on the boxes
/// where it is needed the most: with `nohz_full` it refuses.
///
/// It is made once: whoever has run out of descriptors can wait as well.
#[derive(Debug)]
pub(super) struct Barrier {
    outer: OwnedFd,
    inner: OneElement<8>,
}

impl Barrier {
    pub(super) fn create() -> io::Result<Self> {
        let inner = OneElement::<8>::create()?;
        let attributes = MapCreate {
            map_type: bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32,
            key_size: size_of::<u32>() as u32,
            value_size: size_of::<u32>() as u32,
            max_entries: 1,
            map_flags: 0,
            inner_map_fd: number(&inner.0),
        };
        let outer = descriptor(bpf_cmd::BPF_MAP_CREATE, &attributes)?;
        Ok(Self { outer, inner })
    }

    /// Waits.
    pub(super) fn wait(&self) -> io::Result<()> {
        let value = number(&self.inner.0);
        let value = std::ptr::from_ref(&value) as u64;
        element(&self.outer, bpf_cmd::BPF_MAP_UPDATE_ELEM, value)
    }
}

/// Runs a command that makes a descriptor.
pub(super) fn descriptor<T>(command: bpf_cmd, attributes: &T) -> io::Result<OwnedFd> {
    let made = bpf(command, attributes)?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    #[expect(unsafe_code, reason = "a system call gives a bare number")]
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// A descriptor as `union bpf_attr` has it.
pub(super) fn number(descriptor: &impl AsRawFd) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// Runs a command. `attributes` is its part of `union bpf_attr`.
pub(super) fn bpf<T>(command: bpf_cmd, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads as many bytes as it is told, those of a `repr(C)`
    // value without padding, and takes the rest of the union for zero. The
    // strings, buffers and descriptors in it outlive the call.
    #[expect(unsafe_code, reason = "a system call, and no library makes it")]
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
