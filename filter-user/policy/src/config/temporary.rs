//! Exemptions that are given for a while, beside the configuration files.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::port::PortSpec;

/// An exemption that an operator has given. Unlike those of customers they add
/// up: with one another, and with what the addresses have anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemporaryExemption {
    /// What it is called. No number is given twice.
    pub id: u64,
    /// The addresses that it is for.
    pub prefix: IpNet,
    /// The forbidden ports that are open toward them.
    pub ports: Vec<PortSpec>,
    /// Whether mail may leave from them past the mail servers.
    pub smtp_out: bool,
    /// It holds before this moment, and not from it on.
    pub expires: Timestamp,
    /// Free text.
    pub reason: String,
    /// Free text.
    pub ticket: Option<String>,
    /// When it was given.
    pub added: Timestamp,
    /// By whom: a user ID.
    pub added_by: u32,
}

impl TemporaryExemption {
    /// Whether it no longer holds.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// What it opens: `25, 443/tcp, smtp_out`.
    pub fn opens(&self) -> String {
        let ports = self.ports.iter().map(ToString::to_string);
        let smtp_out = self.smtp_out.then(|| "smtp_out".to_owned());
        ports.chain(smtp_out).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for TemporaryExemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            prefix,
            expires,
            reason,
            ..
        } = self;
        let opens = self.opens();
        write!(
            f,
            "temporary exemption {id} ({prefix} {opens}) until {expires}, {reason}"
        )?;
        match &self.ticket {
            Some(ticket) => write!(f, ", {ticket}"),
            None => Ok(()),
        }
    }
}

/// Why a temporary exemption opens nothing, or not all that it names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// There is nothing to exempt from.
    #[error("{prefix} lies in no pool")]
    OutsidePools {
        /// The prefix of the exemption.
        prefix: IpNet,
    },
    /// The pool takes no exemptions.
    #[error("{prefix} lies in pool {pool} ({pool_prefix}), whose kind {kind} takes no exemptions")]
    KindTakesNone {
        /// The prefix of the exemption.
        prefix: IpNet,
        /// The pool.
        pool: String,
        /// Its prefix around that.
        pool_prefix: IpNet,
        /// Its kind.
        kind: &'static str,
    },
    /// The port is open anyway.
    #[error("port {port} is not forbidden toward {prefix}: pool {pool} forbids {forbidden}")]
    NotForbidden {
        /// The port.
        port: PortSpec,
        /// The prefix of the exemption.
        prefix: IpNet,
        /// The pool.
        pool: String,
        /// What is forbidden there, in words.
        forbidden: String,
    },
    /// It treats ports differently that are treated alike, and there are too many that are
    /// not.
    #[error(
        "{ports} would split the ports into more than {} sets that are treated differently: exempt \
         whole ports and ranges as the lists of forbidden ports have them",
        filter_common::PortClass::MAX
    )]
    TooManyPortClasses {
        /// What it opens, in words.
        ports: String,
    },
}
