//! A `bpf_link` between an interface and a program: one of XDP, or one at its way out.
//!
//! Made with `bpf(2)` itself: aya falls back to netlink where the kernel refuses
//! a link, and what it attaches that way can neither be pinned nor replaced in
//! one step, and outlives the process unseen. Nor does aya detach a link: its
//! links go some time after the last reference to them, and until then nothing
//! else can be attached.

use std::{
    fs, io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use aya_obj::generated::{
    BPF_F_BEFORE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, bpf_attach_type, bpf_cmd, bpf_link_type,
};
use policy::config::Attach;

use super::bpf::{self, bpf, number};

/// What the descriptor of a link is called, by where the kernel made it.
const KINDS: [&str; 2] = ["anon_inode:bpf-link", "anon_inode:bpf_link"];

/// `union bpf_attr` for each command, without the fields that stay zero.
mod attributes {
    #[repr(C)]
    pub(super) struct LinkCreate {
        pub(super) prog_fd: u32,
        pub(super) target_ifindex: u32,
        pub(super) attach_type: u32,
        pub(super) flags: u32,
    }

    /// The programs at one place, in their order. `count` is how many there is room for,
    /// and then how many there are.
    #[repr(C)]
    pub(super) struct ProgQuery {
        pub(super) target_ifindex: u32,
        pub(super) attach_type: u32,
        pub(super) query_flags: u32,
        pub(super) attach_flags: u32,
        pub(super) prog_ids: u64,
        pub(super) count: u32,
        pub(super) padding: u32,
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

    #[repr(C)]
    pub(super) struct ObjInfo {
        pub(super) bpf_fd: u32,
        pub(super) info_len: u32,
        pub(super) info: u64,
    }

    /// The beginning of `struct bpf_link_info`, the same for both kinds of link.
    #[derive(Default)]
    #[repr(C)]
    pub(super) struct LinkInfo {
        pub(super) link_type: u32,
        pub(super) id: u32,
        pub(super) prog_id: u32,
        pub(super) padding: u32,
        pub(super) ifindex: u32,
    }
}

/// What a link attaches, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The index of the interface, in the network namespace that it is in.
    pub(super) index: u32,
    /// The number that the kernel gave the program, on the whole machine.
    pub(super) program: u32,
}

/// What a link attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Where frames arrive.
    Xdp,
    /// Where they leave, before `clsact`: Linux 6.6.
    TcxEgress,
}

impl Hook {
    const fn link_type(self) -> bpf_link_type {
        match self {
            Self::Xdp => bpf_link_type::BPF_LINK_TYPE_XDP,
            Self::TcxEgress => bpf_link_type::BPF_LINK_TYPE_TCX,
        }
    }
}

/// A reference to a link. The link goes when the last reference is dropped,
/// pins included.
#[derive(Debug)]
pub(super) struct BpfLink {
    link: OwnedFd,
    hook: Hook,
}

/// So many programs can be at one place (`BPF_MPROG_MAX` of `linux/bpf_mprog.h`).
const MOST_PROGRAMS: usize = 64;

/// The programs at the way out of a device that tcx runs, by the kernel's numbers.
pub(super) fn tcx_programs(interface_index: u32) -> io::Result<Vec<u32>> {
    let mut programs = [0_u32; MOST_PROGRAMS];
    let query = attributes::ProgQuery {
        target_ifindex: interface_index,
        attach_type: bpf_attach_type::BPF_TCX_EGRESS as u32,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: programs.as_mut_ptr() as u64,
        count: programs.len() as u32,
        padding: 0,
    };
    match bpf(bpf_cmd::BPF_PROG_QUERY, &query) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    // Programs have numbers from 1 up.
    Ok(programs.into_iter().filter(|&id| id != 0).collect())
}

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
            attach_type: bpf_attach_type::BPF_XDP as u32,
            flags: match mode {
                // In the driver or not at all.
                Attach::Native => XDP_FLAGS_DRV_MODE,
                Attach::Generic => XDP_FLAGS_SKB_MODE,
            },
        };
        let link = bpf::descriptor(bpf_cmd::BPF_LINK_CREATE, &create)?;
        let hook = Hook::Xdp;
        Ok(Self { link, hook })
    }

    /// Attaches a program at the way out, before all that are there.
    pub(super) fn create_at_way_out(
        program: BorrowedFd<'_>,
        interface_index: u32,
    ) -> io::Result<Self> {
        let create = attributes::LinkCreate {
            prog_fd: number(&program),
            target_ifindex: interface_index,
            attach_type: bpf_attach_type::BPF_TCX_EGRESS as u32,
            // One that ends the decision would keep frames from those behind it.
            flags: BPF_F_BEFORE,
        };
        let link = bpf::descriptor(bpf_cmd::BPF_LINK_CREATE, &create)?;
        let hook = Hook::TcxEgress;
        Ok(Self { link, hook })
    }

    /// The link that is pinned here.
    ///
    /// # Errors
    ///
    /// `InvalidData` when something else is pinned here.
    pub(super) fn open(pin: &Path, hook: Hook) -> io::Result<Self> {
        let link = bpf::open(pin)?;
        let link = Self { link, hook };
        // Maps and programs answer the same question with facts of their own.
        let kind = fs::read_link(format!("/proc/self/fd/{}", number(&link.link)))?;
        if !KINDS.iter().any(|&known| kind == Path::new(known)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a link"));
        }
        link.target().map(|_| link)
    }

    /// Keeps the link, whatever becomes of this process.
    pub(super) fn pin(&self, pin: &Path) -> io::Result<()> {
        bpf::pin(&self.link, pin)
    }

    /// Puts another program in the place of the one that is attached, between
    /// two frames.
    pub(super) fn replace(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let update = attributes::LinkUpdate {
            link_fd: number(&self.link),
            new_prog_fd: number(&program),
        };
        bpf(bpf_cmd::BPF_LINK_UPDATE, &update).map(drop)
    }

    /// Detaches the program, whoever else has a reference. The kernel is done
    /// with it when this returns.
    pub(super) fn detach(&self) -> io::Result<()> {
        let detach = attributes::LinkDetach {
            link_fd: number(&self.link),
        };
        bpf(bpf_cmd::BPF_LINK_DETACH, &detach).map(drop)
    }

    /// What decides where; none when it is attached nowhere any more: it was detached, or
    /// the interface is gone.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a link of another type. This takes no descriptor, so
    /// that a process that has run out of them does not take its links for gone.
    pub(super) fn target(&self) -> io::Result<Option<Target>> {
        let info = self.info()?;
        let target = Target {
            index: info.ifindex,
            program: info.prog_id,
        };
        Ok(Some(target).filter(|target| target.index != 0))
    }

    fn info(&self) -> io::Result<attributes::LinkInfo> {
        let mut info = attributes::LinkInfo::default();
        let get = attributes::ObjInfo {
            bpf_fd: number(&self.link),
            info_len: size_of_val(&info) as u32,
            info: std::ptr::from_mut(&mut info) as u64,
        };
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &get)?;
        if info.link_type == self.hook.link_type() as u32 {
            Ok(info)
        } else {
            let error = "not a link of this kind";
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }
}
