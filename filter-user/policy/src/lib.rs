//! What a configuration means, without a machine to try it on.
//!
//! [`config`] turns text into a valid [`Config`](config::Config), or says every mistake in
//! it at once. With the temporary exemptions beside it that is an [`intent`]: all that is to
//! hold. [`compile`](mod@compile) turns an intent into the tables that
//! [`filter_common::decide`](filter_common::decide()) consults, [`change`] compares two of
//! them, and [`explain`] says what becomes of a packet and why. Where the program has counted
//! under numbers, [`totals`] puts the names back.
//!
//! Nothing here reads a file, a clock or a socket: files are handed in through
//! [`config::Files`], and the time is an argument.
//!
//! ```
//! use std::path::Path;
//!
//! use policy::{
//!     compile::compile,
//!     config::{Memory, load_from},
//!     explain::{Packet, explain},
//!     intent::Intent,
//! };
//!
//! let text = r#"
//! [[interface]]
//! name = "eth1"
//! role = "customer"
//! [[interface]]
//! name = "eth0"
//! role = "network"
//! [mail]
//! servers = ["192.0.2.25"]
//! [[pool]]
//! name = "dialup"
//! kind = "dynamic"
//! prefixes = ["203.0.113.0/24"]
//! "#;
//! let now = "2026-06-15T12:00:00Z".parse()?;
//! let files = Memory::default().with("poolguard.toml", text);
//! let loaded = load_from(&files, Path::new("poolguard.toml"), now)?;
//!
//! let intent = Intent::from(loaded.config);
//! let tables = compile(&intent, now)?;
//! let packet = Packet::parse("tcp", "198.51.100.7:40000", "203.0.113.9:80", "syn")?;
//! let explanation = explain(&intent, &tables, "eth0", &packet, false, now)?;
//! assert_eq!(explanation.verdict, "drop");
//! assert_eq!(explanation.rule.as_deref(), Some("inbound_port"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod change;
pub mod compile;
pub mod config;
pub mod directory;
pub mod explain;
pub mod host;
pub mod instance;
pub mod intent;
pub mod listing;
mod partition;
mod prefix_map;
pub mod totals;
