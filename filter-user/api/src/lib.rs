//! What the control socket of a running poolguard takes and says.
//!
//! A controller speaks HTTP on a Unix socket. [`routes`] are the paths, [`requests`] what is
//! sent to them and [`answers`] what comes back, all of it in JSON; [`status`] is how the
//! controller stands, as data: how that is printed is for whoever asks, but for the words of
//! [`enforcement`], which are the same everywhere. [`client`] asks, and waits for the answer.
//!
//! The poolguard that asks and the one that answers may be of different versions: the
//! controller goes on while the package is upgraded. What an older one does not send has a
//! default, and what a newer one sends besides is passed over. What cannot be bridged so has
//! another [`version`], and whoever meets another version says so.
//!
//! ```
//! use api::{answers::Confirmed, routes};
//!
//! assert_eq!(routes::remove_exemption(7), "/exemptions/7/remove");
//! let answer = r#"{ "generation": 3, "of_a_newer_one": true }"#;
//! let confirmed: Confirmed = serde_json::from_str(answer)?;
//! assert_eq!(confirmed.generation, 3);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod answers;
pub mod client;
pub mod enforcement;
pub mod last_use;
pub mod requests;
pub mod routes;
pub mod status;
pub mod version;
