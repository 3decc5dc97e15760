//! Families of generic netlink, and their attributes as they are: of those that
//! are asked here nobody needs more than a few.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;
use rtnetlink::packet_core::{
    DecodeError, Emitable as _, NLA_F_NESTED, NetlinkDeserializable, NetlinkHeader,
    NetlinkSerializable, Nla, NlasIterator,
};
use rustix::io::Errno;

use super::ask;

/// An attribute: a number and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    kind: u16,
    value: Vec<u8>,
}

impl Attribute {
    pub(crate) fn number(kind: u16, value: u32) -> Self {
        let value = value.to_ne_bytes().to_vec();
        Self { kind, value }
    }

    /// With the NUL that the kernel wants at its end.
    pub(crate) fn text(kind: u16, text: &str) -> Self {
        let value = [text.as_bytes(), &[0]].concat();
        Self { kind, value }
    }

    /// One whose presence says it all.
    pub(crate) fn flag(kind: u16) -> Self {
        let value = Vec::new();
        Self { kind, value }
    }

    /// One that holds others.
    pub(crate) fn nested(kind: u16, inner: &[Self]) -> Self {
        let mut value = vec![0; inner.buffer_len()];
        inner.emit(&mut value);
        let kind = kind | NLA_F_NESTED;
        Self { kind, value }
    }

    /// Those that lie in it.
    pub(crate) fn inner(&self) -> io::Result<Vec<Self>> {
        parsed(&self.value).map_err(io::Error::other)
    }

    pub(crate) fn as_text(&self) -> String {
        let text = self.value.strip_suffix(&[0]).unwrap_or(&self.value);
        String::from_utf8_lossy(text).into_owned()
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        let value = self.value.as_slice().try_into();
        value.ok().map(u64::from_ne_bytes)
    }

    fn as_u16(&self) -> Option<u16> {
        let value = self.value.as_slice().try_into();
        value.ok().map(u16::from_ne_bytes)
    }
}

impl Nla for Attribute {
    fn value_len(&self) -> usize {
        self.value.len()
    }

    fn kind(&self) -> u16 {
        self.kind
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.value);
    }
}

/// The attributes that lie in some bytes one after the other.
fn parsed(bytes: &[u8]) -> Result<Vec<Attribute>, DecodeError> {
    NlasIterator::new(bytes)
        .map(|attribute| {
            attribute.map(|attribute| Attribute {
                kind: attribute.kind(),
                value: attribute.value().to_vec(),
            })
        })
        .collect()
}

/// The first of some attributes with a number.
pub(crate) fn find(attributes: &[Attribute], kind: u16) -> Option<&Attribute> {
    attributes.iter().find(|attribute| attribute.kind == kind)
}

/// Asks a family of generic netlink. Gives back the attributes of its answers;
/// nothing where the kernel has no such family.
pub(crate) fn ask_family(
    name: &str,
    command: u8,
    attributes: Vec<Attribute>,
) -> io::Result<Option<Vec<Attribute>>> {
    let Some(family) = family(name)? else {
        return Ok(None);
    };
    let message = Message {
        family,
        command,
        attributes,
    };
    let answers = ask(NETLINK_GENERIC, message, 0)?;
    let attributes = answers.into_iter().flat_map(|answer| answer.attributes);
    Ok(Some(attributes.collect()))
}

/// The number that the kernel has given to a family.
fn family(name: &str) -> io::Result<Option<u16>> {
    const CONTROL: u16 = libc::GENL_ID_CTRL as u16;
    const GET_FAMILY: u8 = libc::CTRL_CMD_GETFAMILY as u8;
    const FAMILY_ID: u16 = libc::CTRL_ATTR_FAMILY_ID as u16;
    const FAMILY_NAME: u16 = libc::CTRL_ATTR_FAMILY_NAME as u16;
    let message = Message {
        family: CONTROL,
        command: GET_FAMILY,
        attributes: vec![Attribute::text(FAMILY_NAME, name)],
    };
    let answers = match ask(NETLINK_GENERIC, message, 0) {
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => return Ok(None),
        answers => answers?,
    };
    let mut attributes = answers.iter().flat_map(|answer| &answer.attributes);
    let id = attributes.find(|attribute| attribute.kind == FAMILY_ID);
    let id = id.and_then(Attribute::as_u16);
    id.map(Some)
        .ok_or_else(|| io::Error::other(format!("the kernel gives family {name} no number")))
}

/// A message of generic netlink.
#[derive(Clone, Debug)]
struct Message {
    family: u16,
    command: u8,
    attributes: Vec<Attribute>,
}

/// `struct genlmsghdr`: the command, the version, and two bytes to spare.
const HEADER: usize = 4;
const VERSION: u8 = 1;

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(HEADER);
        header.copy_from_slice(&[self.command, VERSION, 0, 0]);
        self.attributes.as_slice().emit(attributes);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let (&[command, ..], attributes) = payload
            .split_first_chunk::<HEADER>()
            .ok_or_else(|| DecodeError::from("no header of generic netlink"))?;
        Ok(Self {
            family: header.message_type,
            command,
            attributes: parsed(attributes)?,
        })
    }
}
