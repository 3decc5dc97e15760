//! What varies from frame to frame, and how. The programs of the benchmark and
//! the host share this file.

/// Where customers live: the `index`th of them has the first 64 bits
/// [`nth(index)`](Customers::nth) in its address, of which IPv4 uses the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Customers {
    /// The first bits of the pool that all of them are in.
    pub pool: u64,
    /// Odd: the places of a pool are taken in an order that never repeats. With 1
    /// neighbours are neighbours, with a large one they are strewn all over it.
    pub stride: u64,
    /// Where the order begins.
    pub seed: u64,
    /// The number of places in the pool, a power of two, less one.
    pub mask: u64,
    /// How many bits of the 64 there are to the right of a place's number.
    pub shift: u64,
}

impl Customers {
    /// The first 64 bits of the address of one of them.
    #[inline(always)]
    pub const fn nth(&self, index: u64) -> u64 {
        let place = index.wrapping_mul(self.stride).wrapping_add(self.seed) & self.mask;
        self.pool | place << (self.shift & 63)
    }
}

/// What a program of the benchmark writes into each frame. Offsets are from the
/// start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Spec {
    /// Whose addresses are written.
    pub customers: Customers,
    /// How many of them there are to choose from.
    pub count: u32,
    /// Where the customer's address is.
    pub customer_at: u32,
    /// Where the last four bytes of the other address are, which then are random;
    /// 0 to leave them.
    pub stranger_at: u32,
    /// Where the port is that becomes one of [`PORTS`]; 0 to leave it.
    pub port_at: u32,
    /// Where the checksum of an IPv4 header is; 0 in IPv6.
    pub checksum_at: u32,
    /// The sum of that header without its checksum and the addresses that are
    /// written (RFC 1071).
    pub header_sum: u32,
    /// The index of the interface that live frames are sent out of; 0 to drop them.
    pub interface: u32,
    /// Where the time to live is, with the protocol behind it, or the hop limit,
    /// with the next header before it.
    pub life_at: u16,
    /// What is written there.
    pub life: [u8; 2],
}

/// The forbidden ports, and again as many of them as make a power of two.
pub const PORTS: [u16; 16] = [
    25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080, 25, 80, 110, 139, 443, 8080,
];
