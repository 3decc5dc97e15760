//! What the object and its loader call the same.
//!
//! In the object these are the names of items, which cannot be taken from here. A
//! test of the loader holds them against this file. What is behind the names are
//! types of this crate: [`Settings`](crate::Settings), [`Policy`](crate::Policy), ...

use crate::decide::Role;

/// The program for interfaces of a role. The kernel keeps fifteen bytes of its name.
pub const fn program(role: Role) -> &'static str {
    match role {
        Role::Customer => "poolguard_cust",
        Role::Network => "poolguard_net",
        Role::Mixed => "poolguard_mixed",
    }
}

/// The program at the way out of an interface.
pub const PROGRAM_OUT: &str = "poolguard_out";

/// How many devices [`map::JUDGED`] has room for: interfaces, and the VLAN devices and
/// bridges on them.
pub const JUDGED_DEVICES: u32 = 16 * 1024;

/// The devices with an index below this are in [`map::JUDGED_BELOW`] too. Others are made
/// and deleted all the time: only their indices grow.
pub const JUDGED_BELOW_DEVICES: u32 = 16 * 1024;

/// What is set when a copy of the program is loaded.
pub mod constant {
    /// [`Settings`](crate::Settings).
    pub const SETTINGS: &str = "SETTINGS";
    /// [`PortClasses`](crate::PortClasses).
    pub const PORT_CLASSES: &str = "PORT_CLASSES";
    /// [`PortSlots`](crate::PortSlots).
    pub const PORT_SLOTS: &str = "PORT_SLOTS";
    /// The counter slot of the interface.
    pub const INTERFACE: &str = "INTERFACE";
    /// [`Sources`](crate::Sources) of the interface, by number.
    pub const SOURCES: &str = "SOURCES";
    /// Whether what passes goes out of [`PEER`](super::map::PEER): 0 or 1.
    pub const WIRE: &str = "WIRE";

    /// All of them.
    pub const ALL: [&str; 6] = [SETTINGS, PORT_CLASSES, PORT_SLOTS, INTERFACE, SOURCES, WIRE];
}

/// What programs share, or the controller changes while they run.
pub mod map {
    /// Policy number to [`Policy`](crate::Policy). Of a generation.
    pub const POLICIES: &str = "POLICIES";
    /// The lines of the IPv4 [prefix table](crate::prefix_table). Of a generation.
    pub const PREFIXES_V4: &str = "PREFIXES_V4";
    /// The same for IPv6.
    pub const PREFIXES_V6: &str = "PREFIXES_V6";
    /// The [marks](crate::last_use) of exemptions that are used. Of a generation.
    pub const MARKS: &str = "MARKS";
    /// The [rows](crate::counters) of a generation. Others read on when it has gone.
    pub const COUNTERS: &str = "COUNTERS";
    /// [`Flow`](crate::flow::Flow) to the second it was last seen at. Outlives
    /// generations.
    pub const FLOWS: &str = "FLOWS";
    /// The other end of the wire, at index 0. Of one copy of the program.
    pub const PEER: &str = "PEER";
    /// The indices of the devices whose frames were judged on arrival, as keys. Outlives
    /// generations.
    pub const JUDGED: &str = "JUDGED";
    /// Index of a device to 1, if it is in [`JUDGED`], else 0: for [low
    /// indices](super::JUDGED_BELOW_DEVICES), since nearly every frame asks. Outlives
    /// generations.
    pub const JUDGED_BELOW: &str = "JUDGED_BELOW";
    /// Room for heads of frames. Of a generation.
    pub const LONG_HEAD: &str = "LONG_HEAD";

    /// All of them.
    pub const ALL: [&str; 10] = [
        POLICIES,
        PREFIXES_V4,
        PREFIXES_V6,
        MARKS,
        COUNTERS,
        FLOWS,
        PEER,
        JUDGED,
        JUDGED_BELOW,
        LONG_HEAD,
    ];
}
