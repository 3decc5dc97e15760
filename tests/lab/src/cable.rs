//! Cables between namespaces: pairs of veth.

use std::fs;

use crate::{error::Error, namespace::Namespace, process::command};

/// What a cable is like.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// How many queues it has each way. One keeps frames in order.
    pub queues: usize,
    /// Its MTU, in bytes.
    pub mtu: u32,
}

impl Kind {
    /// As Ethernet has it.
    pub const ETHERNET: Self = Self {
        queues: 1,
        mtu: 1500,
    };
    /// Takes frames that are larger than a page.
    pub const LARGE: Self = Self {
        queues: 1,
        mtu: 9000,
    };
}

/// Joins an interface of one namespace to one of another by a cable, up at both ends.
///
/// # Errors
///
/// What `ip` complains of, such as an interface that is there already.
pub fn lay(
    kind: Kind,
    (one, own): (&Namespace, &str),
    (other, others): (&Namespace, &str),
) -> Result<(), Error> {
    let Kind { queues, mtu } = kind;
    let place = other.path();
    let place = place.display();
    let form = format!("mtu {mtu} numtxqueues {queues} numrxqueues {queues}");
    one.try_ip(&format!(
        "link add {own} up {form} type veth peer name {others} {form} netns {place}"
    ))?;
    other.try_ip(&format!("link set {others} up")).map(drop)
}

impl Namespace {
    /// Joins an interface to one of another namespace by a cable that keeps frames in
    /// order and takes large ones.
    pub fn join(&self, own: &str, other: &Self, others: &str) {
        lay(Kind::LARGE, (self, own), (other, others)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Has a cable take what a program redirects into it: a veth does where its far end has
/// NAPI, and that has it with GRO.
pub fn take_redirected(inside: &Namespace, own: &str, outside: &Namespace, others: &str) {
    inside.ip(&format!("link set {own} mtu {}", mtu_to_redirect()));
    outside.run(|| command("ethtool", &format!("-K {others} gro on")));
}

/// The MTU of cables that programs redirect into: older kernels redirect no frames that
/// are larger than a page.
pub fn mtu_to_redirect() -> u32 {
    if tells_abilities() { 9000 } else { 1500 }
}

/// Whether this kernel says which drivers send what is redirected to them: Linux
/// 6.3 and later do.
pub fn tells_abilities() -> bool {
    kernel() >= (Some(6), Some(3))
}

/// Whether this kernel runs programs at ways out by themselves, without a qdisc: Linux
/// 6.6 and later do.
pub fn has_tcx() -> bool {
    kernel() >= (Some(6), Some(6))
}

fn kernel() -> (Option<u32>, Option<u32>) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next())
}

/// Waits until an interface sends. One whose cable was pulled has no queue, and drops
/// what it is to send, until a moment after the cable is plugged in again.
pub fn until_sending(namespace: &Namespace, interface: &str) {
    let show = format!("link show {interface}");
    let sends = |_: &u32| {
        let shown = namespace.ip(&show);
        shown.contains("state UP") && !shown.contains("qdisc noop ")
    };
    let attempt = (0..1000).find(sends);
    attempt.unwrap_or_else(|| panic!("{interface} does not send"));
}
