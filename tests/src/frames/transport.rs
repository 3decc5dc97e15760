//! The five protocols with ports, from their first byte.

use etherparse::{TcpHeader, UdpHeader};
use filter_common::Protocol;

/// TCP flags, as they stand in the fourteenth byte of the header.
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Resets it.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// Acknowledges.
    pub const ACK: u8 = 0x10;
    /// Urgent.
    pub const URG: u8 = 0x20;
    /// Explicit congestion notification (RFC 3168): echo.
    pub const ECE: u8 = 0x40;
    /// Explicit congestion notification: window reduced.
    pub const CWR: u8 = 0x80;
}

/// What follows every header: something to tell a payload from padding by.
const DATA: &[u8] = b"poolguard";

/// The first packet of a conversation: a SYN for TCP.
pub fn segment(protocol: Protocol, source_port: u16, destination_port: u16) -> Vec<u8> {
    let mut bytes = match protocol {
        Protocol::Tcp => {
            let mut header = TcpHeader::new(source_port, destination_port, 1, 65_535);
            header.syn = true;
            header.to_bytes().to_vec()
        }
        Protocol::Udp => UdpHeader {
            source_port,
            destination_port,
            length: (UdpHeader::LEN + DATA.len()) as u16,
            checksum: 0,
        }
        .to_bytes()
        .to_vec(),
        // RFC 9260 section 3.1, RFC 4340 section 5.1 and RFC 3828 section 3.1:
        // the ports, then 8, 8 and 4 more bytes that no filter looks at.
        Protocol::Sctp | Protocol::Dccp => only_ports(source_port, destination_port, 12),
        Protocol::UdpLite => only_ports(source_port, destination_port, 8),
    };
    bytes.extend_from_slice(DATA);
    bytes
}

fn only_ports(source_port: u16, destination_port: u16, length: usize) -> Vec<u8> {
    let mut header = vec![0; length];
    header[..2].copy_from_slice(&source_port.to_be_bytes());
    header[2..4].copy_from_slice(&destination_port.to_be_bytes());
    header
}
