//! The five rules.

use filter_common::{ReturnTraffic, Role};
use policy::config::Pool;

use super::{
    directory::{Directory, lists},
    flows::{Flow, Flows},
    reading::{Cause, Content, Datagram, Reading, Segment, Transport},
};

/// What the rules say of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opinion<'a> {
    pub(super) fate: Fate,
    /// The name of the pool that this concerns.
    pub(super) pool: Option<&'a str>,
    /// The name of the sender's pool, where an exemption let it past rule 5.
    pub(super) past_rule_5: Option<&'a str>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    NotIp,
    LaterFragment,
    Portless,
    /// Nobody named that port.
    Unwatched,
    /// Somebody did, but it is fine here.
    Allowed,
    /// Mail to or from a mail server.
    MailServer,
    Exempted,
    Answer,
    WouldDrop(Cause),
    Drop(Cause),
}

impl Fate {
    pub(super) fn passes(self) -> bool {
        !matches!(self, Self::Drop(_))
    }
}

/// Judges a frame, and remembers it where it opens the way for an answer.
pub(super) fn judge<'a>(
    reading: &Reading,
    role: Role,
    directory: &Directory<'a>,
    flows: &mut Flows,
    now: u64,
) -> Opinion<'a> {
    let nobody = |fate| Opinion {
        fate,
        pool: None,
        past_rule_5: None,
    };
    let datagram = match reading {
        Reading::NotIp => return nobody(Fate::NotIp),
        Reading::Unreadable(cause, _) => {
            return nobody(denied(*cause, directory.config.monitor));
        }
        Reading::Datagram(datagram) => datagram,
    };
    let case = Case {
        datagram,
        from_customers: role == Role::Customer,
        directory,
        sender: directory.pool(datagram.source),
        receiver: directory.pool(datagram.destination),
    };
    match datagram.content {
        Content::Hidden(cause) => case.hidden(cause),
        Content::LaterFragment => nobody(Fate::LaterFragment),
        Content::Portless => nobody(Fate::Portless),
        Content::Segment(segment) => {
            let opinion = case.segment(segment, flows, now);
            if opinion.fate.passes() && case.may_be_answered(segment) {
                flows.remember(case.flow(segment), now);
            }
            opinion
        }
    }
}

/// A drop, unless it is only to be counted.
fn denied(cause: Cause, monitor: bool) -> Fate {
    if monitor {
        Fate::WouldDrop(cause)
    } else {
        Fate::Drop(cause)
    }
}

/// A datagram with the pools at both ends.
struct Case<'a, 'c> {
    datagram: &'c Datagram,
    from_customers: bool,
    directory: &'c Directory<'a>,
    sender: Option<&'a Pool>,
    receiver: Option<&'a Pool>,
}

impl<'a> Case<'a, '_> {
    fn is_monitored(&self, pool: Option<&Pool>) -> bool {
        self.directory.config.monitor || pool.is_some_and(|pool| pool.monitor)
    }

    /// Counted, and monitored, for the pool that it is headed to, else for the
    /// one that it comes from.
    fn hidden(&self, cause: Cause) -> Opinion<'a> {
        let sender = self.sender.filter(|_| self.from_customers);
        let pool = self.receiver.or(sender);
        Opinion {
            fate: denied(cause, self.is_monitored(pool)),
            pool: name(pool),
            past_rule_5: None,
        }
    }

    /// Rule 5, and if that lets it past, rules 1 to 4.
    fn segment(&self, segment: Segment, flows: &Flows, now: u64) -> Opinion<'a> {
        let mut past_rule_5 = None;
        let mut watched_only = None;
        if self.is_mail_of_customers(segment) && !self.concerns_mail_server() {
            let exemptions = self.directory.exemptions(self.datagram.source);
            if exemptions.is_some_and(|customer| customer.terms.allow_smtp_out) {
                past_rule_5 = name(self.sender);
            } else {
                let opinion = Opinion {
                    fate: denied(Cause::SmtpOut, self.is_monitored(self.sender)),
                    pool: name(self.sender),
                    past_rule_5: None,
                };
                match opinion.fate {
                    Fate::Drop(_) => return opinion,
                    _ => watched_only = Some(opinion),
                }
            }
        }
        let inbound = Opinion {
            fate: self.inbound(segment, flows, now),
            pool: name(self.receiver),
            past_rule_5,
        };
        match watched_only {
            // Rule 5 came first. Only what really drops the frame outdoes it.
            Some(monitored) if inbound.fate.passes() => monitored,
            _ => inbound,
        }
    }

    /// Rules 1 to 4.
    fn inbound(&self, segment: Segment, flows: &Flows, now: u64) -> Fate {
        let Segment {
            transport,
            destination_port: port,
            ..
        } = segment;
        let otherwise = self.otherwise(segment);
        let Some(pool) = self.receiver else {
            return otherwise;
        };
        if !self.directory.forbids(pool, transport, port) || self.is_mail_to_server(segment) {
            return otherwise;
        }
        let exemptions = self.directory.exemptions(self.datagram.destination);
        if exemptions.is_some_and(|customer| lists(&customer.terms.allow_inbound, transport, port))
        {
            return Fate::Exempted;
        }
        if port >= 1024 {
            match self.directory.config.ports.return_traffic {
                ReturnTraffic::Track if flows.is_answer(self.flow(segment), now) => {
                    return Fate::Answer;
                }
                ReturnTraffic::Syn if !segment.opens_connection && transport != Transport::Udp => {
                    return otherwise;
                }
                ReturnTraffic::Track | ReturnTraffic::Syn | ReturnTraffic::Drop => {}
            }
        }
        denied(Cause::InboundPort, self.is_monitored(self.receiver))
    }

    /// What a frame is that no rule forbids.
    fn otherwise(&self, segment: Segment) -> Fate {
        if !self.directory.is_watched(segment.destination_port) {
            return Fate::Unwatched;
        }
        let was_let_past = self.is_mail_of_customers(segment) && self.concerns_mail_server();
        if was_let_past || self.is_mail_to_server(segment) {
            return Fate::MailServer;
        }
        Fate::Allowed
    }

    /// Whether it is TCP to a mail port.
    fn is_mail(&self, segment: Segment) -> bool {
        let ports = &self.directory.config.mail.ports;
        segment.transport == Transport::Tcp && ports.contains(&segment.destination_port)
    }

    /// Whether rule 5 is about it.
    fn is_mail_of_customers(&self, segment: Segment) -> bool {
        self.from_customers && self.is_mail(segment) && !self.directory.config.mail.direct_smtp
    }

    fn is_mail_to_server(&self, segment: Segment) -> bool {
        self.is_mail(segment) && self.directory.is_mail_server(self.datagram.destination)
    }

    /// Whether a mail server is at either end.
    fn concerns_mail_server(&self) -> bool {
        let ends = [self.datagram.source, self.datagram.destination];
        ends.into_iter()
            .any(|address| self.directory.is_mail_server(address))
    }

    /// Whether it leaves a customer from a port that is forbidden toward the
    /// customer, so that its answer would be dropped.
    fn may_be_answered(&self, segment: Segment) -> bool {
        let (transport, port) = (segment.transport, segment.source_port);
        let remembers = self.directory.config.ports.return_traffic == ReturnTraffic::Track;
        let sender = self.sender.filter(|_| self.from_customers && remembers);
        let is_forbidden = sender.is_some_and(|pool| self.directory.forbids(pool, transport, port));
        let exemptions = self.directory.exemptions(self.datagram.source);
        let is_exempted =
            exemptions.is_some_and(|c| lists(&c.terms.allow_inbound, transport, port));
        port >= 1024 && is_forbidden && !is_exempted
    }

    fn flow(&self, segment: Segment) -> Flow {
        Flow {
            transport: segment.transport,
            from: (self.datagram.source, segment.source_port),
            to: (self.datagram.destination, segment.destination_port),
        }
    }
}

fn name(pool: Option<&Pool>) -> Option<&str> {
    pool.map(|pool| pool.name.as_str())
}
