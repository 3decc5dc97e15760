//! IP headers, extension headers and the first bytes behind them.

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
    err::{
        ip_auth,
        ipv4::{self, HeaderError},
        ipv6,
    },
    ip_number,
};

use super::reading::{Cause, Content, Datagram, Reading, Segment, Transport};

/// How many extension headers are walked.
const MAX_EXTENSIONS: usize = 8;

/// Where a TCP fragment can overwrite the flags: RFC 1858, section 4. In units
/// of 8 bytes.
const TINY_OFFSET: u16 = 1;

/// Reads what should be an IPv4 datagram, `at` that place of the frame.
pub(super) fn ipv4(bytes: &[u8], at: usize) -> Reading {
    let header = match Ipv4HeaderSlice::from_slice(bytes) {
        Ok(header) => header,
        // Both may be so. Then what the header says of itself comes first.
        Err(ipv4::HeaderSliceError::Len(_)) if contradicts_itself(bytes) => {
            return unreadable(Cause::IpHeaderLength, at);
        }
        Err(ipv4::HeaderSliceError::Len(_)) => return unreadable(Cause::IpTruncated, at),
        Err(ipv4::HeaderSliceError::Content(HeaderError::UnexpectedVersion { .. })) => {
            return unreadable(Cause::IpVersion, at);
        }
        Err(ipv4::HeaderSliceError::Content(HeaderError::HeaderLengthSmallerThanHeader {
            ..
        })) => return unreadable(Cause::IpHeaderLength, at),
    };
    let (start, total) = (header.slice().len(), usize::from(header.total_len()));
    if total < start {
        return unreadable(Cause::IpHeaderLength, at);
    }
    let payload = &bytes[start..total.min(bytes.len())];
    let offset = header.fragments_offset().value();
    let protocol = header.protocol();
    let content = if offset > 0 {
        later_fragment(protocol, offset)
    } else {
        // Of the extension headers only AH is one in IPv4 too (RFC 4302).
        walk(protocol, payload, |number| number == ip_number::AUTH)
    };
    Reading::Datagram(Datagram {
        at,
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        content,
    })
}

/// Whether a header that is not all there is longer than the datagram.
fn contradicts_itself(bytes: &[u8]) -> bool {
    bytes.first_chunk::<20>().is_some_and(|header| {
        let total = u16::from_be_bytes([header[2], header[3]]);
        total < u16::from(header[0] & 0xf) * 4
    })
}

/// Reads what should be an IPv6 datagram, `at` that place of the frame.
pub(super) fn ipv6(bytes: &[u8], at: usize) -> Reading {
    let header = match Ipv6HeaderSlice::from_slice(bytes) {
        Ok(header) => header,
        Err(ipv6::HeaderSliceError::Len(_)) => return unreadable(Cause::IpTruncated, at),
        Err(ipv6::HeaderSliceError::Content(_)) => return unreadable(Cause::IpVersion, at),
    };
    let rest = &bytes[header.slice().len()..];
    let next = header.next_header();
    let payload = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675), which says its length in a hop-by-hop option.
        0 if next == ip_number::IPV6_HEADER_HOP_BY_HOP => rest,
        length => &rest[..length.min(rest.len())],
    };
    Reading::Datagram(Datagram {
        at,
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        content: walk(next, payload, is_ipv6_extension),
    })
}

fn unreadable(cause: Cause, at: usize) -> Reading {
    Reading::Unreadable(cause, at)
}

/// Hop-by-hop, routing, fragment, AH, destination, mobility, HIP, Shim6. ESP is
/// none of them: nothing behind it can be read.
fn is_ipv6_extension(number: IpNumber) -> bool {
    matches!(number.0, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
}

fn walk(first: IpNumber, payload: &[u8], is_extension: impl Fn(IpNumber) -> bool) -> Content {
    let (mut number, mut rest, mut walked) = (first, payload, 0);
    while is_extension(number) {
        if walked == MAX_EXTENSIONS {
            return Content::Hidden(Cause::ChainTooLong);
        }
        walked += 1;
        let Some(step) = extension(number, rest) else {
            return Content::Hidden(Cause::ChainTruncated);
        };
        if step.offset > 0 {
            return later_fragment(step.next, step.offset);
        }
        (number, rest) = (step.next, &rest[step.length..]);
    }
    match Transport::of(number.0) {
        None => Content::Portless,
        Some(transport) => match segment(transport, rest) {
            Some(segment) => Content::Segment(segment),
            None => Content::Hidden(Cause::PortsTruncated),
        },
    }
}

/// One extension header.
struct Step {
    next: IpNumber,
    length: usize,
    /// That of a fragment header, in units of 8 bytes.
    offset: u16,
}

/// The extension header at the start of `bytes`, if all of it is there.
fn extension(number: IpNumber, bytes: &[u8]) -> Option<Step> {
    let (next, length, offset) = match number {
        ip_number::IPV6_FRAGMENTATION_HEADER => {
            let header = Ipv6FragmentHeaderSlice::from_slice(bytes).ok()?;
            let offset = header.fragment_offset().value();
            (header.next_header(), header.slice().len(), offset)
        }
        ip_number::AUTH => match IpAuthHeaderSlice::from_slice(bytes) {
            Ok(header) => (header.next_header(), header.slice().len(), 0),
            // etherparse refuses a length field of 0, and of a header of so few
            // bytes the last 4 as well. By RFC 4302, section 2.2, that is a
            // header of 8 bytes; nothing says to drop it.
            Err(ip_auth::HeaderSliceError::Len(_) | ip_auth::HeaderSliceError::Content(_)) => {
                match bytes.first_chunk::<8>()? {
                    [next, 0, ..] => (IpNumber(*next), 8, 0),
                    _ => return None,
                }
            }
        },
        _ => {
            let header = Ipv6RawExtHeaderSlice::from_slice(bytes).ok()?;
            (header.next_header(), header.slice().len(), 0)
        }
    };
    Some(Step {
        next,
        length,
        offset,
    })
}

fn later_fragment(number: IpNumber, offset: u16) -> Content {
    if number == ip_number::TCP && offset == TINY_OFFSET {
        Content::Hidden(Cause::TcpFragment)
    } else {
        Content::LaterFragment
    }
}

/// All five keep their ports in the first four bytes; TCP's flags are in the
/// fourteenth (RFC 9293, section 3.1).
fn segment(transport: Transport, bytes: &[u8]) -> Option<Segment> {
    let [a, b, c, d] = *bytes.first_chunk::<4>()?;
    let opens_connection = match transport {
        Transport::Tcp => {
            let flags = *bytes.get(13)?;
            let (syn, ack) = (flags >> 1 & 1, flags >> 4 & 1);
            (syn, ack) == (1, 0)
        }
        _ => false,
    };
    Some(Segment {
        transport,
        source_port: u16::from_be_bytes([a, b]),
        destination_port: u16::from_be_bytes([c, d]),
        opens_connection,
    })
}
