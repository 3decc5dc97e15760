//! One question to the kernel over netlink, and its answers.
//!
//! Whoever asks waits: this is asked from threads with and without a runtime.

pub(super) mod generic;
mod names;

use std::{fmt::Debug, io};

use netlink_sys::{Socket, SocketAddr};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rustix::io::Errno;

use names::in_utf8;

/// How often a list is asked for that changes while the kernel gives it.
const ATTEMPTS: usize = 20;

/// Asks, and gives back the answers up to the kernel's last word. A list is asked for again
/// where it changed meanwhile: something may be missing in it.
pub(super) fn ask<M>(protocol: isize, question: M, flags: u16) -> io::Result<Vec<M>>
where
    M: NetlinkSerializable + NetlinkDeserializable + Debug + Clone,
{
    for _ in 0..ATTEMPTS {
        if let Some(answers) = ask_once(protocol, question.clone(), flags)?.whole() {
            return Ok(answers);
        }
    }
    // With a number: a list that cannot be had is not one that cannot be read.
    Err(Errno::AGAIN.into())
}

/// What the kernel has answered so far.
struct Answers<M> {
    list: Vec<M>,
    /// Whether what was asked for changed meanwhile.
    is_torn: bool,
}

impl<M> Answers<M> {
    const fn none() -> Self {
        Self {
            list: Vec::new(),
            is_torn: false,
        }
    }

    /// The answers, if none can be missing.
    fn whole(self) -> Option<Vec<M>> {
        (!self.is_torn).then_some(self.list)
    }
}

fn ask_once<M>(protocol: isize, question: M, flags: u16) -> io::Result<Answers<M>>
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
    let mut answers = Answers::none();
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
    answers: &mut Answers<M>,
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
        answers.is_torn |= message.header.flags & NLM_F_DUMP_INTR != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.list.push(answer),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use rtnetlink::{
        packet_core::{DoneMessage, NLM_F_MULTIPART},
        packet_route::{RouteNetlinkMessage, link::LinkMessage},
    };

    use super::*;

    fn datagram(payload: NetlinkPayload<RouteNetlinkMessage>, flags: u16) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_MULTIPART | flags;
        let mut message = NetlinkMessage::new(header, payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    /// Where devices come and go all the time, as PPP sessions do, the kernel of Debian 12
    /// leaves others out that stay.
    #[test]
    fn a_list_that_changed_while_it_was_given_is_not_gone_by() {
        let device = || {
            let link = RouteNetlinkMessage::NewLink(LinkMessage::default());
            NetlinkPayload::InnerMessage(link)
        };
        let done = || NetlinkPayload::Done(DoneMessage::default());
        for (flags, is_whole) in [
            ([0, 0, 0], true),
            ([NLM_F_DUMP_INTR, 0, 0], false),
            ([0, NLM_F_DUMP_INTR, 0], false),
            // So it says where the list was over already.
            ([0, 0, NLM_F_DUMP_INTR], false),
        ] {
            let mut answers = Answers::<RouteNetlinkMessage>::none();
            assert!(!take(&datagram(device(), flags[0]), &mut answers).unwrap());
            assert!(!take(&datagram(device(), flags[1]), &mut answers).unwrap());
            assert!(take(&datagram(done(), flags[2]), &mut answers).unwrap());
            assert_eq!(
                answers.whole().map(|list| list.len()),
                is_whole.then_some(2)
            );
        }
    }
}
