//! The sides of the box.

/// What an interface faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// The modem pools.
    Customer = 0,
    /// The provider's network and the Internet.
    Network = 1,
    /// Both: a router's only interface, or one toward another point of presence. Whoever
    /// sends from an address of a pool is taken for a customer.
    Mixed = 2,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Network, Self::Mixed];

    /// Whether customers' packets arrive there.
    #[inline(always)]
    pub const fn faces_customers(self) -> bool {
        matches!(self, Self::Customer | Self::Mixed)
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Network => "network",
            Self::Mixed => "mixed",
        }
    }
}
