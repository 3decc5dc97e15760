//! Names of devices that are not UTF-8. The kernel takes any bytes but `/`, `:` and spaces
//! (`dev_valid_name` in `net/core/dev.c`), and the library refuses the whole message.

/// Of `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16 + 16;
/// Of `struct nlattr`.
const ATTRIBUTE: usize = 4;

// From linux/if_link.h.
const IFLA_IFNAME: u16 = 3;
const IFLA_IFALIAS: u16 = 20;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
/// Without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE: u16 = 0x3fff;

/// What stands for a byte that is not UTF-8: no name has it, and so a device of such a
/// name is not taken for a configured one.
const REPLACEMENT: u8 = b'/';

/// A message about a link, with names that can be read.
pub(super) fn in_utf8(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    if let Some(attributes) = message.get_mut(HEADER..) {
        make_readable(attributes);
    }
    message
}

fn make_readable(mut attributes: &mut [u8]) {
    while let [a, b, c, d, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]) & TYPE;
        let Some(value) = attributes.get_mut(ATTRIBUTE..length) else {
            return;
        };
        match kind {
            IFLA_PROP_LIST => make_readable(value),
            IFLA_IFNAME | IFLA_IFALIAS | IFLA_ALT_IFNAME if str::from_utf8(value).is_err() => {
                for byte in value.iter_mut().filter(|byte| !byte.is_ascii()) {
                    *byte = REPLACEMENT;
                }
            }
            _ => {}
        }
        let next = length.next_multiple_of(4).min(attributes.len());
        attributes = &mut attributes[next..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or_default();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn names_are_made_readable_and_nothing_else_is_changed() {
        let message = |name: &[u8], other: &[u8]| {
            let names = attribute(IFLA_ALT_IFNAME, other);
            let attributes = [
                attribute(1, &[0xff; 6]),
                attribute(IFLA_IFNAME, name),
                attribute(IFLA_PROP_LIST | 0x8000, &names),
            ];
            [vec![0xff; HEADER], attributes.concat()].concat()
        };
        let readable = message("caf\u{e9}\0".as_bytes(), b"eth0\0");
        assert_eq!(in_utf8(&readable), readable);
        let unreadable = message(b"caf\xe9\0", b"\xff\xfe\0");
        assert_eq!(in_utf8(&unreadable), message(b"caf/\0", b"//\0"));
        // What is cut short is no reason to panic.
        for length in 0..unreadable.len() {
            let _readable = in_utf8(&unreadable[..length]);
        }
    }
}
