//! A raw socket on one interface.

use std::{
    fs::File,
    io::{self, IoSliceMut, Write as _},
    os::fd::AsRawFd as _,
    time::Duration,
};

use nix::{
    cmsg_space,
    errno::Errno,
    ifaddrs::getifaddrs,
    libc, setsockopt_impl, sockopt_impl,
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, bind,
            recvmsg, setsockopt, socket,
            sockopt::{RcvBufForce, ReceiveTimeout},
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use crate::namespace::Namespace;

/// How long nothing may arrive before a test gives up. No test waits for this:
/// each waits for a frame that is certain to come.
const PATIENCE_SECONDS: i64 = 20;

/// How many bytes may wait to be received. Linux 6.1 spends more than a page on a
/// frame, however small: by default no more than fifty would be kept.
const BUFFER: usize = 8 << 20;

/// Larger than any frame that a test sends.
const LARGEST: usize = 65_536;

sockopt_impl!(
    /// Has the kernel tell of the VLAN tag that it took out of a frame.
    PacketAuxdata,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_AUXDATA,
    bool
);

sockopt_impl!(
    /// Has every frame that is sent begin with a `struct virtio_net_hdr`.
    PacketVnetHeader,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_VNET_HDR,
    bool
);

/// `struct tpacket_auxdata`.
type Auxdata = [u8; 20];

/// Where VLAN tags are in a frame.
const TAGS: usize = 12;

/// Sends frames through an interface and receives those that arrive there, from
/// the Ethernet header on.
#[derive(Debug)]
pub struct Port {
    socket: File,
}

impl Port {
    /// A socket on an interface of a namespace.
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        let socket = namespace.run(|| {
            let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC);
            let socket = socket(family, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
            let address = getifaddrs()
                .unwrap()
                .filter(|found| found.interface_name == interface)
                .find_map(|found| found.address?.as_link_addr().copied())
                .unwrap_or_else(|| panic!("there is no interface {interface}"));
            bind(socket.as_raw_fd(), &address).unwrap();
            setsockopt(&socket, RcvBufForce, &BUFFER).unwrap();
            setsockopt(&socket, PacketAuxdata, &true).unwrap();
            setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS)).unwrap();
            File::from(socket)
        });
        Self { socket }
    }

    /// Gives up sooner.
    pub fn with_patience(self, patience: Duration) -> Self {
        let patience = TimeVal::milliseconds(patience.as_millis() as i64);
        setsockopt(&self.socket, ReceiveTimeout, &patience).unwrap();
        self
    }

    /// Sends one frame.
    pub fn send(&mut self, frame: &[u8]) {
        let sent = self.socket.write(frame).unwrap();
        assert_eq!(sent, frame.len(), "the whole frame is sent");
    }

    /// Sends one frame.
    ///
    /// # Errors
    ///
    /// When something on the way out drops it.
    pub fn try_send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.socket.write(frame).map(drop)
    }

    /// The next frame that arrives; `None` if none does for very long.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut frame = vec![0; LARGEST];
        let mut space = cmsg_space!(Auxdata);
        let mut slices = [IoSliceMut::new(&mut frame)];
        let socket = self.socket.as_raw_fd();
        let received = recvmsg::<()>(socket, &mut slices, Some(&mut space), MsgFlags::empty());
        let (length, tag) = match received {
            Ok(message) => {
                let mut beside = message.cmsgs().unwrap();
                (message.bytes, beside.find_map(|message| tag(&message)))
            }
            Err(Errno::EAGAIN) => return None,
            Err(error) => panic!("cannot receive: {error}"),
        };
        frame.truncate(length);
        if let Some(tag) = tag {
            frame.splice(TAGS..TAGS, tag);
        }
        Some(frame)
    }
}

/// Sends frames through an interface whose bytes the kernel keeps in several buffers.
#[derive(Debug)]
pub struct Scatterer {
    socket: File,
}

impl Scatterer {
    /// The shortest frame that the kernel does not put into one buffer all the same
    /// (`packet_alloc_skb()` in `net/packet/af_packet.c`).
    pub const SHORTEST: usize = 5_000;

    /// A socket on an interface of a namespace.
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        let Port { socket } = Port::open(namespace, interface);
        setsockopt(&socket, PacketVnetHeader, &true).unwrap();
        Self { socket }
    }

    /// Sends one frame of which the first buffer has no more than so many bytes.
    ///
    /// # Errors
    ///
    /// When something on the way out drops it.
    pub fn try_send(&mut self, frame: &[u8], first: u16) -> io::Result<()> {
        assert!(
            frame.len() >= Self::SHORTEST,
            "it is kept in several buffers"
        );
        // Of the header (section 5.1.6 of the Virtual I/O Device specification 1.3) only
        // `hdr_len` is set.
        let mut bytes = vec![0; 10];
        bytes[2..4].copy_from_slice(&first.to_ne_bytes());
        bytes.extend(frame);
        self.socket.write(&bytes).map(drop)
    }
}

/// The VLAN tag that was taken out of a frame.
fn tag(message: &ControlMessageOwned) -> Option<[u8; 4]> {
    const VLAN_VALID: u32 = 0x10;
    let ControlMessageOwned::Unknown(message) = message else {
        return None;
    };
    let auxdata: &Auxdata = message.data_bytes.first_chunk()?;
    let (status, tag) = (auxdata.first_chunk()?, auxdata.last_chunk::<4>()?);
    let [control_low, control_high, kind_low, kind_high] = *tag;
    (u32::from_ne_bytes(*status) & VLAN_VALID != 0).then(|| {
        let kind = u16::from_ne_bytes([kind_low, kind_high]).to_be_bytes();
        let control = u16::from_ne_bytes([control_low, control_high]).to_be_bytes();
        [kind[0], kind[1], control[0], control[1]]
    })
}
