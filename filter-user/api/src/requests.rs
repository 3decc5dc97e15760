//! What a command asks the controller for.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use policy::config::PortSpec;
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
