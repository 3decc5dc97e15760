//! `poolguard explain`: what becomes of one packet, and why.
//!
//! The packet is built as a frame and decided by the same
//! [`decide`](filter_common::decide()) that runs in the kernel, on the same
//! tables; what it looks up on the way becomes the explanation.

mod packet;

use std::{borrow::Cow, cell::RefCell, fmt::Write as _};

use filter_common::{
    Address, Ingress, Outcome, Policy, PortClass, Protocol, ReturnTraffic, Rule, Settings, Tables,
    Verdict, decide,
    flow::Flow,
    policy::{FLAG_MAIL_SERVER, FLAG_MONITOR, FLAG_SMTP_OUT},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use packet::{BadPacket, Packet, Transport};

use crate::{
    compile::{CompileError, Compiled, compile},
    config::{Pool, PoolKind, shown},
    directory::Directory,
    host::HostTables,
    intent::Intent,
};

/// What is to be explained, in the words of the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The interface that the packet arrives at.
    pub interface: String,
    /// The protocol.
    pub protocol: String,
    /// The source, with its port if the protocol has any.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// The TCP flags.
    pub flags: String,
    /// As if the customer had just sent a packet of this flow.
    pub known_flow: bool,
}

/// Why there is nothing to explain.
#[derive(Debug, Error)]
pub enum Unexplained {
    /// The question makes no sense.
    #[error(transparent)]
    Packet(#[from] BadPacket),
    /// The tables cannot be built.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl Question {
    /// The packet that is asked about.
    ///
    /// # Errors
    ///
    /// When it cannot exist.
    pub fn packet(&self) -> Result<Packet, BadPacket> {
        Packet::parse(&self.protocol, &self.source, &self.destination, &self.flags)
    }

    /// What becomes of it as things hold at `now`.
    ///
    /// # Errors
    ///
    /// When it makes no sense, or the tables cannot be built.
    pub fn answer(&self, intent: &Intent, now: Timestamp) -> Result<Explanation, Unexplained> {
        let packet = self.packet()?;
        let compiled = compile(intent, now)?;
        let explanation = explain(
            intent,
            &compiled,
            &self.interface,
            &packet,
            self.known_flow,
            now,
        )?;
        Ok(explanation)
    }
}

/// A packet's verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The packet, the interface and its role.
    pub packet: String,
    /// `pass` or `drop`.
    pub verdict: Cow<'static, str>,
    /// What decided: `exempted`, `would_drop`, ...
    pub outcome: Cow<'static, str>,
    /// The rule that denied the packet, as the metrics name it.
    pub rule: Option<Cow<'static, str>>,
    /// The last detail of the reason, as the metrics name it.
    pub reason: Option<Cow<'static, str>>,
    /// The interface that it goes out of if it passes, where a wire says so.
    pub out: Option<String>,
    /// What was looked at on the way, in order.
    pub steps: Vec<Step>,
    /// The verdict in a sentence.
    pub summary: String,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub subject: String,
    /// What was found.
    pub finding: String,
}

/// What the decision looks up, seen from outside.
enum Lookup {
    Port(u16, PortClass),
    Address(Address),
    Flow { known: bool },
    Remember,
}

/// Tables that note what is asked of them.
struct Traced<'a> {
    tables: HostTables<'a>,
    flow_is_known: bool,
    lookups: RefCell<Vec<Lookup>>,
}

impl Traced<'_> {
    fn note(&self, lookup: Lookup) {
        self.lookups.borrow_mut().push(lookup);
    }
}

impl Tables for Traced<'_> {
    fn setting<T: Copy>(&self, which: impl FnOnce(&Settings) -> &T) -> T {
        self.tables.setting(which)
    }

    fn port_class(&self, port: u16) -> PortClass {
        let class = self.tables.port_class(port);
        self.note(Lookup::Port(port, class));
        class
    }

    fn port_slot(&self, port: u16) -> u32 {
        self.tables.port_slot(port)
    }

    fn policy_of(&self, address: Address) -> &Policy {
        self.note(Lookup::Address(address));
        self.tables.policy_of(address)
    }

    fn now_seconds(&self) -> u64 {
        self.tables.now_seconds()
    }

    fn flow_seen(&self, _flow: &Flow) -> Option<u64> {
        self.note(Lookup::Flow {
            known: self.flow_is_known,
        });
        self.flow_is_known.then_some(0)
    }

    fn remember_flow(&self, _flow: &Flow, _now_seconds: u64) {
        self.note(Lookup::Remember);
    }
}

/// Explains what becomes of `packet` when it arrives at `interface`.
///
/// `flow_is_known`: as if the customer had just sent a packet of this flow.
///
/// # Errors
///
/// When the packet cannot exist, or the interface is not in the configuration.
pub fn explain(
    intent: &Intent,
    compiled: &Compiled,
    interface: &str,
    packet: &Packet,
    flow_is_known: bool,
    now: Timestamp,
) -> Result<Explanation, BadPacket> {
    let config = &intent.config;
    let Some(interface) = config.interfaces.iter().find(|i| i.name == interface) else {
        return Err(BadPacket::UnknownInterface {
            name: interface.to_owned(),
            known: config.interfaces.iter().map(|i| i.name.clone()).collect(),
        });
    };
    let frame = packet.frame()?;
    let traced = Traced {
        tables: HostTables::new(compiled),
        flow_is_known,
        lookups: RefCell::default(),
    };
    let verdict = decide(frame.as_slice(), interface.ingress(), &traced);
    let out = config.other_end(&interface.name);
    let out = out.filter(|_| verdict.passes()).map(str::to_owned);
    let narrator = Narrator {
        directory: Directory::of(intent),
        compiled,
        ingress: interface.ingress(),
        packet,
        now,
    };
    Ok(Explanation {
        packet: format!(
            "{packet}, arriving at {} ({})",
            interface.name,
            interface.role.name()
        ),
        verdict: if verdict.passes() { "pass" } else { "drop" }.into(),
        outcome: verdict.outcome.name().into(),
        rule: verdict.reason.map(|reason| reason.rule().name().into()),
        reason: verdict.reason.map(|reason| reason.name().into()),
        steps: narrator.steps(&traced.lookups.into_inner()),
        summary: narrator.summary(&verdict, out.as_deref()),
        out,
    })
}

impl Explanation {
    /// For people.
    pub fn render(&self) -> String {
        let mut text = format!("packet   {}\n", self.packet);
        for step in &self.steps {
            let _infallible = writeln!(text, "{:<8} {}", step.subject, step.finding);
        }
        let _infallible = writeln!(text, "verdict  {}", self.summary);
        text
    }
}

/// Puts lookups into words, with the names that the tables do not hold.
struct Narrator<'a> {
    directory: Directory<'a>,
    compiled: &'a Compiled,
    ingress: Ingress,
    packet: &'a Packet,
    now: Timestamp,
}

impl Narrator<'_> {
    fn steps(&self, lookups: &[Lookup]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (number, lookup) in lookups.iter().enumerate() {
            let step = match lookup {
                // Only whether to write it again.
                Lookup::Flow { .. }
                    if matches!(lookups.get(number + 1), Some(Lookup::Remember)) =>
                {
                    continue;
                }
                Lookup::Port(port, class)
                    if *port != self.packet.destination_port && !self.concerns_source(*class) =>
                {
                    continue;
                }
                Lookup::Port(port, class) => self.port(*port, *class),
                Lookup::Address(address) => self.address(*address),
                Lookup::Flow { known } => self.flow(*known),
                Lookup::Remember => Step {
                    subject: "flow".to_owned(),
                    finding: "is remembered: its answers will pass".to_owned(),
                },
            };
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }

    /// Whether it matters which class the source port is of: for rule 6, and to remember
    /// the flow.
    fn concerns_source(&self, class: PortClass) -> bool {
        let settings = &self.compiled.settings;
        let may_be_answered = self.ingress.role.faces_customers()
            && self.packet.source_port >= 1024
            && settings.return_traffic == ReturnTraffic::Track;
        class != PortClass::UNWATCHED && (may_be_answered || self.is_reply(class))
    }

    /// Whether rule 6 is about a packet from a port of this class.
    fn is_reply(&self, class: PortClass) -> bool {
        let settings = &self.compiled.settings;
        self.packet.transport.protocol() == Some(Protocol::Tcp)
            && class.is_in(settings.mail_ports)
            && !settings.smtp_replies
    }

    fn class(&self, port: u16) -> PortClass {
        self.compiled.ports.class(port)
    }

    /// By which range of a pool's list a port is forbidden, if it is not listed itself: the
    /// narrowest one.
    fn forbidden_by(&self, pool: &Pool, port: u16, protocol: Protocol) -> String {
        let list = self.directory.intent().config.forbidden_toward(pool).iter();
        let around = list.filter(|spec| spec.covers(port, protocol));
        match around.min_by_key(|spec| (spec.ports.width(), spec.ports.first())) {
            Some(spec) if spec.ports.width() > 1 => format!(" by {spec}"),
            _ => String::new(),
        }
    }

    fn port(&self, port: u16, class: PortClass) -> Step {
        let is_source = port == self.packet.source_port && port != self.packet.destination_port;
        let finding = if class == PortClass::UNWATCHED {
            "nobody forbids this port, and no mail is sent to it".to_owned()
        } else if is_source && self.is_reply(class) {
            "mail is sent to this port, and answered from it".to_owned()
        } else if class.is_in(self.compiled.settings.mail_ports) {
            "is a watched port, and mail is sent to it".to_owned()
        } else {
            match self
                .compiled
                .ports
                .label(port)
                .filter(|label| label.width() > 1)
            {
                Some(range) => format!("is a watched port, of {range}"),
                None => "is a watched port".to_owned(),
            }
        };
        Step {
            subject: if is_source { "from" } else { "port" }.to_owned(),
            finding: format!("{port}: {finding}"),
        }
    }

    fn flow(&self, known: bool) -> Step {
        Step {
            subject: "flow".to_owned(),
            finding: if known {
                "was opened by the customer (as --known-flow says)"
            } else {
                "was not seen leaving the customer (--known-flow asks what if it was)"
            }
            .to_owned(),
        }
    }

    fn address(&self, wanted: Address) -> Step {
        let is_source = wanted == Address::from(self.packet.source);
        let address = if is_source {
            self.packet.source
        } else {
            self.packet.destination
        };
        let owner = self.directory.owner(address);
        let mut finding = match owner.pool {
            None => format!("{address} is in no pool"),
            Some((pool, prefix)) => {
                format!(
                    "{address} is in pool {} ({}, {prefix})",
                    pool.name,
                    pool.kind.name()
                )
            }
        };
        if let Some((customer, prefix)) = owner.customer {
            let _infallible = write!(
                finding,
                ", of customer {} ({prefix}, {}:{}{}){}",
                customer.name,
                shown(customer.file),
                customer.line,
                customer
                    .ticket
                    .iter()
                    .fold(String::new(), |_, t| format!(", {t}")),
                if customer.terms.is_expired(self.now) {
                    ", whose exemptions have expired"
                } else {
                    ""
                }
            );
        }
        let temporary = owner.temporary.iter();
        for exemption in temporary.filter(|exemption| !exemption.is_expired(self.now)) {
            let _infallible = write!(finding, "; {exemption}");
        }
        let policy = HostTables::new(self.compiled).policy_of(wanted).to_owned();
        let mut facts = Vec::new();
        if policy.has(FLAG_MAIL_SERVER) {
            facts.push("one of the mail servers".to_owned());
        }
        let from = self.class(self.packet.source_port);
        match is_source {
            _ if !policy.has(FLAG_SMTP_OUT) => {}
            true => facts.push("exempted from rule 5".to_owned()),
            false if self.is_reply(from) => facts.push("exempted from rule 6".to_owned()),
            false => {}
        }
        if policy.has(FLAG_MONITOR) {
            facts.push("monitored only".to_owned());
        }
        if let (false, Some(protocol)) = (is_source, self.packet.transport.protocol()) {
            let port = self.packet.destination_port;
            let class = self.class(port);
            let named = format!("{port}/{}", protocol.name());
            let by = || match owner.pool {
                Some((pool, _)) => self.forbidden_by(pool, port, protocol),
                None => String::new(),
            };
            if policy.exempts(protocol, class) {
                facts.push(format!("{named} is forbidden there{}, and exempted", by()));
            } else if policy.forbids(protocol, class) {
                facts.push(format!("{named} is forbidden there{}", by()));
            }
        }
        for fact in facts {
            let _infallible = write!(finding, "; {fact}");
        }
        Step {
            subject: if is_source { "source" } else { "to" }.to_owned(),
            finding,
        }
    }

    fn summary(&self, verdict: &Verdict, out: Option<&str>) -> String {
        let rule = || self.rule_words(verdict);
        let mut text = match verdict.outcome {
            Outcome::NotIp => "PASS: not IP".to_owned(),
            Outcome::Fragment => "PASS: a fragment without ports".to_owned(),
            Outcome::NoPorts => "PASS: a protocol without ports".to_owned(),
            Outcome::Unwatched => "PASS: no rule concerns this port".to_owned(),
            Outcome::Allowed
                if self.class(self.packet.destination_port) == PortClass::UNWATCHED =>
            {
                let owner = self.directory.owner(self.packet.destination);
                match owner.pool {
                    Some(_) => "PASS: an answer to mail that its receiver may send".to_owned(),
                    None => "PASS: an answer to mail, toward no customer".to_owned(),
                }
            }
            Outcome::Allowed => match self.compiled.settings.return_traffic {
                ReturnTraffic::Syn if self.packet.destination_port >= 1024 => {
                    "PASS: not forbidden there, or no attempt to open a connection \
                     (return_traffic = \"syn\")"
                        .to_owned()
                }
                _ => "PASS: this port is not forbidden toward this destination".to_owned(),
            },
            Outcome::MailServer => "PASS: mail to or from one of the mail servers".to_owned(),
            Outcome::Exempted => "PASS: an exemption opens this port".to_owned(),
            Outcome::Return => "PASS: the answer to a flow that the customer opened".to_owned(),
            Outcome::WouldDrop => format!("PASS in monitor mode, DROP otherwise: {}", rule()),
            Outcome::Drop => format!("DROP: {}", rule()),
        };
        if verdict.smtp_exempted != filter_common::counters::NO_POOL {
            text.push_str("; an exemption from rule 5 let the mail out");
        }
        if let Some(interface) = out {
            let _infallible = write!(text, "; it goes out of {interface}, by wire");
        }
        text
    }

    fn rule_words(&self, verdict: &Verdict) -> String {
        let Some(reason) = verdict.reason else {
            return String::new();
        };
        let words = match reason.rule() {
            Rule::SmtpOut => {
                "rule 5, mail from a customer leaves through the provider's mail servers"
            }
            Rule::SmtpReply => "rule 6, an answer to mail that its receiver may not have sent",
            Rule::Source => "rule 7, a source address that is in no pool",
            Rule::InboundPort => {
                let owner = self.directory.owner(self.packet.destination);
                let class = self.class(self.packet.destination_port);
                let is_mail = class.is_in(self.compiled.settings.mail_ports);
                match owner.pool.map(|(pool, _)| pool.kind) {
                    Some(PoolKind::Dynamic) => "rule 1, a forbidden port of a dynamic pool",
                    Some(PoolKind::VirtualPop) => "rule 2, a forbidden port of a virtual POP",
                    _ if is_mail => "rule 3, mail to a static customer without an exemption",
                    _ => "rule 4, a forbidden port of a static customer without an exemption",
                }
            }
            rule => return format!("{} ({})", rule.name(), reason.name()),
        };
        words.to_owned()
    }
}
