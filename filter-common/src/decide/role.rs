//! The two sides of the box.

/// What an interface faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// The modem pools.
    Customer = 0,
    /// The provider's network and the Internet.
    Network = 1,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Customer, Self::Network];

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Network => "network",
        }
    }
}
