//! Frames in several buffers, of which the first one may hold any part of the
//! headers, or nothing: drivers for jumbo frames differ in that.
//!
//! Takes a kernel whose `BPF_PROG_TEST_RUN` splits frames as it is told, which
//! Linux 6.1 does not: there these tests cannot be run.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use dataplane::Dataplane as _;
use poolguard_tests::{
    configs::{self, Hosts},
    frames::{Datagram, tcp},
    host,
    kernel::{Apparatus, must},
};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// What becomes of a frame of 8,000 bytes for every length of its
/// first buffer up to well past its headers.
fn verdicts(datagram: &Datagram) -> Vec<u32> {
    let now = "2026-06-15T12:00:00Z".parse().unwrap();
    let compiled = host::load(&configs::base(), now);
    let mut apparatus = Apparatus::open();
    let mut generation = must(apparatus.dataplane().load(&compiled));
    let mut frame = datagram.arrival().bytes;
    frame.resize(8_000, 0);
    (0..=96)
        .map(|first| must(generation.test_run_split(configs::NETWORK, &frame, first)))
        .collect()
}

#[test]
fn the_split_makes_no_difference() {
    for (_, net) in Hosts::families() {
        let to = |port| tcp((net.internet, 40_000), (net.dialup, port));
        makes_no_difference(to);
        // The most that can be in front of IP.
        let number = if net.dialup.is_ipv6() { 0x57 } else { 0x21 };
        makes_no_difference(|port| {
            to(port)
                .ppp(&[0xff, 0x03, 0, 0, 0, 0, number])
                .tag(0x88a8, 1)
                .tag(0x9100, 2)
        });
    }
}

fn makes_no_difference(to: impl Fn(u16) -> Datagram) {
    let dropped = verdicts(&to(80));
    assert_eq!(dropped, vec![XDP_DROP; 97], "a forbidden port");
    let passed = verdicts(&to(81));
    assert_eq!(passed, vec![XDP_PASS; 97], "the next port");
}
