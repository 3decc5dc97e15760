//! The seven rules.

use std::net::IpAddr;

use filter_common::{ReturnTraffic, Role, Sources};
use policy::config::{Interface, Pool};

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
    interface: &Interface,
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
        from_customers: match interface.role {
            Role::Customer => true,
            Role::Network => false,
            // Who is no customer may be anybody.
            Role::Mixed => directory.pool(datagram.source).is_some(),
        },
        sources: interface.sources,
        directory,
        sender: directory.pool(datagram.source),
        receiver: directory.pool(datagram.destination),
    };
    match datagram.content {
        Content::Hidden(cause) => case.hidden(cause),
        Content::LaterFragment => case.forged().unwrap_or(nobody(Fate::LaterFragment)),
        Content::Portless => case.forged().unwrap_or(nobody(Fate::Portless)),
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
    sources: Sources,
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

    /// All rules, in their order: the first one that drops the frame has it, else the
    /// first one that would.
    fn segment(&self, segment: Segment, flows: &Flows, now: u64) -> Opinion<'a> {
        let mut past_rule_5 = None;
        let mut opinions = Vec::new();
        if self.is_mail_of_customers(segment) && !self.concerns_mail_server() {
            let exemptions = self.directory.exemptions(self.datagram.source);
            if exemptions.is_some_and(|customer| customer.terms.allow_smtp_out) {
                past_rule_5 = name(self.sender);
            } else {
                opinions.push(self.denied_for(self.sender, Cause::SmtpOut));
            }
        }
        opinions.push(Opinion {
            fate: self.inbound(segment, flows, now),
            pool: name(self.receiver),
            past_rule_5: None,
        });
        if self.is_reply(segment) && !self.may_be_replied_to() {
            opinions.push(self.denied_for(self.receiver, Cause::SmtpReply));
        }
        opinions.extend(self.forged());
        let rank = |opinion: &&Opinion<'_>| match opinion.fate {
            Fate::Drop(_) => 0,
            Fate::WouldDrop(_) => 1,
            _ => 2,
        };
        let opinion = opinions.iter().min_by_key(rank).unwrap().clone();
        Opinion {
            past_rule_5,
            ..opinion
        }
    }

    /// A rule's, which protects a pool.
    fn denied_for(&self, pool: Option<&'a Pool>, cause: Cause) -> Opinion<'a> {
        Opinion {
            fate: denied(cause, self.is_monitored(pool)),
            pool: name(pool),
            past_rule_5: None,
        }
    }

    /// Rule 7's, where it has one.
    fn forged(&self) -> Option<Opinion<'a>> {
        let is_nobodys = match self.datagram.source {
            IpAddr::V4(source) => source.is_unspecified() || source.is_link_local(),
            IpAddr::V6(source) => source.is_unspecified() || source.is_unicast_link_local(),
        };
        let opinion = self.denied_for(None, Cause::Source);
        let opinion = match self.sources {
            Sources::Any => return None,
            Sources::Monitor => Opinion {
                fate: Fate::WouldDrop(Cause::Source),
                ..opinion
            },
            Sources::Pools => opinion,
        };
        (self.sender.is_none() && !is_nobodys).then_some(opinion)
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
            return match self.is_reply(segment) {
                true if self.directory.is_mail_server(self.datagram.source) => Fate::MailServer,
                true => Fate::Allowed,
                false => Fate::Unwatched,
            };
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

    /// Whether rule 6 is about it.
    fn is_reply(&self, segment: Segment) -> bool {
        let mail = &self.directory.config.mail;
        let is_off = mail.direct_smtp || mail.smtp_replies;
        let is_from_mail_port = mail.ports.contains(&segment.source_port);
        segment.transport == Transport::Tcp && is_from_mail_port && !is_off
    }

    /// Whether the receiver may have sent the mail, or is no customer, or the sender is
    /// where customers' mail goes.
    fn may_be_replied_to(&self) -> bool {
        let exemptions = self.directory.exemptions(self.datagram.destination);
        let may_send = exemptions.is_some_and(|customer| customer.terms.allow_smtp_out);
        self.receiver.is_none() || may_send || self.concerns_mail_server()
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
