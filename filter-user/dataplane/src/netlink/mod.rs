//! One question to the kernel over netlink, and its answers.
//!
//! Whoever asks waits: this is asked from threads with and without a runtime.

pub(super) mod generic;
mod names;

use std::{fmt::Debug, io};

use netlink_sys::{Socket, SocketAddr};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};

use names::in_utf8;

/// Asks, and gives back the answers up to the kernel's last word.
pub(super) fn ask<M>(protocol: isize, question: M, flags: u16) -> io::Result<Vec<M>>
where
    M: NetlinkSerializable + NetlinkDeserializable + Debug,
{
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let payload = NetlinkPayload::InnerMessage(question);
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        if take(&datagram, &mut answers)? {
            return Ok(answers);
        }
    }
}

/// Takes the answers out of a datagram. Says whether that was the last one.
fn take<M: NetlinkDeserializable + Debug>(
    mut datagram: &[u8],
    answers: &mut Vec<M>,
) -> io::Result<bool> {
    while !datagram.is_empty() {
        let length = NetlinkBuffer::new_checked(&datagram).map_err(io::Error::other)?;
        let length = length.length() as usize;
        let message = NetlinkMessage::<M>::deserialize(datagram).or_else(|_| {
            // A name that somebody chose keeps nothing else from being read.
            let end = length.min(datagram.len());
            NetlinkMessage::<M>::deserialize(&in_utf8(&datagram[..end]))
        });
        let message = message.map_err(io::Error::other)?;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => match error.code {
                // An acknowledgement.
                None => return Ok(true),
                Some(_) => return Err(error.to_io()),
            },
            _ => {}
        }
        let next = length.next_multiple_of(4).min(datagram.len());
        datagram = &datagram[next..];
    }
    Ok(false)
}
