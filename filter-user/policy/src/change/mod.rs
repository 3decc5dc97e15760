//! What a new intent would change against the one that runs. Pure.
//!
//! Both are walked through side by side, one stretch of addresses after the
//! other (`segments`), through the same layers that the tables are made from.
//! `view` says what a configuration says of a stretch, `verdicts` asks the rules
//! what becomes of its packets; `tally` lists what differs, and `reach` adds up what
//! that comes to, which is an `extent`; `limit` says when it is too much at once,
//! and `sides` what should become of no interface.

mod addresses;
mod extent;
mod limit;
mod ports;
mod reach;
mod render;
mod segments;
mod sides;
mod tally;
mod verdicts;
mod view;

use std::net::SocketAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use addresses::Addresses;
pub use extent::Extent;
pub use limit::{ADDRESSES, CUSTOMERS, Excess, TooMuch, Way, check_limit};
pub use sides::{Sides, check_sides, left_out};

use crate::{
    config::{Config, IncludedBy, PortSpec, TemporaryExemption},
    intent::Intent,
};

/// What differs between two configurations.
///
/// ```
/// # use std::path::Path;
/// # use policy::{config::{Memory, load_from}, intent::Intent};
/// # let now = "2026-06-15T12:00:00Z".parse()?;
/// # let intent = |prefix: &str| {
/// #     let text = format!(
/// #         "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = [\"192.0.2.25\"]\n\
/// #          [[pool]]\nname = \"dialup\"\nkind = \"dynamic\"\nprefixes = [\"{prefix}\"]\n"
/// #     );
/// #     let files = Memory::default().with("poolguard.toml", text);
/// #     let loaded = load_from(&files, Path::new("poolguard.toml"), now);
/// #     loaded.map(|loaded| Intent::from(loaded.config))
/// # };
/// use policy::change::Change;
///
/// let (old, new) = (intent("203.0.113.0/24")?, intent("203.0.113.0/25")?);
/// let change = Change::between(&old, &new, now);
/// assert_eq!((change.opened.ipv4, change.closed.ipv4), (128, 0));
/// assert_eq!(change.entries[0].to_string(), "- pool dialup (dynamic) 203.0.113.0/24: 256 addresses");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is gained and lost, piece by piece.
    pub entries: Vec<Entry>,
    /// Whether there are exemptions that differ and are not among the entries,
    /// for want of room.
    #[serde(default)]
    pub more_exemptions: bool,
    /// The temporary exemptions that the new one has: a reload keeps them.
    pub kept: Vec<TemporaryExemption>,
    /// The addresses that are in a pool of the old configuration.
    pub customers: Addresses,
    /// Customer addresses, old or new, to or from which something passes that
    /// did not.
    pub opened: Addresses,
    /// Customer addresses, old or new, to or from which something no longer
    /// passes.
    pub closed: Addresses,
    /// Customers of pools of the old configuration who have exemptions in the new one and
    /// for whom something is opened, each once in a pool. In a customer list it is one customer as long as its rows follow one
    /// another.
    #[serde(default)]
    pub gained: u64,
    /// Such customers who have exemptions in the old one and for whom something is closed.
    #[serde(default)]
    pub lost: u64,
    /// Why a reload would not do it unless it is forced: it is more than the old
    /// configuration's `max_change`.
    #[serde(default)]
    pub too_much: Option<String>,
    /// The same for what it does to interfaces: it takes the filter off one, changes its role
    /// or sends what it permits elsewhere.
    #[serde(default)]
    pub sides: Option<String>,
}

/// One piece that is there on one side alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// On which side.
    pub sign: Sign,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
    /// The addresses that it concerns; nothing where it concerns none by its
    /// nature.
    pub affects: Option<Addresses>,
}

/// Which side something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sign {
    /// In the old configuration alone.
    #[serde(rename = "-")]
    Lost,
    /// In the new configuration alone.
    #[serde(rename = "+")]
    Gained,
}

/// Something that one configuration says and another does not. What has another
/// value is lost with the old one and gained with the new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A key that holds for the whole box.
    Setting {
        /// As the configuration calls it: `ports.return_traffic`.
        key: String,
        /// As the configuration writes it.
        value: String,
    },
    /// `[[interface]]`.
    Interface {
        /// Its name.
        name: String,
        /// `customer` or `network`.
        role: String,
        /// `native` or `generic`.
        attach: String,
        /// `any`, `monitor` or `pools`.
        #[serde(default)]
        sources: String,
        /// `filter` or `off`; nothing where an older controller says nothing.
        #[serde(default)]
        egress: String,
    },
    /// `[[wire]]`.
    Wire {
        /// The two interfaces, in alphabetical order: it makes no difference.
        ends: [String; 2],
    },
    /// One of `[mail] servers`.
    MailServer {
        /// As the configuration writes it.
        prefix: IpNet,
    },
    /// An entry of `include` or `customer_lists` that both have, and that has nothing in
    /// it on one side.
    Included {
        /// Where it is written.
        key: IncludedBy,
        /// As it is written.
        pattern: String,
        /// How many files match it, or how many rows are in the lists that do.
        amount: usize,
    },
    /// One of a pool's prefixes. It concerns the addresses for which it is the
    /// most specific one.
    PoolPrefix {
        /// The pool.
        pool: String,
        /// As the configuration writes it.
        prefix: IpNet,
        /// The pool's kind.
        kind: String,
    },
    /// A key of a pool that both have. It concerns the addresses that are in
    /// this pool on both sides.
    PoolSetting {
        /// The pool.
        pool: String,
        /// As the configuration calls it.
        key: String,
        /// As the configuration writes it.
        value: String,
    },
    /// Ports that are forbidden toward a pool that both have. They concern the
    /// addresses that are in this pool on both sides.
    Forbidden {
        /// The pool.
        pool: String,
        /// The ports, in ascending order.
        ports: Vec<PortSpec>,
    },
    /// What a customer's prefix opens. It concerns the addresses for which it
    /// is the most specific one.
    Exemption {
        /// The customer.
        customer: String,
        /// The prefix.
        prefix: IpNet,
        /// The forbidden ports that are open toward it.
        ports: Vec<PortSpec>,
        /// Whether mail may leave from it past the mail servers.
        smtp_out: bool,
        /// When that ends.
        expires: Option<Timestamp>,
    },
    /// What a temporary exemption opens, of what it names.
    TemporaryExemption {
        /// Its number.
        id: u64,
        /// Its prefix.
        prefix: IpNet,
        /// The forbidden ports that are open toward it.
        ports: Vec<PortSpec>,
        /// Whether mail may leave from it past the mail servers.
        smtp_out: bool,
        /// When that ends.
        expires: Timestamp,
    },
}

impl Change {
    /// Compares two intents as they hold at `now`.
    pub fn between(old: &Intent, new: &Intent, now: Timestamp) -> Self {
        tally::tally(old, new, now, usize::MAX)
    }

    /// The same for who has not the memory for a million pieces: of exemptions, so
    /// many that differ are listed, those of the lowest addresses. The addresses that
    /// are opened and closed are counted all the same.
    pub fn in_part(old: &Intent, new: &Intent, now: Timestamp, exemptions: usize) -> Self {
        tally::tally(old, new, now, exemptions)
    }

    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.entries.is_empty() && !self.more_exemptions
    }
}

/// What holds for the whole box, as the configuration writes it, and whether
/// customers' traffic depends on it.
fn settings(config: &Config) -> [(&'static str, String, bool); 8] {
    let word = |word: &str| format!("\"{word}\"");
    let listen: SocketAddr = config.metrics.listen;
    let pass = |passes| word(if passes { "pass" } else { "drop" });
    [
        ("enforcement", word(enforcement(config.monitor)), true),
        // Nothing is opened or closed by it.
        ("forwarding", word(config.forwarding.name()), false),
        (
            "ports.return_traffic",
            word(config.ports.return_traffic.name()),
            true,
        ),
        ("mail.ports", format!("{:?}", config.mail.ports), true),
        ("mail.direct_smtp", pass(config.mail.direct_smtp), true),
        ("mail.smtp_replies", pass(config.mail.smtp_replies), true),
        ("max_change", word(&config.max_change.to_string()), false),
        ("metrics.listen", word(&listen.to_string()), false),
    ]
}

fn enforcement(monitor: bool) -> &'static str {
    if monitor { "monitor" } else { "enforce" }
}
