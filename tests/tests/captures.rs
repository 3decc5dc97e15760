//! The oracle and the decision function agree on every frame of the captures in
//! `tests/captures`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{fs, path::Path, process::Command};

use poolguard_tests::{
    agreement::Witnesses,
    captures::{
        Collection, replay,
        repository::{DIRECTORY, SOURCES, agree},
    },
    configs::Hosts,
    frames::{ip, link::ethernet, tcp, udp},
};

#[test]
fn the_decision_function_agrees_with_the_oracle() {
    agree(Witnesses::Host);
}

/// Nobody has changed what others captured.
#[test]
fn captures_are_as_they_were_published() {
    for (source, files) in SOURCES {
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--strict", "SHA256SUMS"]);
        let directory = Path::new(DIRECTORY).join(source);
        let output = check.current_dir(directory).output().unwrap();
        let words = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{source}:\n{words}");
        assert_eq!(words.lines().count(), files, "{source}");
    }
}

/// The link types of a capture file that are used here.
const ETHERNET: u32 = 1;
const RAW: u32 = 101;
const BLUETOOTH: u32 = 187;

/// A capture file with this magic number, in the byte order of `bytes`.
fn pcap(magic: u32, link: u32, frames: &[Vec<u8>], bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    // Version 2.4, as two halves of a word.
    let version = match bytes(1) {
        [1, ..] => 0x0004_0002,
        _ => 0x0002_0004,
    };
    let mut words = vec![magic, version, 0, 0, 65_536, link];
    let mut file: Vec<_> = words.drain(..).flat_map(bytes).collect();
    for frame in frames {
        let length = frame.len() as u32;
        file.extend(
            [1_750_000_000, 999_999_999, length, length]
                .into_iter()
                .flat_map(bytes),
        );
        file.extend(frame);
    }
    file
}

fn microseconds(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    pcap(0xa1b2_c3d4, link, frames, u32::to_le_bytes)
}

/// The same in pcapng: a section header, an interface, and a block for each packet.
fn pcapng(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = (12 + body.len() + padding.len()) as u32;
        let [kind, length] = [kind, length].map(u32::to_le_bytes);
        [&kind, &length, body, &padding, &length].concat()
    };
    let words = |words: &[u32]| {
        words
            .iter()
            .copied()
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<_>>()
    };
    let mut file = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    file.extend(block(1, &words(&[link, 65_536])));
    for frame in frames {
        let length = frame.len() as u32;
        let body = [words(&[0, 0, 0, length, length]), frame.clone()].concat();
        file.extend(block(6, &body));
    }
    file
}

/// Captures that lack something are shown like any other, alone, as one that a user
/// has made of a single protocol; what cannot be read is told and not shown.
#[test]
fn captures_without_one_thing_or_another() {
    let (v4, v6) = (Hosts::v4(), Hosts::v6());
    let segment = tcp((v4.internet, 40_000), (v4.dialup, 25)).arrival().bytes;
    let datagram = udp((v6.internet, 53), (v6.dialup, 40_000)).arrival().bytes;
    let echo = ip(v4.internet, v4.dialup, 1, &[8, 0, 0, 0, 0, 0, 0, 0]);
    let echo = echo.arrival().bytes;
    let arp = ethernet(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1]).bytes;
    let short = vec![0; 9];
    let packet = segment[14..].to_vec();
    let everything = [&segment, &datagram, &echo, &arp].map(Clone::clone);
    let whole = microseconds(ETHERNET, &everything);
    let nanoseconds = |bytes| pcap(0xa1b2_3c4d, ETHERNET, &everything, bytes);
    let cut = |file: &[u8], bytes| file[..file.len() - bytes].to_vec();

    // The file, how many frames of it are shown, and what is left out.
    let cases: [(&str, Vec<u8>, usize, &[&str]); 21] = [
        (
            "tcp",
            microseconds(ETHERNET, std::slice::from_ref(&segment)),
            1,
            &[],
        ),
        (
            "udp",
            microseconds(ETHERNET, std::slice::from_ref(&datagram)),
            1,
            &[],
        ),
        (
            "icmp",
            microseconds(ETHERNET, std::slice::from_ref(&echo)),
            1,
            &[],
        ),
        (
            "arp",
            microseconds(ETHERNET, std::slice::from_ref(&arp)),
            1,
            &[],
        ),
        ("short", microseconds(ETHERNET, &[short, vec![]]), 2, &[]),
        ("raw", microseconds(RAW, &[packet, vec![]]), 2, &[]),
        (
            "big-endian",
            pcap(0xa1b2_c3d4, 1, &everything, u32::to_be_bytes),
            4,
            &[],
        ),
        ("nanoseconds", nanoseconds(u32::to_le_bytes), 4, &[]),
        (
            "big-endian-nanoseconds",
            nanoseconds(u32::to_be_bytes),
            4,
            &[],
        ),
        ("pcapng", pcapng(ETHERNET, &everything), 4, &[]),
        ("pcapng-arp", pcapng(ETHERNET, &[arp]), 1, &[]),
        ("pcapng-none", pcapng(ETHERNET, &[]), 0, &[]),
        ("none", microseconds(ETHERNET, &[]), 0, &[]),
        (
            "link",
            microseconds(BLUETOOTH, &everything),
            0,
            &["link type 187"],
        ),
        (
            "pcapng-link",
            pcapng(BLUETOOTH, &[segment]),
            0,
            &["link type 187"],
        ),
        ("cut", cut(&whole, 1), 3, &["a cut end"]),
        (
            "cut-header",
            cut(&whole, whole.len() - 30),
            0,
            &["a cut end"],
        ),
        ("cut-head", whole[..20].to_vec(), 0, &["a cut end"]),
        (
            "pcapng-cut",
            cut(&pcapng(ETHERNET, &everything), 5),
            3,
            &["a cut end"],
        ),
        ("empty", Vec::new(), 0, &["an empty file"]),
        (
            "text",
            b"this is no capture of anything\n".to_vec(),
            0,
            &["no capture file"],
        ),
    ];
    let directory = std::env::temp_dir().join(format!("poolguard-captures-{}", std::process::id()));
    let mut wrong = Vec::new();
    for (name, file, frames, left_out) in cases {
        let alone = directory.join(name);
        fs::create_dir_all(&alone).unwrap();
        fs::write(alone.join(name), file).unwrap();
        let collection = Collection::read(&alone).unwrap();
        let found: Vec<_> = collection.left_out().into_keys().collect();
        let census = replay(&collection, Witnesses::Host).unwrap_or_else(|words| panic!("{words}"));
        // On both sides, under three configurations.
        if (census.frames, found.as_slice()) != (6 * frames as u64, left_out) {
            wrong.push(format!(
                "{name}: {} frames, left out {found:?}",
                census.frames
            ));
        }
    }
    fs::remove_dir_all(&directory).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
