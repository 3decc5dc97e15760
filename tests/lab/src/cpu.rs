//! Which processor a thread runs on.

use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

/// What one CPU sends, it delivers in the order in which it was sent. Threads
/// that are started from here on stay there as well.
pub fn stay_on_this_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}

/// For a thread that sends nothing: it goes wherever there is room.
pub fn leave_this_cpu() {
    let mut cpus = CpuSet::new();
    for cpu in 0..CpuSet::count() {
        cpus.set(cpu).unwrap();
    }
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}
