//! Where `/metrics` is served. The filter never waits for it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::ApplyError;

/// A listener that serves from now on in the place of the one before it.
pub type NewListener = Option<TcpListener>;

/// The address of `[metrics] listen`, and the socket that serves it, or will.
#[derive(Debug)]
pub(super) struct Endpoint {
    wanted: SocketAddr,
    serving: Option<Serving>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    /// Another descriptor of what the server has.
    socket: TcpListener,
}

/// A socket that listens already, and replaces the one that serves if the rest of
/// a reload succeeds. Dropped, it was never there.
#[derive(Debug)]
pub(super) struct Move(Serving);

impl Endpoint {
    /// One that serves nowhere yet.
    pub(super) fn new(wanted: SocketAddr) -> Self {
        Self {
            wanted,
            serving: None,
            problem: None,
        }
    }

    /// Why `/metrics` is not where it is to be, if it is not.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Listens at another address, beside the one that is served: also where the
    /// one takes in the other (`127.0.0.1` and `0.0.0.0` on the same port).
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub(super) fn prepare(&self, wanted: SocketAddr) -> Result<Option<Move>, ApplyError> {
        if self.is_served_at(wanted) {
            return Ok(None);
        }
        let error = |source| ApplyError::Listen {
            address: wanted,
            source,
        };
        let socket = match &self.serving {
            Some(serving) if serving.address.port() == wanted.port() => {
                beside(&serving.socket, wanted)
            }
            _ => listen(wanted),
        };
        let socket = socket.map_err(error)?;
        Ok(Some(Move(Serving {
            address: wanted,
            socket,
        })))
    }

    /// Serves where it was prepared to.
    pub(super) fn commit(&mut self, wanted: SocketAddr, prepared: Option<Move>) -> NewListener {
        self.wanted = wanted;
        self.problem = None;
        let Move(serving) = prepared?;
        // Both descriptors are of one socket, and share its flags.
        match serving.socket.try_clone() {
            Ok(listener) => {
                self.serving = Some(serving);
                Some(listener)
            }
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    /// Leaves it where it is, for now.
    pub(super) fn postpone(&mut self, wanted: SocketAddr, error: &ApplyError) {
        self.wanted = wanted;
        self.fail(error.to_string());
    }

    /// Tries again, if it is not served where it is to be.
    pub(super) fn retry(&mut self) -> NewListener {
        match self.prepare(self.wanted) {
            Ok(None) => None,
            Ok(prepared) => self.commit(self.wanted, prepared),
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    fn is_served_at(&self, address: SocketAddr) -> bool {
        let mut serving = self.serving.iter();
        serving.any(|serving| serving.address == address)
    }

    fn fail(&mut self, error: String) {
        if self.problem.as_ref() == Some(&error) {
            return;
        }
        match &self.serving {
            Some(serving) => tracing::error!(
                %error,
                "the metrics stay where they are, on {}. The filter does not wait for them. Tried \
                 again every few seconds",
                serving.address
            ),
            None => tracing::error!(
                %error,
                "/metrics, /healthz and /readyz are NOT SERVED. The filter does not wait for them. \
                 Tried again every few seconds"
            ),
        }
        self.problem = Some(error);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = match TcpListener::bind(address) {
        // Before the network is up nobody has an address: that is when the filter
        // starts.
        Err(refusal) if refusal.kind() == io::ErrorKind::AddrNotAvailable => {
            tracing::warn!(
                %address,
                "no interface has the address of [metrics] yet: /metrics answers as soon as one \
                 has. The filter does not wait for it (`ip address`)"
            );
            bind_ahead(address)?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Listens on an address that nobody has yet (`IP_FREEBIND`).
fn bind_ahead(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = unbound(address)?;
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
    }
    bound(socket, address)
}

/// Listens on the port of a socket of our own. The kernel admits that where both
/// have `SO_REUSEPORT`. Neither keeps it, and nothing else here has it: a second
/// instance with the same address is a mistake, and would take every other scrape.
fn beside(own: &TcpListener, address: SocketAddr) -> io::Result<TcpListener> {
    sockopt::set_socket_reuseport(own, true)?;
    let socket = unbound(address).and_then(|socket| {
        sockopt::set_socket_reuseport(&socket, true)?;
        let socket = bound(socket, address)?;
        sockopt::set_socket_reuseport(&socket, false)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    sockopt::set_socket_reuseport(own, false)?;
    socket
}

fn unbound(address: SocketAddr) -> io::Result<rustix::fd::OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

fn bound(socket: rustix::fd::OwnedFd, address: SocketAddr) -> io::Result<TcpListener> {
    bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// As many connections wait as with `TcpListener::bind`.
const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::net::TcpStream;

    use super::*;

    fn at(address: [u8; 4], port: u16) -> SocketAddr {
        (address, port).into()
    }

    /// One that listens at a port that nobody had.
    fn open() -> (Endpoint, TcpListener, u16) {
        let any = TcpListener::bind(at([127, 0, 0, 1], 0)).unwrap();
        let port = any.local_addr().unwrap().port();
        drop(any);
        let mut endpoint = Endpoint::new(at([127, 0, 0, 1], port));
        let listener = endpoint.retry();
        (endpoint, listener.unwrap(), port)
    }

    #[test]
    fn it_moves_to_every_address_of_its_port_and_back() {
        let (mut endpoint, first, port) = open();
        for wanted in [at([0, 0, 0, 0], port), at([127, 0, 0, 1], port)] {
            let prepared = endpoint.prepare(wanted).unwrap();
            assert!(prepared.is_some());
            let listener = endpoint.commit(wanted, prepared).unwrap();
            assert_eq!(listener.local_addr().unwrap(), wanted);
            assert!(endpoint.prepare(wanted).unwrap().is_none());
        }
        drop((endpoint, first));
    }

    #[test]
    fn what_was_prepared_in_vain_leaves_everything_as_it_was() {
        let (mut endpoint, first, port) = open();
        drop(endpoint.prepare(at([0, 0, 0, 0], port)).unwrap());
        first.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(at([127, 0, 0, 1], port)).unwrap();
        first.accept().unwrap();
        // Another poolguard with the same address is refused, as ever.
        listen(at([127, 0, 0, 1], port)).unwrap_err();
        assert!(endpoint.retry().is_none());
        assert_eq!(endpoint.problem(), None);
    }

    #[test]
    fn an_address_in_use_is_tried_again() {
        let taken = TcpListener::bind(at([127, 0, 0, 1], 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let mut endpoint = Endpoint::new(address);
        assert!(endpoint.retry().is_none());
        assert!(endpoint.problem().unwrap().contains("`ss -lntp`"));
        assert!(endpoint.retry().is_none());
        drop(taken);
        assert_eq!(endpoint.retry().unwrap().local_addr().unwrap(), address);
        assert_eq!(endpoint.problem(), None);
        assert!(endpoint.retry().is_none());
    }
}
