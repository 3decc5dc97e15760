//! Reading files, in a thread of its own: a disk may never answer, and the controller has
//! other things to do.

use std::{
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use policy::config::shown;
use thiserror::Error;

use crate::{disk::Progress, threads};

/// How long one file or directory may take. A lease that another process holds on a file
/// takes the kernel 45 seconds to break (`fs.lease-break-time`).
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether anything moves, within that time.
const LOOKS: u32 = 60;

/// A disk that does not answer. The thread that asked it stays behind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}: reading it takes longer than {} seconds, and nothing waits for it: see what is mounted \
     there (`findmnt -T`), or leave it out",
    shown(path),
    patience.as_secs()
)]
pub struct NoAnswer {
    /// The file or the directory that it was asked for.
    pub path: PathBuf,
    /// How long that was waited for.
    pub patience: Duration,
}

/// Waits until a thread of its own has read something, or a disk does not answer.
///
/// # Errors
///
/// When it stays at one file or directory for longer than `patience`.
pub(super) fn apart<T: Send + 'static>(
    patience: Duration,
    read: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let progress = Progress::default();
    let (answer, answered) = channel();
    let thread = {
        let progress = progress.clone();
        threads::begin(move || {
            let _unheard = answer.send(read(&progress));
        })
    };
    let (mut last, mut unchanged) = (progress.look(), 0);
    loop {
        match answered.recv_timeout(patience / LOOKS) {
            Ok(read) => return Ok(read),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                match thread.and_then(|thread| thread.join().err()) {
                    None => unreachable!("it answers before it ends"),
                    Some(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
        let look = progress.look();
        unchanged = if look == last { unchanged + 1 } else { 0 };
        last = look;
        if let (Some(path), true) = (&last.at, unchanged >= LOOKS) {
            let path = path.clone();
            return Err(NoAnswer { path, patience });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread};

    use super::*;

    #[test]
    fn what_is_read_comes_back() {
        assert_eq!(apart(PATIENCE, |_| 7), Ok(7));
    }

    #[test]
    fn a_disk_that_does_not_answer_is_named_and_left_to_itself() {
        let (release, released) = channel::<()>();
        let patience = Duration::from_millis(60);
        let read = apart(patience, move |progress| {
            progress.during("/mnt/first".as_ref(), || {});
            progress.during("/mnt/hangs".as_ref(), || released.recv())
        });
        let path = PathBuf::from("/mnt/hangs");
        assert_eq!(read, Err(NoAnswer { path, patience }));
        drop(release);
    }

    #[test]
    fn what_takes_long_without_a_disk_is_waited_for() {
        let patience = Duration::from_millis(60);
        let read = apart(patience, move |progress| {
            progress.during("/mnt/first".as_ref(), || {});
            thread::sleep(4 * patience);
            7
        });
        assert_eq!(read, Ok(7));
    }
}
