//! What a command asks the controller for.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use policy::config::{PortSpec, Texts};
use serde::{Deserialize, Serialize};

/// How a reload is to go about it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ReloadOptions {
    /// However much it changes, and also while another one is on trial.
    pub force: bool,
    /// On trial: for that long, unless it is confirmed.
    pub confirm: Option<SignedDuration>,
}

/// What `exempt add` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewExemption {
    /// The addresses that it is for.
    pub prefix: IpNet,
    /// The forbidden ports that are to be open toward them.
    pub ports: Vec<PortSpec>,
    /// Whether mail may leave from them past the mail servers.
    pub smtp_out: bool,
    /// When it ends.
    pub expires: Timestamp,
    /// Free text.
    pub reason: String,
    /// Free text.
    pub ticket: Option<String>,
}

/// A configuration that is not on the controller's disk, or not where it reads: the
/// texts of its files, with the names that they were read under.
#[derive(Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The main file.
    pub main: PathBuf,
    /// All files, the main one too.
    pub files: Vec<(PathBuf, String)>,
}

impl Candidate {
    /// What was read, as it was. A name that is not UTF-8 is as reports have it.
    pub fn of(main: &Path, texts: &Texts) -> Self {
        let files = texts.iter();
        Self {
            main: in_utf8(main),
            files: files
                .map(|(path, text)| (in_utf8(path), text.to_owned()))
                .collect(),
        }
    }
}

fn in_utf8(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().into_owned())
}
