//! What becomes of the traffic while everything goes wrong.
//!
//! The real binary filters a bridge (`site`) through which numbered frames go
//! both ways all the time (`traffic`), every one of them with a known fate. Some come from
//! an interface where nothing is filtered, and are judged on their way out.
//! Meanwhile one fault (`faults`) after the other is brought about. A frame that
//! passes and should not, or does not and should, is found out by its number.

mod beside;
mod boot;
mod faults;
mod report;
mod site;
mod traffic;

pub use faults::{Plan, inject};
pub use report::{HEAD, Row};
pub(crate) use site::{CONFIGURATIONS, Ends, FORBIDDEN, make_bridge};
pub(crate) use traffic::{Tally, during};
