//! Standard error, without the lock that the standard library has: whoever waits for a
//! reader holds nobody else up.

use std::io;

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, write},
    stdio::stderr,
};

/// The descriptor. Writing waits for room, also where somebody who shares it has made it
/// non-blocking.
pub(super) struct StandardError;

impl io::Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match write(stderr(), bytes) {
                Err(Errno::AGAIN) => {
                    let stderr = stderr();
                    let mut descriptors = [PollFd::new(&stderr, PollFlags::OUT)];
                    poll(&mut descriptors, None)?;
                }
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
