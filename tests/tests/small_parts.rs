//! Small parts of filter-common, where no story gets to.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, fs, path::Path};

use filter_common::{
    DropReason, Frame, PortClass, ReturnTraffic, Role, Settings, abi,
    parse::{Parsed, parse},
    prefix_table::{LINE_WORDS, sparse_word},
};
use poolguard_tests::{fixture::Step, fixtures};

#[test]
fn a_frame_is_read_where_it_is_and_not_past_its_end() {
    let frame: &[u8] = &[1, 2, 3, 4];
    assert_eq!(frame.bytes::<2>(2), Some([3, 4]));
    assert_eq!(frame.bytes::<2>(3), None);
    assert_eq!(frame.bytes::<1>(4), None);
    assert_eq!(frame.bytes::<0>(4), Some([]));
    assert_eq!(frame.bytes::<1>(usize::MAX), None);
}

/// Not the slice's own methods, which would be taken first.
#[test]
fn a_frame_is_as_long_as_it_is() {
    let (frame, nothing): (&[u8], &[u8]) = (&[1, 2, 3, 4], &[]);
    assert_eq!((Frame::len(frame), Frame::len(nothing)), (4, 0));
    assert!(!Frame::is_empty(frame) && Frame::is_empty(nothing));
}

/// A damaged table has classes that there are not.
#[test]
fn every_number_is_a_class_within_the_mask() {
    for class in 0..=PortClass::MAX {
        assert_eq!(PortClass(class).bit(), 1 << class);
        assert_eq!(PortClass(class + 64).bit(), 1 << class);
    }
    assert_eq!(PortClass(u8::MAX).bit(), 1 << 63);
}

/// The program reads them as they lie in memory.
#[test]
fn every_setting_has_bytes_of_its_own() {
    let bytes = |set: fn(&mut Settings)| {
        let mut settings = Settings::UNSET;
        set(&mut settings);
        settings.to_bytes()
    };
    let with = |at: usize, field: &[u8]| {
        let mut bytes = [0; size_of::<Settings>()];
        bytes[at..at + field.len()].copy_from_slice(field);
        bytes
    };
    let word = (1 << 63 | 2_u64).to_ne_bytes();
    assert_eq!(
        bytes(|settings| settings.mail_ports = 1 << 63 | 2),
        with(0, &word)
    );
    assert_eq!(
        bytes(|settings| settings.high_ports = 1 << 63 | 2),
        with(8, &word)
    );
    let syn = bytes(|settings| settings.return_traffic = ReturnTraffic::Syn);
    assert_eq!(syn, with(16, &[1]));
    assert_eq!(
        bytes(|settings| settings.direct_smtp = true),
        with(17, &[1])
    );
    assert_eq!(
        bytes(|settings| settings.smtp_replies = true),
        with(18, &[1])
    );
    assert_eq!(bytes(|settings| settings.monitor = true), with(19, &[1]));
}

/// Of longer names the kernel keeps fifteen bytes.
#[test]
fn the_kernel_keeps_the_whole_name_of_a_program() {
    let names = Role::ALL.map(abi::program);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("poolguard_") && name.len() <= 15)
    );
    assert_ne!(names[0], names[1]);
}

/// Every verdict would be right without, and the table four times as large.
#[test]
fn twenty_customers_at_even_distances_fit_into_a_line() {
    for distance in [1_u8, 3, 5, 7, 9, 11, 13, 15, 17, 37] {
        for first in 0..=u8::MAX {
            let values = (0..20_u8).map(|n| first.wrapping_add(n.wrapping_mul(distance)));
            let fits = |factor: &u32| {
                let mut cells = [0; LINE_WORDS];
                for value in values.clone() {
                    cells[sparse_word(*factor, value.into())] += 1;
                }
                cells[0] == 0 && cells.iter().all(|cells| *cells <= 2)
            };
            let factor = (1..=255).find(fits);
            assert!(factor.is_some(), "{distance} between them, from {first}");
        }
    }
}

fn reason(frame: &[u8]) -> Option<DropReason> {
    match parse(frame) {
        Parsed::Unreadable(unreadable) => Some(unreadable.reason),
        Parsed::Packet(_) | Parsed::Portless(_) => None,
    }
}

/// The program looks at a copy of the frame for these reasons, and for no other.
#[test]
fn what_is_cut_short_is_what_more_bytes_can_change() {
    let stories = [
        fixtures::ip_is_found_behind_tags_and_in_sessions(),
        fixtures::lengths_are_not_believed(),
        fixtures::what_stands_behind_extension_headers_is_found(),
    ];
    let mut changed = BTreeSet::new();
    for step in stories.iter().flatten().flat_map(|story| &story.steps) {
        let Step::Frame { arrival, .. } = step else {
            continue;
        };
        let whole = reason(&arrival.bytes);
        let parts = (0..arrival.bytes.len()).map(|length| reason(&arrival.bytes[..length]));
        changed.extend(parts.filter(|part| *part != whole).flatten());
    }
    let cut_short = DropReason::ALL.into_iter().filter(|r| r.is_cut_short());
    assert!(changed.into_iter().eq(cut_short));
}

/// A story that nobody tells would not be missed.
#[test]
fn every_chapter_is_listed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures");
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "mod.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let chapters = text.lines().filter_map(|line| {
                let name = line.strip_prefix("pub fn ")?;
                name.strip_suffix("() -> Vec<Fixture> {")
            });
            let before = there.len();
            there.extend(chapters.map(str::to_owned));
            assert!(there.len() > before, "no chapter in {}", path.display());
        }
    }
    let listed: BTreeSet<_> = fixtures::all()
        .into_iter()
        .map(|(name, stories)| {
            assert!(!stories.is_empty(), "{name} has no stories");
            name.to_owned()
        })
        .collect();
    assert_eq!(listed, there);
}
