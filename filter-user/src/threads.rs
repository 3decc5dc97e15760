//! Threads that may not be to be had: a limit of the service (`TasksMax=`), or of the
//! machine, is no reason to leave work undone.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle, Scope, ScopedJoinHandle},
};

/// Has work done in a thread of its own, or right here where there is none to be had: then
/// nothing is given back, and it is done.
pub(crate) fn begin(work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    begin_by(work, |work| Builder::new().spawn(work))
}

fn begin_by<W: FnOnce() + Send + 'static>(
    work: W,
    spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
) -> Option<JoinHandle<()>> {
    let (here, there) = shared(work);
    match spawn(Box::new(move || there().unwrap_or_default())) {
        Ok(thread) => {
            SAID.store(false, Ordering::Relaxed);
            Some(thread)
        }
        Err(error) => {
            say(&error);
            here();
            None
        }
    }
}

/// Work that is being done, or is.
pub(crate) enum Scoped<'scope, T> {
    Thread(ScopedJoinHandle<'scope, Option<T>>),
    Done(Option<T>),
}

impl<T> Scoped<'_, T> {
    /// What it came to. A panic goes on here.
    pub(crate) fn join(self) -> T {
        let done = match self {
            Self::Thread(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Self::Done(done) => done,
        };
        done.unwrap_or_else(|| unreachable!("it is done once"))
    }
}

/// The same as [`begin`], for what goes by the end of a scope.
pub(crate) fn begin_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Scoped<'scope, T> {
    let (here, there) = shared(work);
    match Builder::new().spawn_scoped(scope, there) {
        Ok(thread) => Scoped::Thread(thread),
        Err(error) => {
            say(&error);
            Scoped::Done(here())
        }
    }
}

/// Two ways to the same work, of which the first one that is gone does it.
fn shared<T, W: FnOnce() -> T>(
    work: W,
) -> (impl FnOnce() -> Option<T>, impl FnOnce() -> Option<T>) {
    let work = Arc::new(Mutex::new(Some(work)));
    let other = Arc::clone(&work);
    (move || done(&work), move || done(&other))
}

fn done<T, W: FnOnce() -> T>(work: &Mutex<Option<W>>) -> Option<T> {
    let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.map(|work| work())
}

/// Whether it was said already that there are no threads.
static SAID: AtomicBool = AtomicBool::new(false);

fn say(error: &io::Error) {
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            %error,
            "no thread is to be had: what is done beside everything else is waited for. See the \
             limits of the service (`systemctl show -p TasksMax poolguard`) and of the machine"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_gets_no_thread_is_done_here() {
        let none = |_| Err(io::Error::from(io::ErrorKind::WouldBlock));
        let (done, is_done) = channel();
        let here = std::thread::current().id();
        let work = move || {
            let _heard = done.send(std::thread::current().id());
        };
        assert!(begin_by(work.clone(), none).is_none());
        assert_eq!(is_done.recv(), Ok(here));
        let thread = begin(work);
        assert_ne!(is_done.recv(), Ok(here));
        assert!(thread.is_some_and(|thread| thread.join().is_ok()));
    }
}
