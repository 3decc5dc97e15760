//! Packets with other people's addresses, and witnesses of where they arrive.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lab::Process;

use super::{
    attempts::{ARRIVES, DOES_NOT_ARRIVE},
    network::{
        Host::{self, *},
        Provider,
        address::*,
    },
};

/// How long any program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the customer asks for in another's name.
const WEB: u16 = 80;
const MAIL_PORT: u16 = 25;

/// A spammer elsewhere opens a connection to a mail server in a customer's name. Says
/// whether the customer gets the server's answer, which the rest of a triangular spam
/// run depends on: a machine that was taken over passes it on to the spammer.
pub(crate) fn triangle(
    provider: &Provider,
    port: u16,
    (customer, address): (Host, &str),
    (mail, server): (Host, &str),
) -> Result<String> {
    let answer = Flow {
        from: server,
        from_port: MAIL_PORT,
        to: address,
        to_port: port,
    };
    let sent = Witness::on(provider, mail, &answer.filter())?;
    let received = Witness::on(provider, customer, &answer.or_echo())?;
    let segment = answer.reverse();
    segment.send(provider, (Spammer, "eth0"), (Internet, "eth1"))?;
    let _answer = sent
        .next()
        .context("the mail server has answered nothing")?;
    echo(provider, mail, server, address)?;
    received.of_flow_before_echo()
}

/// The dynamic customer sends a segment in another's name. Says whether it reaches the
/// Internet.
pub(crate) fn forge(provider: &Provider, port: u16, source: &str, target: &str) -> Result<String> {
    let segment = Flow {
        from: source,
        from_port: port,
        to: target,
        to_port: WEB,
    };
    let received = Witness::on(provider, Internet, &segment.or_echo())?;
    segment.send(provider, (Modem, "eth0"), (Box, "eth1"))?;
    let own = if target.contains(':') {
        MODEM_V6
    } else {
        MODEM
    };
    echo(provider, Modem, own, target)?;
    received.of_flow_before_echo()
}

/// One direction of a TCP connection.
#[derive(Clone, Copy)]
struct Flow<'a> {
    from: &'a str,
    from_port: u16,
    to: &'a str,
    to_port: u16,
}

impl Flow<'_> {
    fn reverse(self) -> Self {
        Self {
            from: self.to,
            from_port: self.to_port,
            to: self.from,
            to_port: self.from_port,
        }
    }

    /// As tcpdump writes the beginning of a connection down.
    fn filter(&self) -> String {
        let Self {
            from,
            from_port,
            to,
            to_port,
        } = self;
        let hosts = format!("src host {from} and dst host {to}");
        format!("({hosts} and tcp src port {from_port} and dst port {to_port})")
    }

    /// The same, and what [`echo`] sends.
    fn or_echo(&self) -> String {
        let echo = "icmp[icmptype] == icmp-echo or (icmp6 and ip6[40] == 128)";
        format!("{} or {echo}", self.filter())
    }

    /// Sends its first segment, from an interface to the next one on its way.
    fn send(&self, provider: &Provider, from: (Host, &str), next: (Host, &str)) -> Result<()> {
        let ports = [self.from_port, self.to_port].map(|port| port.to_string());
        let mut nping = provider.command(from.0, "nping");
        if self.to.contains(':') {
            // The kernel would write its own address on it: a whole frame.
            let [own, its] = [from, next].map(|(host, port)| provider.hardware_address(host, port));
            nping.args(["-6", "--send-eth", "--interface", from.1]);
            nping.args(["--source-mac", &own?, "--dest-mac", &its?]);
        } else {
            // Before a frame nping would ask by ARP in the other's name, and get all that
            // is for the other.
            nping.arg("--send-ip");
        }
        nping
            .args(["--tcp", "--flags", "syn", "--count", "1", "--no-capture"])
            .args(["--source-ip", self.from, "--source-port", &ports[0]])
            .args(["--dest-port", &ports[1], self.to]);
        let nping = Process::run("nping", &mut nping, PATIENCE)?;
        if !nping.stdout.contains("packets sent: 1") {
            bail!("nping: {}{}", nping.stdout, nping.stderr);
        }
        Ok(())
    }
}

/// An echo request, which no rule is about: what was sent before it on the same way has
/// arrived when it does, or never will.
fn echo(provider: &Provider, from: Host, source: &str, to: &str) -> Result<()> {
    let mut ping = provider.command(from, "ping");
    ping.args(["-n", "-c", "1", "-I", source, to]);
    let ping = Process::run("ping", &mut ping, PATIENCE)?;
    if !ping.status.success() {
        bail!("ping: {}{}", ping.stdout, ping.stderr);
    }
    Ok(())
}

/// tcpdump, on a host's cable.
struct Witness(Process);

impl Witness {
    /// One that sees from now on what is sent and received there.
    fn on(provider: &Provider, host: Host, filter: &str) -> Result<Self> {
        let mut tcpdump = provider.command(host, "tcpdump");
        // Each packet is told at once, by the user that has started it.
        tcpdump.args(["-n", "-l", "--immediate-mode", "-Z", "root", "-i", "eth0"]);
        let tcpdump = Process::spawn("tcpdump", tcpdump.arg(filter))?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        while let Ok(line) = tcpdump.stderr().line_by(deadline) {
            if line.starts_with("listening on") {
                return Ok(Self(tcpdump));
            }
            said.push(line);
        }
        bail!("tcpdump on {}: {}", host.name(), said.join("\n"))
    }

    /// The next packet, in tcpdump's words.
    fn next(&self) -> Result<String> {
        let line = self.0.stdout().line_by(Instant::now() + PATIENCE);
        line.with_context(|| format!("tcpdump saw nothing: {}", self.0.said()))
    }

    /// Whether a packet of the flow came before the echo request.
    fn of_flow_before_echo(&self) -> Result<String> {
        let mut outcome = DOES_NOT_ARRIVE;
        loop {
            let packet = self.next()?;
            if packet.contains("echo request") {
                return Ok(outcome.to_owned());
            }
            if packet.contains("Flags [S") {
                outcome = ARRIVES;
            }
        }
    }
}
