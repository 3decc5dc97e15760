//! When somebody sets the clock: NTP does, some time after a start.

use std::{future::pending, io, thread};

use rustix::{
    fd::OwnedFd,
    io::{Errno, read},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::sync::mpsc;

/// Hears of a timer that the kernel cancels when `CLOCK_REALTIME` is set
/// (`TFD_TIMER_CANCEL_ON_SET`, `timerfd_clock_was_set` in `fs/timerfd.c`). Slewing is not
/// setting.
pub(super) struct ClockWatch(mpsc::Receiver<()>);

impl ClockWatch {
    /// Watches from here on. Where the kernel does not tell, the controller looks every
    /// few seconds.
    pub(super) fn new() -> Self {
        Self::at(Timespec {
            // A moment that never comes.
            tv_sec: i64::MAX >> 1,
            tv_nsec: 0,
        })
    }

    fn at(moment: Timespec) -> Self {
        let (tell, told) = mpsc::channel(1);
        let say = |error: &io::Error| {
            tracing::warn!(
                %error,
                "the kernel does not tell when the clock is set: that is noticed some seconds later"
            );
        };
        // The thread ends with the process.
        let thread = thread::Builder::new().spawn(move || {
            let watched = armed(moment).and_then(|timer| watch(&timer, &tell));
            watched.unwrap_or_else(|error| say(&error));
        });
        if let Err(error) = thread {
            say(&error);
        }
        Self(told)
    }

    /// Waits until the clock is set.
    pub(super) async fn set(&mut self) {
        if self.0.recv().await.is_none() {
            pending().await
        }
    }
}

/// Tells each time, until nobody listens.
fn watch(timer: &OwnedFd, tell: &mpsc::Sender<()>) -> io::Result<()> {
    while !tell.is_closed() {
        let mut expirations = [0_u8; 8];
        match read(timer, &mut expirations) {
            // The timer stays armed, for the next time.
            Ok(_) | Err(Errno::CANCELED) => {
                // Told and not heard yet is told.
                let _full = tell.try_send(());
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn armed(moment: Timespec) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?;
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: moment,
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, flags, &once)?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A test must not set the machine's clock, and a time namespace has no
    /// `CLOCK_REALTIME` of its own. So that the kernel cancels the timer then is not
    /// tried here; that it can be had, is silent, and is heard when it speaks is.
    #[tokio::test]
    async fn a_watch_is_silent_until_its_timer_speaks() {
        assert!(ClockWatch::new().set().now_or_never().is_none());
        let long_ago = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        ClockWatch::at(long_ago).set().await;
    }
}
