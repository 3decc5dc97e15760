//! The controller of poolguard, and its commands.
//!
//! A configuration becomes tables, and tables become a running filter: [`disk`] reads the
//! files, [`policy`] says what they mean, [`dataplane`] brings it into the kernel, and
//! [`controller`] decides what is in force and how it gets there. What outlives a controller
//! is kept by [`state`], what Prometheus is told comes from [`metrics`], and what commands
//! ask and are answered is [`api`]. [`args`] are the commands as they are typed.
//!
//! ```
//! use clap::Parser as _;
//! use filter_user::args::{Cli, Command};
//!
//! let cli = Cli::try_parse_from(["poolguard", "--instance", "east", "reload", "--force"])?;
//! assert_eq!(cli.instance().name(), "east");
//! assert!(matches!(cli.command, Command::Reload { force: true, .. }));
//! # Ok::<(), clap::Error>(())
//! ```

pub mod args;
pub mod controller;
pub mod disk;
pub mod log;
pub mod metrics;
mod public_directory;
mod regular_file;
mod seal;
mod slow_disk;
pub mod state;
mod threads;
