//! That an instance runs once.
//!
//! What tells is a name among the abstract Unix sockets: one for each network namespace,
//! as interfaces are, and held by the kernel for as long as the process lives. Nobody can
//! tidy it away, as a file in `/run`, or as the pins.

use std::os::fd::OwnedFd;

use dataplane::Namespace;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use policy::instance::Instance;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
    process::geteuid,
};

use super::daemon::RunError;

/// Held by the controller of an instance, or by whoever detaches what one has left.
#[derive(Debug)]
pub(super) struct Exclusion {
    _held: Option<OwnedFd>,
}

/// Who listens on a socket.
struct Holder {
    process: i32,
    user: u32,
}

impl Exclusion {
    /// Takes it, if nobody has it.
    ///
    /// # Errors
    ///
    /// When another process of root's, or of this one's user, has it, or nobody can
    /// tell.
    pub(super) fn take(instance: &Instance) -> Result<Self, RunError> {
        let running = |holder: Holder| RunError::AlreadyRunning {
            instance: instance.name().to_owned(),
            process: holder.process,
            namespace: holder.namespace_elsewhere(),
        };
        // A poolguard that knows no such name, or is in another network namespace.
        let control = SocketAddrUnix::new(instance.control_socket());
        if let Some(holder) = control.ok().and_then(|address| listening(&address)) {
            return Err(running(holder));
        }
        let name = name(instance);
        let unseen = |error: Errno| RunError::Exclusion(error.into());
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(unseen)?;
        match hold(&address) {
            Ok(held) => Ok(Self { _held: Some(held) }),
            Err(Errno::ADDRINUSE) => match listening(&address) {
                Some(holder) if holder.is_trusted() => Err(running(holder)),
                // Anybody may take any such name.
                stranger => {
                    tracing::error!(
                        name = format!("@{name}"),
                        user = stranger.as_ref().map(|stranger| stranger.user),
                        process = stranger.as_ref().map(|stranger| stranger.process),
                        "somebody else has the name by which poolguard sees that an instance runs \
                         only once. The filter does not wait for it: start no second one, and end \
                         that process (`ss -xlp`)"
                    );
                    Ok(Self { _held: None })
                }
            },
            Err(error) => Err(unseen(error)),
        }
    }
}

impl Holder {
    /// The network namespace that it is in, if it can be seen that this is another one.
    fn namespace_elsewhere(&self) -> Option<Namespace> {
        let here = Namespace::here().ok()?;
        Namespace::of_process(self.process).filter(|&namespace| namespace != here)
    }

    fn is_trusted(&self) -> bool {
        self.user == 0 || self.user == geteuid().as_raw()
    }
}

/// The name that tells, among those of the network namespace.
fn name(instance: &Instance) -> String {
    format!("poolguard/{}", instance.name())
}

/// The process that runs this instance, if one does.
pub(super) fn holder(instance: &Instance) -> Option<i32> {
    let address = SocketAddrUnix::new_abstract_name(name(instance).as_bytes()).ok()?;
    let holder = listening(&address).filter(Holder::is_trusted)?;
    Some(holder.process)
}

fn hold(address: &SocketAddrUnix) -> rustix::io::Result<OwnedFd> {
    let socket = stream()?;
    bind(&socket, address)?;
    // So that whoever finds it taken can ask by whom.
    listen(&socket, 128)?;
    Ok(socket)
}

/// Who listens at an address, if somebody does.
fn listening(address: &SocketAddrUnix) -> Option<Holder> {
    let socket = stream().ok()?;
    // Nobody waits for one who does not accept.
    connect(&socket, address).ok()?;
    let credentials = getsockopt(&socket, PeerCredentials).ok()?;
    Some(Holder {
        process: credentials.pid(),
        user: credentials.uid(),
    })
}

fn stream() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}
