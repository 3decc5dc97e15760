//! A raw socket on one interface.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    os::fd::AsRawFd as _,
    time::Duration,
};

use nix::{
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, SockFlag, SockProtocol, SockType, bind, setsockopt, socket,
            sockopt::{RcvBufForce, ReceiveTimeout},
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use super::Namespace;

/// How long nothing may arrive before a test gives up. No test waits for this:
/// each waits for a frame that is certain to come.
const PATIENCE_SECONDS: i64 = 20;

/// How many bytes may wait to be received. Linux 6.1 spends more than a page on a
/// frame, however small: by default no more than fifty would be kept.
const BUFFER: usize = 8 << 20;

/// Larger than any frame that a test sends.
const LARGEST: usize = 65_536;

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

    /// The next frame that arrives; `None` if none does for very long.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut frame = vec![0; LARGEST];
        match self.socket.read(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Some(frame)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot receive: {error}"),
        }
    }
}
