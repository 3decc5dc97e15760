//! The hosts' programs: those that listen, and those that try.

use std::{cell::Cell, collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use lab::{Ended, Process};

use super::{
    attempts::{
        ANSWERED, Action, Attempt, DELIVERED, DOWNLOAD, LISTENING, NO_ANSWER, describe_scan,
        scanned,
    },
    forgery,
    mail::MailServer,
    network::{
        Host::{self, *},
        Provider,
        address::*,
    },
    web,
};

/// How many seconds a client tries to connect.
const CONNECT: &str = "2";
/// How long any program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What listens, mail servers, web servers and customers' machines, and what tries.
pub(crate) struct Programs<'a> {
    provider: &'a Provider,
    mail: BTreeMap<Host, MailServer>,
    content: Arc<[u8]>,
    /// How many files and letters there have been: each has a number of its own.
    numbered: Cell<u32>,
}

impl<'a> Programs<'a> {
    /// Starts all that listen, and waits until they do.
    pub(crate) fn start(provider: &'a Provider) -> Result<Self> {
        let mut mail = BTreeMap::new();
        for (host, domain) in [
            (Internet, "elsewhere.example"),
            (Mail, "provider.example"),
            (Acme, "acme.example"),
            (Bakery, "bakery.example"),
        ] {
            mail.insert(host, MailServer::start(provider, host, domain)?);
        }
        let greeting: Arc<[u8]> = b"hello\n"[..].into();
        let without_mail: Vec<_> = LISTENING.into_iter().filter(|port| *port != 25).collect();
        for (host, addresses, ports) in [
            (Modem, [MODEM, MODEM_V6], &LISTENING[..]),
            (Acme, [ACME, ACME_V6], &without_mail),
            (Bakery, [BAKERY, BAKERY_V6], &without_mail),
        ] {
            for address in addresses {
                web::serve(provider.host(host), address, ports, &greeting)?;
            }
        }
        let content: Arc<[u8]> = noise(DOWNLOAD).into();
        for address in [INTERNET, INTERNET_V6] {
            web::serve(provider.host(Internet), address, &[80], &content)?;
            web::serve(provider.host(Internet), address, &[443], &greeting)?;
        }
        for server in mail.values() {
            server.wait_until_ready(provider)?;
        }
        Ok(Self {
            provider,
            mail,
            content,
            numbered: Cell::new(0),
        })
    }

    /// Makes an attempt, and says what came of it.
    pub(crate) fn attempt(&self, attempt: &Attempt) -> Result<String> {
        match &attempt.action {
            Action::Scan { target } => self.scan(target),
            Action::Fetch { from, url, options } => self.fetch(*from, url, options),
            Action::Download { url } => self.download(url),
            Action::Mail { from, to, server } => self.mail(*from, *to, server),
            Action::Triangle {
                customer,
                address,
                mail,
                server,
            } => forgery::triangle(
                self.provider,
                self.next_port(),
                (*customer, address),
                (*mail, server),
            ),
            Action::Forge { source, target } => {
                forgery::forge(self.provider, self.next_port(), source, target)
            }
            Action::Ping { target } => self.ping(target),
        }
        .with_context(|| attempt.what.clone())
    }

    fn run(&self, host: Host, program: &str, args: &[&str]) -> Result<Ended> {
        let mut command = self.provider.command(host, program);
        // A proxy of the machine's user is not one of the laboratory's.
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        Process::run(program, command.args(args), PATIENCE).map_err(Into::into)
    }

    fn next_number(&self) -> u32 {
        self.numbered.set(self.numbered.get() + 1);
        self.numbered.get()
    }

    /// The port of a connection of its own.
    fn next_port(&self) -> u16 {
        40_000 + self.next_number() as u16
    }

    fn next_file(&self) -> PathBuf {
        let name = format!("file-{}", self.next_number());
        self.provider.directory().join(name)
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
        let token = format!(
            "poolguard-demo-{}-{}",
            std::process::id(),
            self.next_number()
        );
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

    fn ping(&self, target: &str) -> Result<String> {
        let ping = self.run(
            Internet,
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
