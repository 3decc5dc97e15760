//! What is drawn from a fuzzer's bytes, where the type alone does not say how.
//!
//! Few bytes to a choice, and the likely ones first among them: a fuzzer that
//! changes one byte then changes one thing.

use arbitrary::{Arbitrary as _, Result, Unstructured};
use proptest::{
    prelude::any,
    sample::Index,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    scenario::{PAUSES, SILENCES},
    setup::{EXPIRIES, PORTS, PROTOCOLS, Ports, ROLES, SOURCES, Width, range},
};

/// So far into a list, in 65,536ths. Only proptest can make one: it is given
/// these bits in place of chance.
pub(super) fn index(u: &mut Unstructured) -> Result<Index> {
    let bits = u64::from(u16::arbitrary(u)?) << 48;
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, &bits.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = any::<Index>().new_tree(&mut runner);
    tree.map(|tree| tree.current())
        .map_err(|_| arbitrary::Error::IncorrectFormat)
}

pub(super) fn perhaps_index(u: &mut Unstructured) -> Result<Option<Index>> {
    perhaps(u, index)
}

pub(super) fn damage(u: &mut Unstructured) -> Result<Option<(Index, u8)>> {
    perhaps(u, |u| Ok((index(u)?, u.arbitrary()?)))
}

/// Bytes as they are, so that what was seen elsewhere can be put in.
pub(super) fn verbatim(u: &mut Unstructured) -> Result<Vec<u8>> {
    let length = usize::from(u8::arbitrary(u)?).min(u.len());
    u.bytes(length).map(<[u8]>::to_vec)
}

/// The protocols with ports, ICMP, or any.
pub(super) fn protocol(u: &mut Unstructured) -> Result<u8> {
    one_of_or_any(u, &[6, 6, 17, 132, 33, 136, 1])
}

/// The extension headers, or any.
pub(super) fn extension_number(u: &mut Unstructured) -> Result<u8> {
    one_of_or_any(u, &[0, 43, 44, 44, 51, 51, 60, 135, 139, 140])
}

/// Any VLAN tags.
pub(super) fn tags(u: &mut Unstructured) -> Result<Vec<(u16, u16)>> {
    let count = u.int_in_range(0..=4)?;
    (0..count)
        .map(|_| Ok((one_of_or_any(u, &[0x8100, 0x88a8, 0x9100])?, 0)))
        .collect()
}

/// Times that mean something, or any up to what a flow is remembered and more.
pub(super) fn seconds(u: &mut Unstructured) -> Result<u64> {
    match u.int_in_range(0..=2)? {
        0 => u.choose(&PAUSES).copied(),
        1 => u.choose(&SILENCES).copied(),
        _ => u.int_in_range(0..=8_191),
    }
}

/// Different ports and ranges, each whole or for some protocols.
fn ports(u: &mut Unstructured) -> Result<Ports> {
    let mut ports = Ports::new();
    while ports.len() < PORTS.len() && u.arbitrary()? {
        let port = *u.choose(&PORTS)?;
        let protocols = u8::arbitrary(u)? % (1 << PROTOCOLS.len());
        let end = perhaps(u, |u| u.choose(&PORTS).copied())?;
        let range = range(port, end.unwrap_or(port));
        if ports.iter().all(|(known, _)| *known != range) {
            ports.push((range, protocols));
        }
    }
    Ok(ports)
}

pub(super) fn perhaps_ports(u: &mut Unstructured) -> Result<Option<Ports>> {
    perhaps(u, ports)
}

pub(super) fn perhaps_role(u: &mut Unstructured) -> Result<Vec<&'static str>> {
    let role = perhaps(u, |u| u.choose(&ROLES).copied())?;
    Ok(role.into_iter().collect())
}

pub(super) fn sources(u: &mut Unstructured) -> Result<[&'static str; 2]> {
    Ok([*u.choose(&SOURCES)?, *u.choose(&SOURCES)?])
}

/// Different ports, port 25 if no other.
pub(super) fn mail_ports(u: &mut Unstructured) -> Result<Vec<u16>> {
    let ports = ports(u)?;
    let mut ports: Vec<u16> = ports.into_iter().map(|((first, _), _)| first).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(match ports.len() {
        0 => vec![25],
        _ => ports,
    })
}

pub(super) fn allowed(u: &mut Unstructured) -> Result<Vec<(Index, Width)>> {
    let count = u.int_in_range(0..=4)?;
    (0..count)
        .map(|_| Ok((index(u)?, u.arbitrary()?)))
        .collect()
}

pub(super) fn expires(u: &mut Unstructured) -> Result<Option<&'static str>> {
    perhaps(u, |u| u.choose(&EXPIRIES).copied())
}

fn perhaps<T>(
    u: &mut Unstructured,
    draw: impl FnOnce(&mut Unstructured) -> Result<T>,
) -> Result<Option<T>> {
    Ok(match u.arbitrary()? {
        true => Some(draw(u)?),
        false => None,
    })
}

fn one_of_or_any<T: Copy + for<'a> arbitrary::Arbitrary<'a>>(
    u: &mut Unstructured,
    likely: &[T],
) -> Result<T> {
    match u.int_in_range(0..=likely.len())? {
        which if which < likely.len() => Ok(likely[which]),
        _ => u.arbitrary(),
    }
}
