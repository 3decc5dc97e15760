//! How anything is measured: machines are noisy, so all that is compared is
//! measured in turn, again and again, and only the median of each is kept.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How much time of a processor this thread has had. What other processes do
/// meanwhile is not in it.
pub fn own_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// Nanoseconds a frame for something that decides as many frames as it is told to.
/// It does so for four turns unwatched, until the caches hold what they can hold of
/// its tables, then for one.
pub fn time(turn: Duration, mut decide: impl FnMut(u32)) -> f64 {
    const WARM_UP: u32 = 4;
    let mut timed = |frames: f64| {
        let start = own_time();
        decide(frames as u32);
        (own_time() - start).as_nanos() as f64 / frames.trunc()
    };
    let frames_in = |time: Duration, each: f64| (time.as_nanos() as f64 / each).max(1.0);
    // The first estimate is high: each one tells how much there is to do for the next.
    let mut each = timed(500.0);
    for _ in 0..WARM_UP {
        each = timed(frames_in(turn, each));
    }
    timed(frames_in(turn, each))
}

/// The middle one; for an even number of them, between the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => panic!("nothing was measured"),
        length if length.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}
