//! Panics: a defect of poolguard's refuses what was asked for, and nothing else.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
};

use thiserror::Error;

/// A panic, in words that an operator can send on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "a defect in poolguard {} ({}) while {doing}: {message}. Nothing was changed. Please report it, \
     with this line and the files of the configuration",
    env!("CARGO_PKG_VERSION"),
    env!("POOLGUARD_REVISION")
)]
pub struct Defect {
    /// What was being done.
    pub doing: &'static str,
    /// What the panic said, and where it was.
    pub message: String,
}

thread_local! {
    /// The last panic of this thread, with its place.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic is a line of the log, like everything else that is said.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let text = described(info);
        LAST.with(|last| last.replace(Some(text.clone())));
        tracing::error!(
            backtrace = %std::backtrace::Backtrace::capture(),
            "panic: {text}"
        );
    }));
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let message = message(info.payload());
    match info.location() {
        Some(place) => format!("{message} at {}:{}", place.file(), place.line()),
        None => message,
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something that is no text".to_owned())
}

/// Does something that changes nothing but what it gives back.
///
/// # Errors
///
/// When it panics.
pub(super) fn guarded<T>(doing: &'static str, work: impl FnOnce() -> T) -> Result<T, Defect> {
    LAST.with(RefCell::take);
    panic::catch_unwind(AssertUnwindSafe(|| {
        injected(doing);
        work()
    }))
    .map_err(|payload| Defect {
        doing,
        message: LAST
            .with(RefCell::take)
            .unwrap_or_else(|| message(payload.as_ref())),
    })
}

/// For tests: panics where the file named by `POOLGUARD_INJECT_PANIC` says what is
/// being done. Only debug builds look.
fn injected(doing: &str) {
    if cfg!(debug_assertions)
        && let Some(file) = std::env::var_os("POOLGUARD_INJECT_PANIC")
        && std::fs::read_to_string(file).is_ok_and(|text| text.trim() == doing)
    {
        panic!("injected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_to_report() {
        assert_eq!(guarded("adding", || 1 + 1), Ok(2));
        let index = 3;
        let defect = guarded("counting", || [1, 2][std::hint::black_box(index)]);
        let text = defect.map_or_else(|defect| defect.to_string(), |_| String::new());
        for words in [
            "while counting: ",
            "index out of bounds",
            "Please report it",
        ] {
            assert!(text.contains(words), "{words:?} in {text}");
        }
    }
}
