//! Text to a valid [`Config`], or every mistake in it at once.
//!
//! A configuration goes through the modules in this order: `files` gives the
//! text, `syntax` makes TOML of it, `reader` walks through that and
//! `values` says what each value means, `build` puts the values together to
//! a `draft`, with what `read_list` makes of customer lists, `validate` holds its pieces against each other. Each of them
//! notes `mistakes` and goes on with what is left, so that one run shows all
//! of them. A draft without mistakes becomes the `model`.

mod build;
mod customer_list;
mod draft;
mod files;
mod mistakes;
mod model;
mod near;
mod port;
mod prefix;
mod read_list;
mod reader;
mod report;
mod share;
mod syntax;
mod temporary;
mod text;
mod texts;
mod validate;
mod values;
pub(crate) mod words;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;

pub use customer_list::CustomerList;
pub use files::MATCHING;
pub use files::{Files, Memory, Unreadable, Unseen};
pub use model::{
    Attach, Config, Customer, Egress, Forwarding, Holder, Included, IncludedBy, Interface, Mail,
    Metrics, Pool, PoolKind, Ports, Source, Terms, Wire,
};
pub use port::{BadPort, PortRange, PortSpec};
pub use report::{Diagnostic, Related, Report, Severity, lossy};
pub use share::{BadShare, Share};
pub use temporary::{NoRoom, TemporaryExemption};
pub use texts::Texts;
pub use words::{is_line, shown};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Arc<Config>,
    /// What it says and probably does not mean.
    pub warnings: Report,
    /// What it was read from.
    pub texts: Texts,
}

/// What a prefix means that is written outside of a configuration.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub fn parse_prefix(text: &str) -> Result<ipnet::IpNet, String> {
    prefix::parse(text).map_err(|wrong| format!("{}: {}", wrong.message, wrong.help))
}

/// Reads the file `path` of `files` and what it includes.
///
/// `now` decides which exemptions have expired, which is only worth a warning.
///
/// # Errors
///
/// Every mistake in them at once.
pub fn load_from(files: &dyn Files, path: &Path, now: Timestamp) -> Result<Loaded, Report> {
    let mut mistakes = mistakes::Mistakes::default();
    let (draft, texts) = build::read(files, path, &mut mistakes);
    validate::check(&draft, path, now, &mut mistakes);
    let report = mistakes.into_report();
    match draft.into_config() {
        Some(config) if report.errors() == 0 => Ok(Loaded {
            config: Arc::new(config),
            warnings: report,
            texts: Texts::new(texts),
        }),
        _ => Err(report),
    }
}
