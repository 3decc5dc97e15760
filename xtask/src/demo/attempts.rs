//! What is attempted in the laboratory, and what the rules say about it.

use std::{
    cell::Cell, collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    lab::{
        Host::{self, *},
        Lab,
        address::*,
    },
    mail::MailServer,
    process::{self, Ended},
    services,
};

/// The forbidden ports of `config/poolguard.toml`.
const FORBIDDEN: [u16; 10] = [25, 80, 109, 110, 139, 194, 443, 1080, 8000, 8080];
/// Neighbours of some of them, which nobody forbids.
const NEIGHBOURS: [u16; 5] = [24, 26, 81, 444, 8081];
/// What a customer's machine listens on.
const LISTENING: [u16; 8] = [25, 26, 80, 81, 443, 1080, 8080, 8081];

/// How long a client tries to connect.
const CONNECT: &str = "2";
/// How long any program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The size of the download.
const DOWNLOAD: usize = 64 << 20;

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
    action: Action,
}

enum Action {
    Scan {
        target: &'static str,
    },
    Fetch {
        from: Host,
        url: String,
        options: &'static [&'static str],
    },
    Download {
        url: String,
    },
    Mail {
        from: Host,
        to: Host,
        server: &'static str,
    },
    Ping {
        from: Host,
        target: &'static str,
    },
}

const DELIVERED: &str = "delivered";
const ANSWERED: &str = "answered";
const NO_ANSWER: &str = "no answer";

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

    fn passes(mut self, rule: &'static str, outcome: &str) -> Self {
        self.rule = rule;
        self.without = outcome.to_owned();
        self.with = outcome.to_owned();
        self
    }

    fn blocked(mut self, rule: &'static str, outcome: &str) -> Self {
        self.rule = rule;
        self.without = outcome.to_owned();
        self.with = NO_ANSWER.to_owned();
        self
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
                url: web(INTERNET, 80),
                options: &["--interface", MODEM_CLIENT, "--local-port", "8080"],
            },
        )
        .passes("return traffic", ANSWERED),
        Attempt::new(
            "Web download by a dynamic customer",
            Action::Download {
                url: web(INTERNET, 8000),
            },
        )
        .passes("no rule", &intact),
        Attempt::new(
            "Web download, IPv6",
            Action::Download {
                url: web(INTERNET_V6, 8000),
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
        Attempt::new(
            "Ping of a dynamic customer",
            Action::Ping {
                from: Internet,
                target: MODEM,
            },
        )
        .passes("no rule", ANSWERED),
        Attempt::new(
            "Ping, IPv6",
            Action::Ping {
                from: Internet,
                target: MODEM_V6,
            },
        )
        .passes("no rule", ANSWERED),
    ]
}

/// What the attempts meet: mail servers, web servers and customers' machines.
pub(crate) struct World<'a> {
    lab: &'a Lab,
    mail: BTreeMap<Host, MailServer>,
    content: Arc<[u8]>,
    /// How many programs have been run: each has files of its own.
    runs: Cell<u32>,
}

impl<'a> World<'a> {
    /// Starts them all, and waits until they listen.
    pub(crate) fn start(lab: &'a Lab) -> Result<Self> {
        let mut mail = BTreeMap::new();
        for (host, domain) in [
            (Internet, "elsewhere.example"),
            (Mail, "provider.example"),
            (Acme, "acme.example"),
            (Bakery, "bakery.example"),
        ] {
            mail.insert(host, MailServer::start(lab, host, domain)?);
        }
        let greeting: Arc<[u8]> = b"hello\n"[..].into();
        let without_mail: Vec<_> = LISTENING.into_iter().filter(|port| *port != 25).collect();
        for (host, addresses, ports) in [
            (Modem, [MODEM, MODEM_V6], &LISTENING[..]),
            (Acme, [ACME, ACME_V6], &without_mail),
            (Bakery, [BAKERY, BAKERY_V6], &without_mail),
        ] {
            for address in addresses {
                services::serve(lab.host(host), address, ports, &greeting)?;
            }
        }
        let content: Arc<[u8]> = noise(DOWNLOAD).into();
        services::serve(lab.host(Internet), INTERNET, &[80], &greeting)?;
        for address in [INTERNET, INTERNET_V6] {
            services::serve(lab.host(Internet), address, &[8000], &content)?;
        }
        for server in mail.values() {
            server.wait_until_ready(lab)?;
        }
        Ok(Self {
            lab,
            mail,
            content,
            runs: Cell::new(0),
        })
    }

    /// Makes an attempt, and says what came of it.
    pub(crate) fn attempt(&self, attempt: &Attempt) -> Result<String> {
        match &attempt.action {
            Action::Scan { target } => self.scan(target),
            Action::Fetch { from, url, options } => self.fetch(*from, url, options),
            Action::Download { url } => self.download(url),
            Action::Mail { from, to, server } => self.mail(*from, *to, server),
            Action::Ping { from, target } => self.ping(*from, target),
        }
        .with_context(|| attempt.what.clone())
    }

    fn run(&self, host: Host, program: &str, args: &[&str]) -> Result<Ended> {
        let mut command = self.lab.command(host, program);
        // A proxy of the machine's user is not one of the laboratory's.
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        process::run(program, command.args(args), &self.next_file(), PATIENCE)
    }

    fn next_file(&self) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        self.lab
            .directory()
            .join(format!("run-{}", self.runs.get()))
    }

    fn scan(&self, target: &str) -> Result<String> {
        let ports: Vec<_> = scanned().iter().map(u16::to_string).collect();
        let ports = ports.join(",");
        let mut args = vec!["-n", "-Pn", "-sS", "-T4", "--max-retries", "2", "-oG", "-"];
        args.extend([
            "--initial-rtt-timeout",
            "250ms",
            "--max-rtt-timeout",
            "250ms",
        ]);
        args.extend(["-p", &ports]);
        if target.contains(':') {
            args.push("-6");
        }
        args.push(target);
        let nmap = self.run(Internet, "nmap", &args)?;
        // Host: 198.51.100.23 ()  Ports: 25/open/tcp//smtp///, 26/closed/tcp//// ...
        let Some((_, ports)) = nmap.stdout.split_once("Ports: ") else {
            bail!("nmap: {}{}", nmap.stdout, nmap.stderr);
        };
        let mut states = BTreeMap::new();
        for port in ports.lines().next().unwrap_or_default().split(", ") {
            let mut fields = port.split('/');
            if let (Some(Ok(port)), Some(state)) = (fields.next().map(str::parse), fields.next()) {
                states.insert(port, state);
            }
        }
        Ok(describe_scan(&states))
    }

    fn fetch(&self, from: Host, url: &str, options: &[&str]) -> Result<String> {
        let mut args = vec!["--silent", "--show-error", "--globoff"];
        args.extend(["--connect-timeout", CONNECT, "--max-time", "20"]);
        args.extend(options);
        args.push(url);
        Ok(curl_outcome(&self.run(from, "curl", &args)?, ANSWERED))
    }

    fn download(&self, url: &str) -> Result<String> {
        let file = self.next_file();
        let name = file.to_str().context("not UTF-8")?;
        let outcome = self.fetch(Modem, url, &["--output", name])?;
        if outcome != ANSWERED {
            return Ok(outcome);
        }
        let received = fs::read(&file)?;
        fs::remove_file(&file)?;
        let intact = if received[..] == self.content[..] {
            "intact"
        } else {
            "DAMAGED"
        };
        Ok(format!("{} MiB, {intact}", received.len() >> 20))
    }

    fn mail(&self, from: Host, to: Host, server: &str) -> Result<String> {
        let mailbox = self.mail.get(&to).context("no such mail server")?;
        let token = format!("poolguard-demo-{}-{}", std::process::id(), self.runs.get());
        let sender = format!("user@{}.example", from.name());
        let outcome = if server.contains(':') {
            self.curl_mail(from, server, &sender, &mailbox.recipient(), &token)?
        } else {
            self.swaks(from, server, &sender, &mailbox.recipient(), &token)?
        };
        if outcome != DELIVERED || mailbox.has_delivered(&token)? {
            return Ok(outcome);
        }
        Ok("accepted, but lost".to_owned())
    }

    fn swaks(
        &self,
        from: Host,
        server: &str,
        sender: &str,
        to: &str,
        token: &str,
    ) -> Result<String> {
        let subject = format!("Subject: {token}");
        let swaks = self.run(
            from,
            "swaks",
            &[
                "--server",
                server,
                "--protocol",
                "SMTP",
                "--timeout",
                CONNECT,
                "--helo",
                "host.example",
                "--from",
                sender,
                "--to",
                to,
                "--header",
                &subject,
            ],
        )?;
        // Its exit status 2: it could not connect.
        Ok(match swaks.status.code() {
            Some(0) => DELIVERED.to_owned(),
            Some(2) if swaks.stderr.contains("imeout") || swaks.stderr.contains("imed out") => {
                NO_ANSWER.to_owned()
            }
            _ => format!("failed: {}", swaks.stderr.trim()),
        })
    }

    /// Debian's swaks does IPv6 only with another package; curl does it as it is.
    fn curl_mail(
        &self,
        from: Host,
        server: &str,
        sender: &str,
        to: &str,
        token: &str,
    ) -> Result<String> {
        let letter = self.next_file();
        fs::write(
            &letter,
            format!("From: {sender}\r\nTo: {to}\r\nSubject: {token}\r\n\r\nHello\r\n"),
        )?;
        let letter = letter.to_str().context("not UTF-8")?;
        let curl = self.run(
            from,
            "curl",
            &[
                "--silent",
                "--show-error",
                "--globoff",
                "--connect-timeout",
                CONNECT,
                "--max-time",
                "20",
                "--mail-from",
                sender,
                "--mail-rcpt",
                to,
                "--upload-file",
                letter,
                &format!("smtp://[{server}]/host.example"),
            ],
        )?;
        Ok(curl_outcome(&curl, DELIVERED))
    }

    fn ping(&self, from: Host, target: &str) -> Result<String> {
        let ping = self.run(
            from,
            "ping",
            &["-n", "-c", "2", "-i", "0.2", "-W", CONNECT, target],
        )?;
        Ok(if ping.status.success() {
            ANSWERED
        } else {
            NO_ANSWER
        }
        .to_owned())
    }
}

/// What came of a run of curl; `success` where all went well.
fn curl_outcome(curl: &Ended, success: &str) -> String {
    match curl.status.code() {
        Some(0) => success.to_owned(),
        Some(7) => "refused".to_owned(),
        Some(28) => NO_ANSWER.to_owned(),
        _ => format!("failed: {}", curl.stderr.trim()),
    }
}

fn scanned() -> Vec<u16> {
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
fn describe_scan(states: &BTreeMap<u16, &str>) -> String {
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

/// Bytes that no two packets share, always the same (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}
