//! A PPPoE session of Debian's pppd and pppoe-server through the filter. Needs root,
//! and a kernel with PPP, which Debian's are: where it is missing, that is told on
//! standard error.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: a panic says where"
)]

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use filter_common::Protocol;
use lab::{Namespace, Port, cpu::stay_on_this_cpu};
use poolguard_tests::{
    configs::{self, CUSTOMERS, DIALUP, Hosts, NETWORK},
    fixture::{Counters, Expected, inbound, moved, smtp_out},
    frames::{Arrival, udp},
    kernel::must,
    wire::Session,
};

/// What [`udp`] carries.
const DATA: &[u8] = b"poolguard";

#[test]
fn a_session_is_filtered() {
    through(&[]);
}

#[test]
fn a_session_in_qinq_is_filtered() {
    through(&["802.1ad", "802.1Q"]);
}

fn through(tags: &[&str]) {
    let now = "2026-06-15T12:00:00Z".parse().unwrap();
    let session = Session::open(tags, |appliance| {
        must(appliance.enforce(&configs::base(), now));
    });
    let session = match session {
        Ok(session) => session,
        Err(missing) => {
            // Past the harness, which shows nothing of a test that passes.
            let _unheard = writeln!(io::stderr(), "NOT RUN: this kernel has no {missing}");
            return;
        }
    };
    // What one CPU sends, it delivers in the order in which it was sent.
    stay_on_this_cpu();
    for (_, net) in Hosts::families() {
        let trial = Trial::new(&session, net);
        trial.customers_fetch();
        trial.forbidden_ports_are_closed();
        trial.mail_is_kept_back();
        trial.no_form_of_ppp_hides_anything(tags.len());
    }
    what_linux_takes(&session, tags.len());
}

/// Both ends of a session, in one family.
struct Trial<'a> {
    session: &'a Session,
    net: Hosts,
    /// The modem's.
    customer: UdpSocket,
    /// Somebody's far away.
    stranger: UdpSocket,
}

impl<'a> Trial<'a> {
    fn new(session: &'a Session, net: Hosts) -> Self {
        let socket = |namespace: &Namespace, end: (IpAddr, u16)| {
            let socket = namespace.run(|| UdpSocket::bind(end).unwrap());
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self {
            session,
            net,
            customer: socket(&session.modem, (net.dialup, 81)),
            stranger: socket(&session.concentrator, (net.internet, 40_000)),
        }
    }

    /// A web page comes, and nothing of it is dropped.
    fn customers_fetch(&self) {
        let before = self.counters();
        let page = vec![b'x'; 100_000];
        let web = (self.net.internet, 80);
        let server = self.session.concentrator.run(|| TcpListener::bind(web));
        let server = server.unwrap();
        let mut browser = self.session.modem.run(|| TcpStream::connect(web)).unwrap();
        let (mut served, _) = server.accept().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                served.write_all(&page).unwrap();
                drop(served);
            });
            let mut arrived = Vec::new();
            browser.read_to_end(&mut arrived).unwrap();
            assert_eq!(arrived, page);
        });
        assert_eq!(drops(&before, &self.counters()), Counters::new());
    }

    fn forbidden_ports_are_closed(&self) {
        let before = self.counters();
        let closed = (self.net.dialup, 80);
        self.stranger.send_to(DATA, closed).unwrap();
        let frame = udp((self.net.internet, 40_000), closed).arrival();
        self.were_dropped(
            &before,
            NETWORK,
            &[(inbound(DIALUP, Protocol::Udp, 80), frame)],
        );

        let before = self.counters();
        let _server = self
            .session
            .modem
            .run(|| TcpListener::bind(closed))
            .unwrap();
        cannot_connect(&self.session.concentrator, closed.into());
        let dropped = (inbound(DIALUP, Protocol::Tcp, 80), self.syn());
        self.were_dropped(&before, NETWORK, &[dropped]);
    }

    fn mail_is_kept_back(&self) {
        let before = self.counters();
        let mail = (self.net.internet, 25);
        let _server = self
            .session
            .concentrator
            .run(|| TcpListener::bind(mail))
            .unwrap();
        cannot_connect(&self.session.modem, mail.into());
        let dropped = (smtp_out(DIALUP, 25), self.syn());
        self.were_dropped(&before, CUSTOMERS, &[dropped]);
    }

    /// As the concentrator would send them, in forms that some receivers take.
    fn no_form_of_ppp_hides_anything(&self, tags: usize) {
        let frame = self.seen_by_the_modem();
        let mut cable = Port::open(&self.session.concentrator, "network");
        let before = self.counters();
        let number = if self.net.dialup.is_ipv6() {
            0x57
        } else {
            0x21
        };
        let headers: [&[u8]; 6] = [
            &[0, number],
            &[number],
            &[0, 0, number],
            &[0xff, 0x03, 0, number],
            &[0xff, 0x03, number],
            &[0xff, 0x03, 0, 0, 0, number],
        ];
        let mut dropped = Vec::new();
        for header in headers {
            let (mut bytes, ip_offset) = with_ppp(&frame, tags, header);
            let length = if self.net.dialup.is_ipv6() { 40 } else { 20 };
            bytes[ip_offset + length + 3] = 80;
            cable.send(&bytes);
            let arrival = Arrival { bytes, ip_offset };
            dropped.push((inbound(DIALUP, Protocol::Udp, 80), arrival));
        }
        self.were_dropped(&before, NETWORK, &dropped);
    }

    /// A datagram that arrives at the modem, as it is on the cable.
    fn seen_by_the_modem(&self) -> Vec<u8> {
        let mut cable = Port::open(&self.session.modem, "customers");
        self.arrives();
        loop {
            let frame = cable.receive().unwrap();
            if frame.ends_with(DATA) {
                return frame;
            }
        }
    }

    /// A datagram passes. What was sent before it is done with.
    fn arrives(&self) {
        self.stranger.send_to(DATA, (self.net.dialup, 81)).unwrap();
        let mut datagram = [0; 64];
        let length = self.customer.recv(&mut datagram).unwrap();
        assert_eq!(&datagram[..length], DATA);
    }

    /// These and no others were dropped since then, to the last counter.
    fn were_dropped(&self, before: &Counters, interface: &str, frames: &[(Expected, Arrival)]) {
        self.arrives();
        let mut expected = Counters::new();
        for (name, count) in frames
            .iter()
            .flat_map(|(fate, frame)| fate.counters(interface, frame))
        {
            *expected.entry(name).or_default() += count;
        }
        assert_eq!(drops(before, &self.counters()), expected);
    }

    /// The first segment of a connection, as Linux sends it: with 20 bytes of
    /// options.
    fn syn(&self) -> Arrival {
        let header = if self.net.dialup.is_ipv6() { 40 } else { 20 };
        Arrival {
            bytes: vec![0; header + 40],
            ip_offset: 0,
        }
    }

    fn counters(&self) -> Counters {
        self.session.appliance.counters()
    }
}

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first segment alone is sent: the next one would be a second later.
fn cannot_connect(namespace: &Namespace, to: SocketAddr) {
    let attempt = namespace.run(|| TcpStream::connect_timeout(&to, Duration::from_millis(1)));
    attempt.unwrap_err();
}

/// What has moved of the counters of drops.
fn drops(before: &Counters, after: &Counters) -> Counters {
    let mut moved = moved(before, after);
    moved.retain(|name, _| name.contains("drop"));
    moved
}

/// The frame with PPP beginning like this, and where IP begins in it.
fn with_ppp(frame: &[u8], tags: usize, header: &[u8]) -> (Vec<u8>, usize) {
    let session = 14 + 4 * tags;
    assert_eq!(frame[session - 2..session], [0x88, 0x64], "{frame:02x?}");
    let (before, ip) = (&frame[..session + 6], &frame[session + 8..]);
    let mut bytes = [before, header, ip].concat();
    let length = (header.len() + ip.len()) as u16;
    bytes[session + 4..session + 6].copy_from_slice(&length.to_be_bytes());
    (bytes, session + 6 + header.len())
}

/// Linux took a protocol number of one byte, though PPP had not agreed on it, until
/// "pppoe: drop PFC frames" of 2026, which stable kernels have as well. An address
/// and control field, and more zeros, it does not take.
fn what_linux_takes(session: &Session, tags: usize) {
    let trial = Trial::new(session, Hosts::v4());
    let frame = trial.seen_by_the_modem();
    let mut cable = Port::open(&session.concentrator, "network");
    let headers: [&[u8]; 5] = [
        &[0xff, 0x03, 0, 0x21],
        &[0xff, 0x03, 0x21],
        &[0, 0, 0x21],
        &[0x21],
        &[0, 0x21],
    ];
    for (number, header) in headers.iter().enumerate() {
        let (mut bytes, ip_offset) = with_ppp(&frame, tags, header);
        // Another payload, and no checksum over it.
        *bytes.last_mut().unwrap() = number as u8;
        bytes[ip_offset + 26..ip_offset + 28].fill(0);
        cable.send(&bytes);
    }
    // The last one arrives, and of those before it no more than the one with a byte.
    let mut arrived = Vec::new();
    while arrived.last() != Some(&4) {
        let mut datagram = [0; 64];
        let length = trial.customer.recv(&mut datagram).unwrap();
        arrived.push(datagram[length - 1]);
    }
    assert!(matches!(arrived[..], [4] | [3, 4]), "{arrived:?}");
}
