//! The labels that there are.

/// The name of a label, of a closed list.
///
/// None of them holds an address, a prefix, a customer or a time, and none may be added that
/// does. Each value is a series that this process and every Prometheus keep for good. What is
/// here comes from the configuration, from an enum or from the build, so there are as many
/// series as somebody asked for. Addresses and times come from whoever sends frames, and
/// strangers must not be able to fill memory. Besides, `/metrics` is open to all who can
/// connect, and whom a customer talks to is not theirs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// Toward a customer, or from one.
    Direction,
    /// IPv4 or IPv6.
    Family,
    /// Of the configuration in force: one at a time.
    Hash,
    /// An interface of the configuration.
    Interface,
    /// How the program is attached.
    Mode,
    /// The interface at the other end of a wire.
    Peer,
    /// A pool of the configuration, or none.
    Pool,
    /// A watched port, or 25.
    Port,
    /// TCP or UDP.
    Proto,
    /// The last detail of why a frame was decided as it was.
    Reason,
    /// The commit that this was built from.
    Revision,
    /// Which side an interface is on.
    Role,
    /// What denies or exempts.
    Rule,
    /// A table of the program.
    Table,
    /// Of this program.
    Version,
}

impl Label {
    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direction => "direction",
            Self::Family => "family",
            Self::Hash => "hash",
            Self::Interface => "interface",
            Self::Mode => "mode",
            Self::Peer => "peer",
            Self::Pool => "pool",
            Self::Port => "port",
            Self::Proto => "proto",
            Self::Reason => "reason",
            Self::Revision => "revision",
            Self::Role => "role",
            Self::Rule => "rule",
            Self::Table => "table",
            Self::Version => "version",
        }
    }
}
