//! What is attempted in the laboratory, and what the rules say about it.

use std::{collections::BTreeMap, fmt::Write as _};

use super::network::{
    Host::{self, *},
    address::*,
};

/// The forbidden ports of `config/poolguard.toml`.
const FORBIDDEN: [u16; 10] = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080];
/// Neighbours of some of them, which nobody forbids.
const NEIGHBOURS: [u16; 5] = [24, 26, 81, 444, 8081];
/// What a customer's machine listens on.
pub(crate) const LISTENING: [u16; 8] = [25, 26, 80, 81, 443, 1080, 8080, 8081];

/// The size of the download.
pub(crate) const DOWNLOAD: usize = 64 << 20;

/// Something that somebody tries.
pub(crate) struct Attempt {
    /// Who tries what.
    pub(crate) what: String,
    /// The rule that it is about.
    pub(crate) rule: &'static str,
    /// What has to come of it without poolguard.
    pub(crate) without: String,
    /// And with it.
    pub(crate) with: String,
    /// How it is made.
    pub(crate) action: Action,
}

/// What is done.
pub(crate) enum Action {
    /// A port scan from the Internet.
    Scan { target: &'static str },
    /// An HTTP request, with options of curl's.
    Fetch {
        from: Host,
        url: String,
        options: &'static [&'static str],
    },
    /// A download by the dynamic customer, compared byte by byte.
    Download { url: String },
    /// A mail from one host to the server of another.
    Mail {
        from: Host,
        to: Host,
        server: &'static str,
    },
    /// A connection that a spammer elsewhere opens in a customer's name, to a mail server.
    Triangle {
        customer: Host,
        address: &'static str,
        mail: Host,
        server: &'static str,
    },
    /// A packet of the dynamic customer's to the Internet with another's address as its
    /// source.
    Forge {
        source: &'static str,
        target: &'static str,
    },
    /// Echo requests from the Internet.
    Ping { target: &'static str },
}

/// The mail is in the mailbox.
pub(crate) const DELIVERED: &str = "delivered";
/// The other end did what it was asked for.
pub(crate) const ANSWERED: &str = "answered";
/// Nothing came back.
pub(crate) const NO_ANSWER: &str = "no answer";
/// A packet came to where it was headed.
pub(crate) const ARRIVES: &str = "arrives";
/// It did not, and the next one did.
pub(crate) const DOES_NOT_ARRIVE: &str = "does not arrive";

impl Attempt {
    fn new(what: impl Into<String>, action: Action) -> Self {
        Self {
            what: what.into(),
            rule: "",
            without: String::new(),
            with: String::new(),
            action,
        }
    }

    fn becomes(mut self, rule: &'static str, without: &str, with: &str) -> Self {
        self.rule = rule;
        self.without = without.to_owned();
        self.with = with.to_owned();
        self
    }

    fn passes(self, rule: &'static str, outcome: &str) -> Self {
        self.becomes(rule, outcome, outcome)
    }

    fn blocked(self, rule: &'static str, outcome: &str) -> Self {
        self.becomes(rule, outcome, NO_ANSWER)
    }

    fn stopped(self, rule: &'static str) -> Self {
        self.becomes(rule, ARRIVES, DOES_NOT_ARRIVE)
    }
}

/// All of them, in the order in which they are made.
pub(crate) fn all() -> Vec<Attempt> {
    let scan = |what: &str, target, exempt: &[u16], rule| Attempt {
        what: format!("{what}: nmap from the Internet"),
        rule,
        without: expected_scan(|_| false),
        with: expected_scan(|port| FORBIDDEN.contains(&port) && !exempt.contains(&port)),
        action: Action::Scan { target },
    };
    let fetch = |what: &str, from, url: String| {
        Attempt::new(
            what,
            Action::Fetch {
                from,
                url,
                options: &[],
            },
        )
    };
    let mail = |what: &str, from, to, server| Attempt::new(what, Action::Mail { from, to, server });
    let triangle = |whose: &str, customer, address, mail, server| {
        Attempt::new(
            format!("Spam from elsewhere in {whose}: what the server answers"),
            Action::Triangle {
                customer,
                address,
                mail,
                server,
            },
        )
    };
    let forge = |what: &str, source, target| Attempt::new(what, Action::Forge { source, target });
    let web = |address: &str, port: u16| match address.contains(':') {
        true => format!("http://[{address}]:{port}/"),
        false => format!("http://{address}:{port}/"),
    };
    let intact = format!("{} MiB, intact", DOWNLOAD >> 20);
    vec![
        scan("Scan of a dynamic customer", MODEM, &[], "rule 1"),
        scan("Scan of a dynamic customer, IPv6", MODEM_V6, &[], "rule 1"),
        scan(
            "Scan of acme, exempted for 25 and 443",
            ACME,
            &[25, 443],
            "rules 3, 4",
        ),
        scan(
            "Scan of bakery, without exemptions",
            BAKERY,
            &[],
            "rules 3, 4",
        ),
        fetch(
            "Internet to a dynamic customer's open proxy, port 8080",
            Internet,
            web(MODEM, 8080),
        )
        .blocked("rule 1", ANSWERED),
        fetch(
            "The provider's mail server to a dynamic customer's port 80",
            Mail,
            web(MODEM, 80),
        )
        .blocked("rule 1", ANSWERED),
        fetch(
            "Dynamic customer to bakery's web server",
            Modem,
            web(BAKERY, 80),
        )
        .blocked("rule 4", ANSWERED),
        fetch(
            "Dynamic customer to acme's web shop, port 443",
            Modem,
            web(ACME, 443),
        )
        .passes("rule 4, exempted", ANSWERED),
        Attempt::new(
            "Dynamic customer, connecting from port 8080 to the Internet",
            Action::Fetch {
                from: Modem,
                url: web(INTERNET, 443),
                options: &["--interface", MODEM_CLIENT, "--local-port", "8080"],
            },
        )
        .passes("return traffic", ANSWERED),
        Attempt::new(
            "Web download by a dynamic customer",
            Action::Download {
                url: web(INTERNET, 80),
            },
        )
        .passes("no rule", &intact),
        Attempt::new(
            "Web download, IPv6",
            Action::Download {
                url: web(INTERNET_V6, 80),
            },
        )
        .passes("no rule", &intact),
        mail(
            "Mail: dynamic customer to the Internet",
            Modem,
            Internet,
            INTERNET_MAIL,
        )
        .blocked("rule 5", DELIVERED),
        mail(
            "Mail: dynamic customer to the Internet, IPv6",
            Modem,
            Internet,
            INTERNET_MAIL_V6,
        )
        .blocked("rule 5", DELIVERED),
        mail(
            "Mail: dynamic customer to the provider's server",
            Modem,
            Mail,
            MAIL,
        )
        .passes("rule 5, mail server", DELIVERED),
        mail("Mail: acme to the Internet", Acme, Internet, INTERNET_MAIL)
            .passes("rule 5, exempted", DELIVERED),
        mail(
            "Mail: bakery to the Internet",
            Bakery,
            Internet,
            INTERNET_MAIL,
        )
        .blocked("rule 5", DELIVERED),
        mail("Mail: Internet to acme's server", Internet, Acme, ACME)
            .passes("rule 3, exempted", DELIVERED),
        mail(
            "Mail: Internet to bakery's server",
            Internet,
            Bakery,
            BAKERY,
        )
        .blocked("rule 3", DELIVERED),
        triangle(
            "a dynamic customer's name",
            Modem,
            MODEM,
            Internet,
            INTERNET_MAIL,
        )
        .stopped("rule 6"),
        triangle(
            "a dynamic customer's name, IPv6",
            Modem,
            MODEM_V6,
            Internet,
            INTERNET_MAIL_V6,
        )
        .stopped("rule 6"),
        triangle("bakery's name", Bakery, BAKERY, Internet, INTERNET_MAIL).stopped("rule 6"),
        triangle("acme's name", Acme, ACME, Internet, INTERNET_MAIL)
            .passes("rule 6, exempted", ARRIVES),
        triangle(
            "a dynamic customer's name, to the provider's server",
            Modem,
            MODEM,
            Mail,
            MAIL,
        )
        .passes("rule 6, mail server", ARRIVES),
        forge(
            "Dynamic customer to the Internet, from an outsider's address",
            OUTSIDER,
            INTERNET,
        )
        .stopped("rule 7"),
        forge(
            "Dynamic customer to the Internet, from an outsider's address, IPv6",
            OUTSIDER_V6,
            INTERNET_V6,
        )
        .stopped("rule 7"),
        forge(
            "Dynamic customer to the Internet, from bakery's address",
            BAKERY,
            INTERNET,
        )
        .passes("rule 7, in a pool", ARRIVES),
        Attempt::new("Ping of a dynamic customer", Action::Ping { target: MODEM })
            .passes("no rule", ANSWERED),
        Attempt::new("Ping, IPv6", Action::Ping { target: MODEM_V6 }).passes("no rule", ANSWERED),
    ]
}

/// The ports that a scan looks at.
pub(crate) fn scanned() -> Vec<u16> {
    let mut ports = [&FORBIDDEN[..], &NEIGHBOURS].concat();
    ports.sort_unstable();
    ports
}

/// What a scan has to find where `filtered` tells the ports that are dropped.
fn expected_scan(filtered: impl Fn(u16) -> bool) -> String {
    let state = |port| match filtered(port) {
        true => "filtered",
        false if LISTENING.contains(&port) => "open",
        false => "closed",
    };
    describe_scan(
        &scanned()
            .into_iter()
            .map(|port| (port, state(port)))
            .collect(),
    )
}

/// `open 25 80, closed 24`, a line for each state.
pub(crate) fn describe_scan(states: &BTreeMap<u16, &str>) -> String {
    let mut by_state = BTreeMap::<_, String>::new();
    for (port, state) in states {
        // Writing to a string cannot fail.
        let _ok = write!(by_state.entry(*state).or_default(), " {port}");
    }
    let lines: Vec<_> = by_state
        .iter()
        .rev()
        .map(|(state, ports)| format!("{state}{ports}"))
        .collect();
    lines.join("\n")
}
