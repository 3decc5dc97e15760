//! Steady traffic, every frame of it numbered and with a known fate.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use lab::cpu::stay_on_this_cpu;

use super::site::Ends;

/// How many frames of each kind go at once: fewer in all than a cable holds.
const BURST: u32 = 8;

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Sent, that are to pass.
    pub(crate) permitted: u64,
    /// Sent, that are not to.
    pub(crate) forbidden: u64,
    /// Did not pass and should have.
    pub(crate) lost: u64,
    /// Passed and should not have.
    pub(crate) leaked: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.permitted += other.permitted;
        self.forbidden += other.forbidden;
        self.lost += other.lost;
        self.leaked += other.leaked;
    }
}

/// Does something while traffic goes on, and says what became of that.
pub(crate) fn during<T>(ends: &mut Ends, fault: impl FnOnce() -> T) -> (T, Tally) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            // What one CPU sends, it delivers in order.
            stay_on_this_cpu();
            let mut tally = Tally::default();
            // At least once after the fault.
            while !done.load(Ordering::Relaxed) {
                tally.add(exchange(ends));
            }
            tally.add(exchange(ends));
            tally
        });
        let ends_traffic = SetOnDrop(&done);
        let result = fault();
        drop(ends_traffic);
        (result, traffic.join().expect("the traffic goes on"))
    })
}

/// Tells a thread to end, also when something panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends some frames of each kind from everywhere, and waits for all that are to
/// arrive.
pub(super) fn exchange(ends: &mut Ends) -> Tally {
    let mut tally = Tally::default();
    for from in ends.origins() {
        let kinds = 0..ends.probes.len();
        let kinds: Vec<_> = kinds
            .filter(|&kind| ends.probes[kind].from == from)
            .collect();
        let mut expected = BTreeSet::new();
        let mut last = 0;
        for _ in 0..BURST {
            for &kind in &kinds {
                last = ends.send(kind);
                if ends.probes[kind].passes {
                    tally.permitted += 1;
                    expected.insert(last);
                } else {
                    tally.forbidden += 1;
                }
            }
        }
        // The last kind passes: when the last frame is there, so is all that comes.
        while let Some(frame) = ends.receive(from.far_side()) {
            let number = ends.number(&frame);
            if !expected.remove(&number) {
                tally.leaked += 1;
            }
            if number == last {
                break;
            }
        }
        tally.lost += expected.len() as u64;
    }
    tally
}
