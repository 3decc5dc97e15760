//! Why something in the laboratory does not work.

use std::{io, time::Duration};

/// What somebody who runs the demo can meet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SIGINT, SIGTERM or SIGHUP came.
    #[error("interrupted")]
    Interrupted,
    /// The kernel gives no namespace away.
    #[error("cannot have the network namespace {name:?}, which takes root: {error}")]
    Namespace {
        /// Its name; empty, if it has none.
        name: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// A program is not there, or cannot be waited for.
    #[error("cannot run {program}: {error}")]
    Run {
        /// Its name.
        program: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// A program that was to succeed failed.
    #[error("{command}: {why}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// What it wrote to standard error.
        why: String,
    },
    /// A program went on for too long.
    #[error("{name} did not end within {} s", within.as_secs())]
    Endless {
        /// Its name.
        name: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// A program ended that was to go on.
    #[error("{name} ended:\n{said}")]
    Ended {
        /// Its name.
        name: String,
        /// What it said last.
        said: String,
    },
    /// A program does not tell that it is ready.
    #[error("{name} does not get ready:\n{said}")]
    NotReady {
        /// Its name.
        name: String,
        /// What it said last.
        said: String,
    },
    /// The kernel lets nobody wait, or has no more file descriptors.
    #[error("cannot wait for programs and signals: {0}")]
    Wait(io::Error),
}
