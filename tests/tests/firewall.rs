//! poolguard and nft, side by side on the wire. Needs root.
//!
//! `POOLGUARD_SEED` sets the number of the first configuration.

use std::collections::BTreeMap;

use poolguard_tests::{
    agreement::campaign::draw_for_the_wire,
    configs::Configuration,
    firewall::{Firewall, passes, ruleset::ruleset, sight::blindness},
    generate::{Step, setup::NOW},
    oracle::Oracle,
    wire::{Side, Wire},
};

#[test]
fn nft_drops_what_poolguard_drops_and_nothing_else() {
    let seed = poolguard_tests::agreement::campaign::seed();
    let mut census: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seed..seed + 16 {
        compare(seed, &mut census);
    }
    for (what, frames) in &census {
        println!("{frames:>6} {what}");
    }
    let dropped_by_kernel = census.get(KERNEL).copied().unwrap_or_default();
    let frames: u64 = census.values().sum();
    assert!(
        dropped_by_kernel * 20 < frames,
        "{dropped_by_kernel} of {frames}"
    );
    for verdict in ["drop", "pass"] {
        let agreed = census.get(&format!("both {verdict}")).copied();
        assert!(agreed > Some(100), "{verdict}: {agreed:?} frames");
    }
}

const ETHERNET_HEADER: usize = 14;
/// For the census.
const KERNEL: &str = "the kernel drops it without any filter";

fn compare(seed: u64, census: &mut BTreeMap<String, u64>) {
    let scenario = draw_for_the_wire(seed, 600);
    let now = NOW.parse().expect("a moment");
    let rules = ruleset(&scenario.config);
    let mut firewall = Firewall::new(&rules);
    let text = scenario.text.clone();
    let mut poolguard = Wire::filtering(&Configuration { text }, now);
    let mut unfiltered = Wire::new();
    let mut oracle = Oracle::new(&scenario.config, now);
    for step in &scenario.steps {
        let Step::Frame {
            interface, bytes, ..
        } = step
        else {
            continue;
        };
        // A raw socket sends nothing below this.
        if bytes.len() < ETHERNET_HEADER {
            continue;
        }
        let side = match interface.as_str() {
            "eth1" => Side::Customers,
            _ => Side::Network,
        };
        let frame = from_one_to_the_other(bytes);
        let mut interfaces = scenario.config.interfaces.iter();
        let interface = interfaces.find(|i| i.name == *interface);
        let expected = oracle.arrive(interface.expect("is configured"), &frame);
        let ours = passes(&mut poolguard.cables, side, &frame);
        let theirs = firewall.passes(side, &frame);
        // What ends inside a VLAN tag, or a PPPoE session in fewer than eight
        // bytes, a bridge drops by itself.
        if !passes(&mut unfiltered.cables, side, &frame) {
            assert!(!ours && !theirs, "{}", scenario.text);
            *census.entry(KERNEL.to_owned()).or_default() += 1;
            continue;
        }
        let hex: String = frame.iter().map(|b| format!("{b:02x}")).collect();
        let place = format!("seed {seed}, {side:?}: {hex}\n{}\n{rules}", scenario.text);
        assert_eq!(ours, expected.passes, "poolguard, {expected:?}, {place}");
        let word = |passes| if passes { "pass" } else { "drop" };
        let what = match blindness(&frame) {
            None => {
                assert_eq!(theirs, ours, "nft and poolguard, {expected:?}, {place}");
                format!("both {}", word(ours))
            }
            Some(why) => format!("{why:?}: poolguard {}, nft {}", word(ours), word(theirs)),
        };
        *census.entry(what).or_default() += 1;
    }
}

/// The same frame between two stations that are there: a bridge looks at these
/// addresses, and the rules do not.
fn from_one_to_the_other(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame
}
