//! The way out on kernels without tcx: a filter of the `clsact` qdisc.
//!
//! The filter has a place of its own, by which it is replaced and removed, and the name of
//! the instance, by which it is known. What others have in the qdisc is left alone, and so
//! is the qdisc unless it was made for the filter and nothing else is in it.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::{
    packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL},
    packet_route::{
        RouteNetlinkMessage,
        tc::{
            TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
        },
    },
};
use rustix::io::Errno;

use crate::netlink::ask;

/// What the note says in which a filter was made with its qdisc.
pub(super) const MADE: &str = "qdisc";

const CLSACT: &str = "clsact";

/// Before all others: a filter that ends the decision keeps frames from those behind it.
const PRIORITY: u32 = 1;
/// "pool", for people who look at the filters of a device.
const HANDLE: u32 = 0x706f_6f6c;
/// `ETH_P_ALL`, in network byte order, as the lower half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;

const EGRESS: TcHandle = TcHandle {
    major: TcHandle::CLSACT.major,
    minor: TcHandle::MIN_EGRESS,
};
const INGRESS: TcHandle = TcHandle {
    major: TcHandle::CLSACT.major,
    minor: TcHandle::MIN_INGRESS,
};

/// The filter of an instance, on whichever device.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    name: String,
}

impl Filter {
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }

    /// Adds the filter, and the qdisc if there is none. `note_qdisc` is to note that, before
    /// it is made.
    pub(super) fn attach(
        &self,
        index: u32,
        program: BorrowedFd<'_>,
        note_qdisc: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        if !has_clsact(index)? {
            note_qdisc()?;
            add_clsact(index)?;
        }
        self.put(index, program, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Puts another program in the place of the one that is there, between two frames.
    pub(super) fn replace(&self, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
        self.put(index, program, NLM_F_CREATE)
    }

    fn put(&self, index: u32, program: BorrowedFd<'_>, flags: u16) -> io::Result<()> {
        let mut message = own(index);
        message.attributes.push(TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(
                program.as_raw_fd().cast_unsigned(),
            )),
            TcOption::Bpf(TcFilterBpfOption::ProgName(self.name.clone())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]));
        let message = RouteNetlinkMessage::NewTrafficFilter(message);
        ask(NETLINK_ROUTE, message, flags).map(drop)
    }

    /// The program that it has on a device, by the kernel's number; none where the filter
    /// is not there.
    pub(super) fn program(&self, index: u32) -> io::Result<Option<u32>> {
        let filters = filters(index, EGRESS)?.into_iter();
        let mut ours = filters.filter(|filter| u32::from(filter.header.handle) == HANDLE);
        Ok(ours.find_map(|filter| self.program_of(&filter)))
    }

    fn program_of(&self, filter: &TcMessage) -> Option<u32> {
        let options = filter
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                TcAttribute::Options(options) => Some(options),
                _ => None,
            })?;
        let is_ours = options.iter().any(|option| {
            matches!(option, TcOption::Bpf(TcFilterBpfOption::ProgName(name)) if *name == self.name)
        });
        options.iter().find_map(|option| match option {
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) if is_ours => Some(*id),
            _ => None,
        })
    }

    /// Removes the filter where it is, and then the qdisc, if `made_qdisc` and nothing
    /// else is in it.
    pub(super) fn detach(&self, index: u32, made_qdisc: bool) -> io::Result<()> {
        if self.program(index)?.is_some() {
            let message = RouteNetlinkMessage::DelTrafficFilter(own(index));
            unless_gone(ask(NETLINK_ROUTE, message, 0))?;
        }
        if !made_qdisc || !has_clsact(index)? {
            return Ok(());
        }
        let others = filters(index, EGRESS)?.len() + filters(index, INGRESS)?.len();
        match others {
            0 => {
                let message = RouteNetlinkMessage::DelQueueDiscipline(clsact(index));
                unless_gone(ask(NETLINK_ROUTE, message, 0))
            }
            _ => Ok(()),
        }
    }
}

/// The place of the filter on a device.
fn own(index: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = EGRESS;
    message.header.handle = HANDLE.into();
    message.header.info = PRIORITY << 16 | ALL_PROTOCOLS;
    let kind = TcFilterBpf::KIND.to_owned();
    message.attributes.push(TcAttribute::Kind(kind));
    message
}

/// The qdisc of a device.
fn clsact(index: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle {
        major: TcHandle::CLSACT.major,
        minor: 0,
    };
    let kind = CLSACT.to_owned();
    message.attributes.push(TcAttribute::Kind(kind));
    message
}

fn add_clsact(index: u32) -> io::Result<()> {
    let message = RouteNetlinkMessage::NewQueueDiscipline(clsact(index));
    ask(NETLINK_ROUTE, message, NLM_F_CREATE | NLM_F_EXCL).map(drop)
}

fn has_clsact(index: u32) -> io::Result<bool> {
    let mut question = TcMessage::with_index(index.cast_signed());
    question.header.handle = TcHandle::UNSPEC;
    let question = RouteNetlinkMessage::GetQueueDiscipline(question);
    let mut answers = ask(NETLINK_ROUTE, question, NLM_F_DUMP)?.into_iter();
    // Kernels before 6.13 tell of the qdiscs of all devices.
    Ok(answers.any(|answer| match answer {
        RouteNetlinkMessage::NewQueueDiscipline(qdisc) => {
            let mut kinds = qdisc.attributes.iter();
            qdisc.header.index == index.cast_signed()
                && kinds.any(|kind| matches!(kind, TcAttribute::Kind(kind) if kind == CLSACT))
        }
        _ => false,
    }))
}

/// The filters that a device has on one of its two ways; none where it is gone.
fn filters(index: u32, way: TcHandle) -> io::Result<Vec<TcMessage>> {
    let mut question = TcMessage::with_index(index.cast_signed());
    question.header.parent = way;
    let question = RouteNetlinkMessage::GetTrafficFilter(question);
    let answers = ask(NETLINK_ROUTE, question, NLM_F_DUMP)?.into_iter();
    let filters = answers.filter_map(|answer| match answer {
        // Where there is no filter of a priority left, its head is told.
        RouteNetlinkMessage::NewTrafficFilter(filter)
            if u32::from(filter.header.handle) != 0
                && filter.header.index == index.cast_signed() =>
        {
            Some(filter)
        }
        _ => None,
    });
    Ok(filters.collect())
}

/// What is gone already need not be removed.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<()> {
    match result {
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NODEV | Errno::NOENT | Errno::INVAL) => Ok(()),
            _ => Err(error),
        },
        Ok(_) => Ok(()),
    }
}
