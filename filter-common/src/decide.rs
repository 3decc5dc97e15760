//! The rules.

#[cfg(doc)]
use crate::policy::Settings;
use crate::{
    address::{Address, Family},
    counters::NO_POOL,
    flow::{Flow, REFRESH_SECONDS, lifetime_seconds},
    frame::Frame,
    parse::{Packet, Parsed, TCP_ACK, TCP_SYN, Unreadable, parse},
    policy::{
        FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT, NO_POLICY, Policy, PortClass, Protocol,
        ReturnTraffic,
    },
    prefix_table::{self, Line},
    verdict::{DropReason, Outcome, Uninspected, Verdict},
};

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
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Network => "network",
        }
    }
}

/// What a configuration becomes, and the memory of flows.
pub trait Tables {
    /// [`Settings::mail_ports`]. Settings are asked for one by one: for the
    /// program each is a load that the compiler may not leave out.
    fn mail_ports(&self) -> u64;

    /// [`Settings::high_ports`].
    fn high_ports(&self) -> u64;

    /// [`Settings::return_traffic`].
    fn return_traffic(&self) -> ReturnTraffic;

    /// [`Settings::direct_smtp`].
    fn direct_smtp(&self) -> bool;

    /// [`Settings::monitor`].
    fn monitor(&self) -> bool;

    /// What a port number, host byte order, is to this configuration.
    fn port_class(&self, port: u16) -> PortClass;

    /// A line of the [prefix table](prefix_table) for IPv4.
    fn line_v4(&self, number: u32) -> Option<&Line>;

    /// A line of the [prefix table](prefix_table) for IPv6.
    fn line_v6(&self, number: u32) -> Option<&Line>;

    /// The policy with this number; `None` where there is none.
    fn policy(&self, number: u32) -> Option<&Policy>;

    /// Seconds on a clock that never goes back.
    fn now_seconds(&self) -> u64;

    /// When the customer last sent a packet of this flow, by
    /// [`now_seconds`](Self::now_seconds).
    fn flow_seen(&self, flow: &Flow) -> Option<u64>;

    /// Remembers that the customer sent a packet of this flow.
    fn remember_flow(&self, flow: &Flow, now_seconds: u64);

    /// The policy of an address: [`NO_POLICY`] outside every pool.
    #[inline(always)]
    fn policy_of(&self, address: Address) -> &Policy {
        let number = match address.family {
            Family::V4 => prefix_table::lookup_v4(address, |number| self.line_v4(number)),
            Family::V6 => prefix_table::lookup_v6(address, |number| self.line_v6(number)),
        };
        match number {
            0 => &NO_POLICY,
            number => self.policy(number).unwrap_or(&NO_POLICY),
        }
    }
}

/// Decides one frame that arrived at an interface of the given role.
///
/// Rule 5 comes before rules 1 to 4. What monitor mode lets past one of them
/// still has to get past the other: a customer in a monitored pool who mails a
/// customer in an enforced one is dropped by the latter's rule.
#[inline(always)]
pub fn decide<F, T>(frame: &F, role: Role, tables: &T) -> Verdict
where
    F: Frame + ?Sized,
    T: Tables + ?Sized,
{
    match parse(frame) {
        Parsed::Packet(packet) => judge(&packet, role, tables),
        Parsed::Portless(reason) => pass(match reason {
            Uninspected::NotIp => Outcome::NotIp,
            Uninspected::Fragment => Outcome::Fragment,
            Uninspected::NoPorts => Outcome::NoPorts,
        }),
        Parsed::Unreadable(unreadable) => judge_unreadable(&unreadable, role, tables),
    }
}

/// A verdict that concerns no port and no pool.
#[inline(always)]
const fn pass(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        reason: None,
        pool: NO_POOL,
        smtp_exempted: NO_POOL,
        class: PortClass::UNWATCHED,
        protocol: Protocol::Tcp,
        ip_offset: 0,
    }
}

/// Drops what hides its ports. It is counted for the pool that it is headed
/// to, else for the one that it comes from, where it can be read.
#[inline(always)]
fn judge_unreadable<T: Tables + ?Sized>(
    unreadable: &Unreadable,
    role: Role,
    tables: &T,
) -> Verdict {
    let mut policy = &NO_POLICY;
    if let Some((source, destination)) = unreadable.addresses {
        policy = tables.policy_of(destination);
        if policy.pool == NO_POOL && matches!(role, Role::Customer) {
            policy = tables.policy_of(source);
        }
    }
    Verdict {
        outcome: drop_or_monitor(policy, tables),
        reason: Some(unreadable.reason),
        pool: policy.pool,
        ip_offset: unreadable.ip_offset,
        ..pass(Outcome::Drop)
    }
}

/// Whether what a rule denies is dropped, or only counted.
#[inline(always)]
fn drop_or_monitor<T: Tables + ?Sized>(policy: &Policy, tables: &T) -> Outcome {
    if tables.monitor() || policy.has(FLAG_MONITOR) {
        Outcome::WouldDrop
    } else {
        Outcome::Drop
    }
}

#[inline(always)]
fn judge<T: Tables + ?Sized>(packet: &Packet, role: Role, tables: &T) -> Verdict {
    // Most frames are toward a port that nobody forbids: no prefix is looked up.
    let class = tables.port_class(packet.destination_port);
    let answers = answers_class(packet, role, tables);
    let mut verdict = Verdict {
        class,
        protocol: packet.protocol,
        ip_offset: packet.ip_offset,
        ..pass(Outcome::Unwatched)
    };
    if class == PortClass::UNWATCHED && answers == PortClass::UNWATCHED {
        return verdict;
    }
    // Addresses are looked up here and nowhere below: the kernel's verifier walks
    // through a lookup once for every way on which it is come to.
    let mut destination = &NO_POLICY;
    if class != PortClass::UNWATCHED {
        destination = tables.policy_of(packet.destination);
    }
    let obeys_rule_5 = obeys_rule_5(packet, class, role, destination, tables);
    let mut source = &NO_POLICY;
    if obeys_rule_5 || answers != PortClass::UNWATCHED {
        source = tables.policy_of(packet.source);
    }
    if class != PortClass::UNWATCHED {
        verdict.outcome = Outcome::Allowed;
        if is_mail(packet, class, tables) && destination.has(FLAG_MAIL_SERVER) {
            verdict.outcome = Outcome::MailServer;
        } else {
            if obeys_rule_5 {
                judge_smtp_out(&mut verdict, source, tables);
            }
            if verdict.passes() && destination.forbids(packet.protocol, class) {
                judge_inbound(&mut verdict, packet, destination, tables);
            }
        }
    }
    if answers != PortClass::UNWATCHED && verdict.passes() {
        remember(packet, answers, source, tables);
    }
    verdict
}

/// Whether this is mail.
#[inline(always)]
fn is_mail<T: Tables + ?Sized>(packet: &Packet, class: PortClass, tables: &T) -> bool {
    matches!(packet.protocol, Protocol::Tcp) && class.is_in(tables.mail_ports())
}

/// Whether this is mail of a customer's that is not handed to a mail server. A
/// mail server is reachable for mail wherever it lives: neither rule 5 nor rules
/// 1 to 4 apply.
#[inline(always)]
fn obeys_rule_5<T: Tables + ?Sized>(
    packet: &Packet,
    class: PortClass,
    role: Role,
    destination: &Policy,
    tables: &T,
) -> bool {
    matches!(role, Role::Customer)
        && !tables.direct_smtp()
        && is_mail(packet, class, tables)
        && !destination.has(FLAG_MAIL_SERVER)
}

/// Rule 5.
#[inline(always)]
fn judge_smtp_out<T: Tables + ?Sized>(verdict: &mut Verdict, source: &Policy, tables: &T) {
    if source.has(FLAG_MAIL_SERVER) {
        verdict.outcome = Outcome::MailServer;
    } else if source.has(FLAG_SMTP_OUT) {
        verdict.smtp_exempted = source.pool;
    } else {
        verdict.outcome = drop_or_monitor(source, tables);
        verdict.reason = Some(DropReason::SmtpOut);
        verdict.pool = source.pool;
    }
}

/// Rules 1 to 4, for a port that is forbidden toward the destination.
#[inline(always)]
fn judge_inbound<T: Tables + ?Sized>(
    verdict: &mut Verdict,
    packet: &Packet,
    destination: &Policy,
    tables: &T,
) {
    let outcome = inbound_outcome(verdict.class, packet, destination, tables);
    // What rule 5 would have dropped is counted there, unless these rules drop
    // it for good.
    if matches!(verdict.outcome, Outcome::WouldDrop) && !matches!(outcome, Outcome::Drop) {
        return;
    }
    if matches!(outcome, Outcome::Allowed) {
        return;
    }
    verdict.outcome = outcome;
    verdict.pool = destination.pool;
    if matches!(outcome, Outcome::WouldDrop | Outcome::Drop) {
        verdict.reason = Some(DropReason::InboundPort);
    }
}

#[inline(always)]
fn inbound_outcome<T: Tables + ?Sized>(
    class: PortClass,
    packet: &Packet,
    destination: &Policy,
    tables: &T,
) -> Outcome {
    if destination.exempts(packet.protocol, class) {
        return Outcome::Exempted;
    }
    if class.is_in(tables.high_ports()) {
        match tables.return_traffic() {
            ReturnTraffic::Track if answers_a_flow(packet, tables) => return Outcome::Return,
            ReturnTraffic::Syn if !opens_a_flow(packet) => return Outcome::Allowed,
            _ => {}
        }
    }
    drop_or_monitor(destination, tables)
}

/// For `return_traffic = "syn"`: a SYN without ACK, or a UDP datagram.
#[inline(always)]
fn opens_a_flow(packet: &Packet) -> bool {
    match packet.protocol {
        Protocol::Tcp => packet.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN,
        Protocol::Udp => true,
        Protocol::Sctp | Protocol::Dccp | Protocol::UdpLite => false,
    }
}

/// For `return_traffic = "track"`: the reverse of a flow recently seen leaving.
#[inline(always)]
fn answers_a_flow<T: Tables + ?Sized>(packet: &Packet, tables: &T) -> bool {
    let flow = Flow::new(
        packet.protocol,
        (packet.destination, packet.destination_port),
        (packet.source, packet.source_port),
    );
    tables.flow_seen(&flow).is_some_and(|seen| {
        let age = tables.now_seconds().saturating_sub(seen);
        age < lifetime_seconds(packet.protocol)
    })
}

/// The class of the port that answers to this packet of a customer's will be sent
/// to, if it takes remembering the flow that they are let through.
#[inline(always)]
fn answers_class<T: Tables + ?Sized>(packet: &Packet, role: Role, tables: &T) -> PortClass {
    if matches!(role, Role::Network)
        || packet.source_port < 1024
        || !matches!(tables.return_traffic(), ReturnTraffic::Track)
    {
        return PortClass::UNWATCHED;
    }
    tables.port_class(packet.source_port)
}

/// Remembers a flow that leaves a customer from a port that is forbidden
/// toward that customer, since its reverse would otherwise be dropped.
#[inline(always)]
fn remember<T: Tables + ?Sized>(packet: &Packet, class: PortClass, source: &Policy, tables: &T) {
    if !source.forbids(packet.protocol, class) || source.exempts(packet.protocol, class) {
        return;
    }
    let flow = Flow::new(
        packet.protocol,
        (packet.source, packet.source_port),
        (packet.destination, packet.destination_port),
    );
    let now = tables.now_seconds();
    let fresh = tables
        .flow_seen(&flow)
        .is_some_and(|seen| now.saturating_sub(seen) < REFRESH_SECONDS);
    if !fresh {
        tables.remember_flow(&flow, now);
    }
}
