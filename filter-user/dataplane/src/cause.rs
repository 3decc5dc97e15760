//! What to do about an error of aya's: the error of the operating system says it,
//! however deep it is.

use std::{error::Error, io};

use aya::maps::MapError;

use crate::remedy::remedy;

/// The rest of a sentence that begins with what went wrong.
pub(super) fn remedy_for_cause(error: &(dyn Error + 'static)) -> &'static str {
    cause(error).map_or(UNKNOWN, remedy)
}

/// The error of the operating system at the bottom of one of aya's.
pub(super) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    let mut last = None;
    while let Some(error) = next {
        last = match error.downcast_ref() {
            // It hides the error that it is.
            Some(MapError::IoError(error)) => Some(error),
            _ => error.downcast_ref::<io::Error>().or(last),
        };
        next = error.source();
    }
    last
}

const UNKNOWN: &str = "please report this as a bug, with this line and the output of `uname -r`";

#[cfg(test)]
mod tests {
    use aya::{EbpfError, sys::SyscallError};
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_cause_decides_however_deep_it_is() {
        let full = || io::Error::from(Errno::MFILE);
        let hidden = EbpfError::MapError(MapError::IoError(full()));
        let call = SyscallError {
            call: "bpf",
            io_error: full(),
        };
        let deep = EbpfError::MapError(MapError::SyscallError(call));
        for error in [hidden, deep] {
            let remedy = remedy_for_cause(&error);
            assert!(remedy.contains("LimitNOFILE"), "{error}: {remedy}");
        }
        assert_eq!(remedy_for_cause(&std::fmt::Error), UNKNOWN);
    }
}
