//! Small parts of filter-common, where no story gets to.

use filter_common::{Frame, PortClass};

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
