//! What a valid configuration says. Nothing here can be wrong: whoever holds a
//! [`Config`] need check nothing again.

use std::{
    collections::HashSet,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use filter_common::{Ingress, ReturnTraffic, Role, Sources};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    customer_list::CustomerList, port::PortSpec, report::lossy, share::Share, words::shown,
};

/// A whole configuration: `poolguard.toml` and all that it includes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `enforcement = "monitor"`: count what would be dropped, anywhere, and pass it.
    pub monitor: bool,
    /// `forwarding`, and every `[[wire]]`.
    #[serde(default)]
    pub forwarding: Forwarding,
    /// `[[interface]]`, in the order of the files.
    pub interfaces: Vec<Interface>,
    /// `[ports]`.
    pub ports: Ports,
    /// `[mail]`.
    pub mail: Mail,
    /// `[[pool]]`, in the order of the files.
    pub pools: Vec<Pool>,
    /// `[[customer]]`, in the order of the files.
    pub customers: Vec<Customer>,
    /// The rows of `customer_lists`. They are many, and shared by all copies.
    #[serde(with = "shared", default)]
    pub listed: Arc<CustomerList>,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// The largest share of the customer addresses that a reload may open or
    /// close unless it is forced.
    pub max_change: Share,
    /// What tells the texts that it was read from, in their order, from others: the first
    /// 16 hexadecimal digits of their SHA-256. The names of the files make no difference.
    #[serde(default)]
    pub hash: String,
    /// The entries of `include` and `customer_lists`, and what each came to.
    #[serde(default)]
    pub included: Vec<Included>,
}

/// An entry of `include` or `customer_lists`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    /// Where it is written.
    pub key: IncludedBy,
    /// As it is written.
    pub pattern: String,
    /// The files that it names, as they were found, but for those that an entry before
    /// it names as well.
    pub files: Vec<PathBuf>,
    /// How many files, or how many rows if they are lists.
    pub amount: usize,
}

/// The keys that name more files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncludedBy {
    /// More of the same, in TOML.
    Include,
    /// CSV.
    CustomerLists,
}

impl IncludedBy {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::CustomerLists => "customer_lists",
        }
    }

    /// What is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Include => "file",
            Self::CustomerLists => "row",
        }
    }
}

impl Included {
    /// Whether both are the same entry, whatever it comes to.
    pub(crate) fn is_named_as(&self, other: &Self) -> bool {
        (self.key, &self.pattern) == (other.key, &other.pattern)
    }
}

impl fmt::Display for Included {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.key.name(), self.pattern)
    }
}

/// How what is shared is written.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        shared: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        T::serialize(shared, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

/// Who holds exemptions: a customer's table, or a row of a customer list.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The customer's name.
    pub name: &'a str,
    /// The exemptions.
    pub terms: &'a Terms,
    /// Free text.
    pub ticket: Option<&'a str>,
    /// The file, as it was found.
    pub file: &'a Path,
    /// The line, from 1.
    pub line: usize,
}

/// Customers of tables are numbered from 0, and rows of lists after them.
impl Config {
    /// The number of a row of [`listed`](Self::listed).
    pub(crate) fn number_of_row(&self, row: usize) -> usize {
        self.customers.len() + row
    }

    /// The customer with a number.
    pub(crate) fn holder(&self, number: usize) -> Holder<'_> {
        match self.customers.get(number) {
            Some(customer) => customer.into(),
            None => self.listed.holder(number - self.customers.len()),
        }
    }

    /// Every prefix of a customer, with who holds it.
    pub fn held_prefixes(&self) -> impl Iterator<Item = (IpNet, Holder<'_>)> {
        let rows = 0..self.listed.len();
        let listed = self.listed.prefixes().zip(rows);
        self.prefixes_of_tables()
            .map(|(prefix, customer)| (prefix, customer.into()))
            .chain(listed.map(|(prefix, row)| (prefix, self.listed.holder(row))))
    }

    /// The same with the exemptions alone: the names of a million rows are all
    /// over the memory.
    pub fn exemptions(&self) -> impl Iterator<Item = (IpNet, &Terms)> {
        self.prefixes_of_tables()
            .map(|(prefix, customer)| (prefix, &customer.terms))
            .chain(self.listed.exemptions())
    }

    fn prefixes_of_tables(&self) -> impl Iterator<Item = (IpNet, &Customer)> {
        self.customers.iter().flat_map(|customer| {
            let prefixes = customer.prefixes.iter();
            prefixes.map(move |prefix| (*prefix, customer))
        })
    }

    /// The exemptions of the customer with a number.
    pub(crate) fn terms_held(&self, number: usize) -> &Terms {
        match self.customers.get(number) {
            Some(customer) => &customer.terms,
            None => self.listed.terms_held(number - self.customers.len()),
        }
    }

    /// What customers open. Rows that open the same share it.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Terms> {
        let of_tables = self.customers.iter().map(|customer| &customer.terms);
        of_tables.chain(self.listed.terms())
    }

    /// The place among [`terms`](Self::terms) of what a customer opens.
    pub(crate) fn terms_of(&self, number: usize) -> usize {
        match number.checked_sub(self.customers.len()) {
            None => number,
            Some(row) => self.customers.len() + self.listed.terms_of(row),
        }
    }

    /// A number for the customer with a number: the same for all rows of a name that
    /// follow one another in a list.
    pub(crate) fn customer_key(&self, number: usize) -> u64 {
        match number.checked_sub(self.customers.len()) {
            None => number as u64,
            Some(row) => self.customers.len() as u64 + self.listed.name_key(row),
        }
    }

    /// The customers with exemptions that `files` have, by
    /// [`customer_key`](Self::customer_key).
    pub(crate) fn customers_in(&self, files: &[PathBuf], now: Timestamp) -> HashSet<u64> {
        let files: HashSet<&Path> = files.iter().map(PathBuf::as_path).collect();
        let numbers = 0..self.customers.len() + self.listed.len();
        let numbers = numbers.filter(|&number| {
            let holder = self.holder(number);
            files.contains(holder.file) && holder.terms.open_something(now)
        });
        numbers.map(|number| self.customer_key(number)).collect()
    }

    /// The interface that a wire joins to this one.
    pub fn other_end(&self, interface: &str) -> Option<&str> {
        self.forwarding
            .wires()
            .iter()
            .find_map(|wire| wire.other_end(interface))
    }

    /// What is forbidden toward a pool.
    pub fn forbidden_toward<'a>(&'a self, pool: &'a Pool) -> &'a [PortSpec] {
        pool.forbidden.as_ref().unwrap_or(&self.ports.forbidden)
    }
}

/// What becomes of a frame that is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// The kernel bridges or routes it.
    #[default]
    Kernel,
    /// It goes out of the other end of the wire that it came in at. The kernel
    /// forwards what comes in at an interface that is the end of none of these.
    Wire(Vec<Wire>),
}

impl Forwarding {
    /// As the configuration writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Wire(_) => "wire",
        }
    }

    /// The wires, if there are any.
    pub fn wires(&self) -> &[Wire] {
        match self {
            Self::Kernel => &[],
            Self::Wire(wires) => wires,
        }
    }
}

/// `[[wire]]`: two interfaces that are joined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wire {
    /// The two, as `ip link` shows them.
    pub ends: [String; 2],
}

impl Wire {
    /// The end that is not this one.
    pub fn other_end(&self, interface: &str) -> Option<&str> {
        let [one, other] = &self.ends;
        match interface {
            name if name == one => Some(other),
            name if name == other => Some(one),
            _ => None,
        }
    }
}

/// An interface to filter on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// As `ip link` shows it.
    pub name: String,
    /// What it faces.
    #[serde(with = "RoleWord")]
    pub role: Role,
    /// How the program is attached.
    pub attach: Attach,
    /// Which source addresses are let in: rule 7.
    #[serde(default, with = "SourcesWord")]
    pub sources: Sources,
    /// Whether what leaves there is judged that was not on arrival.
    #[serde(default)]
    pub egress: Egress,
}

impl Interface {
    /// What the rules know of it.
    pub const fn ingress(&self) -> Ingress {
        Ingress {
            role: self.role,
            sources: self.sources,
        }
    }
}

/// How [`Role`], which knows nothing of serde, is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", rename_all = "lowercase")]
enum RoleWord {
    Customer,
    Network,
    Mixed,
}

/// How [`Sources`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Sources", rename_all = "lowercase")]
enum SourcesWord {
    Any,
    Monitor,
    Pools,
}

/// How [`ReturnTraffic`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ReturnTraffic", rename_all = "lowercase")]
enum ReturnTrafficWord {
    Track,
    Syn,
    Drop,
}

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// In the driver, before a socket buffer exists.
    #[default]
    Native,
    /// In the network stack, for drivers without XDP. Slow.
    Generic,
}

impl Attach {
    /// As the configuration and the metrics write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// What becomes of what leaves at an interface without having been judged on arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// It is judged as what the network sends: by rules 1 to 4 and 6.
    Filter,
    /// It passes. So it did before there was a choice.
    #[default]
    Off,
}

impl Egress {
    /// What holds where nothing is written: whether customers are reached there.
    pub const fn by_default(role: Role) -> Self {
        match role.faces_customers() {
            true => Self::Filter,
            false => Self::Off,
        }
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Off => "off",
        }
    }
}

/// `[ports]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// What is forbidden toward every pool without a list of its own.
    pub forbidden: Vec<PortSpec>,
    /// What happens to answers toward forbidden ports from 1024 up.
    #[serde(with = "ReturnTrafficWord")]
    pub return_traffic: ReturnTraffic,
}

/// `[mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The provider's mail servers.
    pub servers: Vec<IpNet>,
    /// The TCP ports that mail is sent to.
    pub ports: Vec<u16>,
    /// `direct_smtp = "pass"`: rule 5 is off.
    pub direct_smtp: bool,
    /// `smtp_replies = "pass"`: rule 6 is off. With `direct_smtp` it is off as well:
    /// everybody may have sent the mail that is answered.
    #[serde(default)]
    pub smtp_replies: bool,
}

/// `[[pool]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Unique; a label of the metrics.
    pub name: String,
    /// Whether its customers can hold exemptions.
    pub kind: PoolKind,
    /// The addresses that are handed out from it.
    pub prefixes: Vec<IpNet>,
    /// What is forbidden toward it, in place of [`Ports::forbidden`].
    pub forbidden: Option<Vec<PortSpec>>,
    /// `enforcement = "monitor"` for this pool alone.
    pub monitor: bool,
}

/// What kind of customers a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// Dial-up, DHCP, PPP: rule 1.
    Dynamic,
    /// A rented virtual point of presence: rule 2.
    VirtualPop,
    /// Static customers: rules 3 and 4.
    Static,
}

impl PoolKind {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::VirtualPop => "virtual-pop",
            Self::Static => "static",
        }
    }

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Dynamic, Self::VirtualPop, Self::Static];

    /// Whether customers in such a pool can be exempted.
    pub const fn takes_exemptions(self) -> bool {
        matches!(self, Self::Static)
    }
}

/// `[[customer]]`: the exemptions that a static customer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Unique.
    pub name: String,
    /// The customer's addresses.
    pub prefixes: Vec<IpNet>,
    /// The exemptions.
    #[serde(flatten)]
    pub terms: Terms,
    /// Free text.
    pub ticket: Option<String>,
    /// Where it is written.
    pub source: Source,
}

impl<'a> From<&'a Customer> for Holder<'a> {
    fn from(customer: &'a Customer) -> Self {
        Self {
            name: &customer.name,
            terms: &customer.terms,
            ticket: customer.ticket.as_deref(),
            file: &customer.source.file,
            line: customer.source.line,
        }
    }
}

/// What exemptions open, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// The forbidden ports that are open toward the customer.
    pub allow_inbound: Vec<PortSpec>,
    /// Whether mail may leave from there past the mail servers.
    pub allow_smtp_out: bool,
    /// They hold before this moment, and not from it on. A plain date in the
    /// configuration holds through that day, UTC.
    pub expires: Option<Timestamp>,
}

impl Terms {
    /// Whether they no longer hold.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    /// Whether there is anything that they open at `now`.
    pub fn open_something(&self, now: Timestamp) -> bool {
        let is_open = !self.allow_inbound.is_empty() || self.allow_smtp_out;
        is_open && !self.is_expired(now)
    }
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file, as it was found.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

/// `[metrics]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Where `/metrics` is served.
    pub listen: SocketAddr,
}
