//! Which counters a verdict moves, and where they are.
//!
//! The program keeps one array of *rows* a CPU, each of sixteen 64-bit
//! counters, so that what belongs together (all counters of a pool) is in one
//! place and is read with one system call. Slots are given to names by the
//! controller, for each generation by itself: each counts in rows of its own.

use crate::{
    policy::Protocol,
    verdict::{DropReason, Outcome, Rule, Uninspected, Verdict},
};

/// Counters in a row.
pub const ROW_LENGTH: usize = 16;

/// One row.
pub type Row = [u64; ROW_LENGTH];

/// How many interfaces one generation can count.
pub const INTERFACES: u32 = 256;
/// How many pools, [`NO_POOL`] included.
pub const POOLS: u32 = 1024;
/// How many watched ports, or ranges of them as they are written.
pub const PORTS: u32 = 256;

/// The pool slot of frames that concern no pool.
pub const NO_POOL: u32 = 0;

/// The row of what passed without a port to look at, by reason.
pub const UNINSPECTED_ROW: u32 = 0;
/// The row of what was dropped, by the last detail.
pub const DROPPED_REASON_ROW: u32 = 1;
/// The row of what would have been dropped, by the last detail.
pub const WOULD_DROP_REASON_ROW: u32 = 2;
const INTERFACE_ROWS: u32 = 3;
const POOL_ROWS: u32 = INTERFACE_ROWS + INTERFACES / ROW_LENGTH as u32;
const PORT_ROWS: u32 = POOL_ROWS + POOLS;
/// How many rows there are.
pub const ROWS: u32 = PORT_ROWS + PORTS;

const _: () = assert!(INTERFACES.is_multiple_of(ROW_LENGTH as u32));
const _: () = assert!(DropReason::ALL.len() <= ROW_LENGTH);
const _: () = assert!(PoolCounter::COUNT <= DROPPED_OUT_COLUMN);
const _: () = assert!(WOULD_DROP_REPLIES_COLUMN < PASSED_OUT_COLUMN);

/// The rows of ports have room at their end, and there are as many as there are
/// interfaces: so what a poolguard without wires has counted goes on.
const UNSENT_COLUMN: usize = ROW_LENGTH - 1;
const PASSED_OUT_COLUMN: usize = ROW_LENGTH - 2;
/// So do the rows of pools, of which there are more.
const DROPPED_OUT_COLUMN: usize = ROW_LENGTH - 1;
/// What a row of a port has for drops, and again for what monitor mode lets pass: the
/// protocols of rules 1 to 4, and the one of rule 5. Those of rule 6 came later.
const PORT_COLUMNS: usize = Protocol::COUNT + 1;
const DROPPED_REPLIES_COLUMN: usize = 2 * PORT_COLUMNS;
const WOULD_DROP_REPLIES_COLUMN: usize = DROPPED_REPLIES_COLUMN + 1;
const _: () = assert!(INTERFACES <= PORTS && INTERFACES <= POOLS);

/// The row of a pool, and of what is dropped on the way out of the interface with the
/// same slot.
#[inline(always)]
pub const fn pool_row(pool: u32) -> u32 {
    POOL_ROWS + pool
}

/// The row of a watched port, and of what is unsent of the interface with the same
/// slot, and passes on the way out of it.
#[inline(always)]
pub const fn port_row(port: u32) -> u32 {
    PORT_ROWS + port
}

/// The place of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Below [`ROWS`] as long as the slots it was made from are in range.
    pub row: u32,
    /// Below [`ROW_LENGTH`].
    pub column: usize,
}

impl Slot {
    /// Frames passed that arrived at an interface.
    #[inline(always)]
    pub const fn passed(interface: u32) -> Self {
        Self {
            row: INTERFACE_ROWS + interface / ROW_LENGTH as u32,
            column: interface as usize % ROW_LENGTH,
        }
    }

    /// Frames that arrived at an interface and were to pass, and had nowhere to
    /// go: the other end of the wire was missing.
    #[inline(always)]
    pub const fn unsent(interface: u32) -> Self {
        Self {
            row: port_row(interface),
            column: UNSENT_COLUMN,
        }
    }

    /// Packets that were judged on the way out of an interface, and passed.
    #[inline(always)]
    pub const fn passed_out(interface: u32) -> Self {
        Self {
            row: port_row(interface),
            column: PASSED_OUT_COLUMN,
        }
    }

    /// Packets that were judged on the way out of an interface, and dropped.
    #[inline(always)]
    pub const fn dropped_out(interface: u32) -> Self {
        Self {
            row: pool_row(interface),
            column: DROPPED_OUT_COLUMN,
        }
    }

    /// Frames passed without a port to look at.
    #[inline(always)]
    pub const fn uninspected(reason: Uninspected) -> Self {
        Self {
            row: UNINSPECTED_ROW,
            column: reason as usize,
        }
    }

    /// Frames dropped, by the last detail.
    #[inline(always)]
    pub const fn dropped_by_reason(reason: DropReason) -> Self {
        Self {
            row: DROPPED_REASON_ROW,
            column: reason as usize,
        }
    }

    /// Frames that would have been dropped, by the last detail.
    #[inline(always)]
    pub const fn would_drop_by_reason(reason: DropReason) -> Self {
        Self {
            row: WOULD_DROP_REASON_ROW,
            column: reason as usize,
        }
    }

    /// One of the counters of a pool.
    #[inline(always)]
    pub const fn pool(pool: u32, counter: PoolCounter) -> Self {
        Self {
            row: pool_row(pool),
            column: counter.column(),
        }
    }

    /// Frames dropped because of a port, `port` being the slot of its number.
    /// Rules 5 and 6 are about TCP only: the protocol makes no difference to them.
    #[inline(always)]
    pub const fn dropped_by_port(port: u32, direction: Direction, protocol: Protocol) -> Self {
        Self {
            row: port_row(port),
            column: match direction {
                Direction::Inbound => protocol as usize,
                Direction::Outbound => Protocol::COUNT,
                Direction::Reply => DROPPED_REPLIES_COLUMN,
            },
        }
    }

    /// Frames that monitor mode let pass and that would have been dropped because of a
    /// port.
    #[inline(always)]
    pub const fn would_drop_by_port(port: u32, direction: Direction, protocol: Protocol) -> Self {
        Self {
            row: port_row(port),
            column: match direction {
                Direction::Inbound => PORT_COLUMNS + protocol as usize,
                Direction::Outbound => PORT_COLUMNS + Protocol::COUNT,
                Direction::Reply => WOULD_DROP_REPLIES_COLUMN,
            },
        }
    }
}

/// What is counted for each pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolCounter {
    /// Frames dropped under a rule.
    DroppedPackets(Rule),
    /// Their bytes, from the IP header on.
    DroppedBytes(Rule),
    /// Frames that monitor mode let pass.
    WouldDropPackets(Rule),
    /// Frames that rules 3 or 4 matched and an exemption let pass.
    ExemptedInbound,
    /// Frames that rule 5 matched and an exemption let pass.
    ExemptedSmtpOut,
    /// Frames passed as return traffic.
    ReturnPackets,
}

impl PoolCounter {
    const COUNT: usize = 3 * Rule::COLUMNS + 3;

    #[inline(always)]
    const fn column(self) -> usize {
        match self {
            Self::DroppedPackets(rule) => rule.column(),
            Self::DroppedBytes(rule) => Rule::COLUMNS + rule.column(),
            Self::WouldDropPackets(rule) => 2 * Rule::COLUMNS + rule.column(),
            Self::ExemptedInbound => 3 * Rule::COLUMNS,
            Self::ExemptedSmtpOut => 3 * Rule::COLUMNS + 1,
            Self::ReturnPackets => 3 * Rule::COLUMNS + 2,
        }
    }

    /// Whether it counts frames that concern a pool, or else frames that concern none.
    pub const fn occurs(self, of_a_pool: bool) -> bool {
        match self {
            Self::DroppedPackets(rule)
            | Self::DroppedBytes(rule)
            | Self::WouldDropPackets(rule) => rule.can_deny(of_a_pool),
            Self::ExemptedInbound | Self::ExemptedSmtpOut | Self::ReturnPackets => of_a_pool,
        }
    }
}

impl Rule {
    const COLUMNS: usize = 4;

    /// Rules that always concern a pool share columns with rules that never do: frames
    /// that concern none have a row of their own.
    #[inline(always)]
    const fn column(self) -> usize {
        match self {
            Self::InboundPort | Self::Source => 0,
            Self::SmtpOut => 1,
            Self::Malformed | Self::SmtpReply => 2,
            Self::HiddenPorts => 3,
        }
    }
}

/// Which way a frame dropped because of its port was headed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// Toward a customer: rules 1 to 4.
    Inbound = 0,
    /// From a customer: rule 5.
    Outbound = 1,
    /// Toward a customer, from the port: rule 6.
    Reply = 2,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Reply];

    /// Whether frames of this protocol can be denied that way.
    pub const fn concerns(self, protocol: Protocol) -> bool {
        match self {
            Self::Inbound => true,
            // Mail is TCP.
            Self::Outbound | Self::Reply => matches!(protocol, Protocol::Tcp),
        }
    }

    /// Which way a frame was headed that is denied for this reason; `None` where that
    /// is not about a port.
    #[inline(always)]
    const fn of(reason: DropReason) -> Option<Self> {
        match reason {
            DropReason::InboundPort => Some(Self::Inbound),
            DropReason::SmtpOut => Some(Self::Outbound),
            DropReason::SmtpReply => Some(Self::Reply),
            _ => None,
        }
    }

    /// The value of the label `direction`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Reply => "reply",
        }
    }
}

/// Somewhere to count.
pub trait Ledger {
    /// A row; `None` where there is none of this number.
    fn row(&mut self, number: u32) -> Option<&mut Row>;

    /// Adds `n` to the counter at `slot`; nothing where there is no such slot.
    #[inline(always)]
    fn count(&mut self, slot: Slot, n: u64) {
        if let Some(row) = self.row(slot.row) {
            add(row, slot, n);
        }
    }
}

/// Adds `n` to the counter at `slot`, which is in this row.
#[inline(always)]
fn add(row: &mut Row, slot: Slot, n: u64) {
    if let Some(counter) = row.get_mut(slot.column) {
        *counter = counter.wrapping_add(n);
    }
}

/// Counts one frame of `length` bytes that arrived at `interface`.
///
/// A frame is counted as dropped, as passed at its interface, or as
/// [unsent](count_unsent) there: as one of the three and no more. What else is
/// counted says why.
#[inline(always)]
pub fn count<L: Ledger + ?Sized>(verdict: &Verdict, interface: u32, length: usize, ledger: &mut L) {
    match verdict.reason {
        Some(reason) if !verdict.passes() => count_drop(verdict, reason, 1, length, ledger),
        _ => count_pass(verdict, Slot::passed(interface), 1, ledger),
    }
}

/// Counts what was judged on the way out of `interface`: one frame of `length` bytes, or
/// one that becomes several `packets` when it is cut.
///
/// Each packet is counted as dropped or as passed there, beside what says why, as for
/// one that [arrives](count).
#[inline(always)]
pub fn count_out<L: Ledger + ?Sized>(
    verdict: &Verdict,
    interface: u32,
    packets: u64,
    length: usize,
    ledger: &mut L,
) {
    match verdict.reason {
        Some(reason) if !verdict.passes() => {
            ledger.count(Slot::dropped_out(interface), packets);
            count_drop(verdict, reason, packets, length, ledger);
        }
        _ => count_pass(verdict, Slot::passed_out(interface), packets, ledger),
    }
}

/// Counts one frame that arrived at `interface` and was to pass, and was not
/// sent for want of somewhere to send it to.
#[inline(always)]
pub fn count_unsent<L: Ledger + ?Sized>(interface: u32, ledger: &mut L) {
    ledger.count(Slot::unsent(interface), 1);
}

#[inline(always)]
fn count_pass<L: Ledger + ?Sized>(verdict: &Verdict, passed: Slot, n: u64, ledger: &mut L) {
    let pool = |counter| Slot::pool(verdict.pool, counter);
    if verdict.smtp_exempted != NO_POOL {
        let slot = Slot::pool(verdict.smtp_exempted, PoolCounter::ExemptedSmtpOut);
        ledger.count(slot, n);
    }
    let uninspected = Slot::uninspected;
    match verdict.outcome {
        Outcome::NotIp => ledger.count(uninspected(Uninspected::NotIp), n),
        Outcome::Fragment => ledger.count(uninspected(Uninspected::Fragment), n),
        Outcome::NoPorts => ledger.count(uninspected(Uninspected::NoPorts), n),
        Outcome::Exempted => ledger.count(pool(PoolCounter::ExemptedInbound), n),
        Outcome::Return => ledger.count(pool(PoolCounter::ReturnPackets), n),
        Outcome::WouldDrop => {
            if let Some(reason) = verdict.reason {
                ledger.count(Slot::would_drop_by_reason(reason), n);
                ledger.count(pool(PoolCounter::WouldDropPackets(reason.rule())), n);
                if let Some(direction) = Direction::of(reason) {
                    let (port, protocol) = (verdict.port, verdict.protocol);
                    ledger.count(Slot::would_drop_by_port(port, direction, protocol), n);
                }
            }
        }
        Outcome::Unwatched | Outcome::Allowed | Outcome::MailServer | Outcome::Drop => {}
    }
    // Last, so that the compiler takes most frames here and past what is above.
    ledger.count(passed, n);
}

#[inline(always)]
fn count_drop<L: Ledger + ?Sized>(
    verdict: &Verdict,
    reason: DropReason,
    n: u64,
    length: usize,
    ledger: &mut L,
) {
    let rule = reason.rule();
    let bytes = length.saturating_sub(verdict.ip_offset as usize) as u64;
    ledger.count(Slot::dropped_by_reason(reason), n);
    let packets = Slot::pool(verdict.pool, PoolCounter::DroppedPackets(rule));
    if let Some(row) = ledger.row(packets.row) {
        add(row, packets, n);
        add(
            row,
            Slot::pool(verdict.pool, PoolCounter::DroppedBytes(rule)),
            bytes,
        );
    }
    if let Some(direction) = Direction::of(reason) {
        let (port, protocol) = (verdict.port, verdict.protocol);
        ledger.count(Slot::dropped_by_port(port, direction, protocol), n);
    }
}
