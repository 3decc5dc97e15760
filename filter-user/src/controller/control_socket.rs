//! The control socket: where it is, who may use it, and that it stays there. The filter
//! never waits for it.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use dataplane::remedy::remedy_at;
use nix::unistd::Group;
use rustix::{fs::Mode, io::Errno, process::umask};
use thiserror::Error;

use crate::public_directory::make_public;

/// Whose members may ask the controller for everything that root may, where
/// there is such a group.
const GROUP: &str = "poolguard";

/// A socket for root and [`GROUP`], removed when dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    /// Which file it is, while it is there.
    bound: Option<Identity>,
    problem: Option<String>,
}

/// What tells a file from another one of the same name.
type Identity = (u64, u64);

/// Why there is no control socket.
#[derive(Debug, Error)]
#[error("control socket {}: {source}: {}", path.display(), help(path, source))]
struct NoSocket {
    path: PathBuf,
    source: io::Error,
}

fn help(path: &Path, error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ISDIR) => "remove the directory that is there".to_owned(),
        _ => remedy_at(path, error).into_owned(),
    }
}

impl ControlSocket {
    /// One that is nowhere yet.
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            bound: None,
            problem: None,
        }
    }

    /// Why nobody can ask the controller, if nobody can.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Listens where it should, unless it does: somebody may have removed the socket.
    /// Gives what is to be served from now on.
    pub(super) fn keep(&mut self) -> Option<UnixListener> {
        if self.is_there() {
            return None;
        }
        match self.bind() {
            Ok(listener) => {
                if self.bound.is_some() || self.problem.is_some() {
                    tracing::info!(socket = %self.path.display(), "the control socket is there again");
                }
                self.problem = None;
                self.bound = identity(&self.path);
                Some(listener)
            }
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    fn is_there(&self) -> bool {
        self.bound.is_some() && self.bound == identity(&self.path)
    }

    fn bind(&self) -> Result<UnixListener, NoSocket> {
        let listener = bind_for_root(&self.path).map_err(|source| NoSocket {
            path: self.path.clone(),
            source,
        })?;
        if let Err(error) = admit_group(&self.path) {
            tracing::warn!(%error, "the control socket is for root alone, not for group {GROUP}");
        }
        Ok(listener)
    }

    fn fail(&mut self, error: String) {
        if self.problem.as_ref() != Some(&error) {
            tracing::error!(
                %error,
                "NO CONTROL SOCKET: `poolguard status`, `reload` and all other questions are not \
                 answered. The filter does not wait for it. SIGHUP reloads. Tried again every few \
                 seconds"
            );
        }
        self.problem = Some(error);
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if !self.is_there() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(
                path = %self.path.display(), %error,
                "cannot remove the socket. The next start replaces it"
            );
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let of = |metadata: Metadata| (metadata.dev(), metadata.ino());
    fs::symlink_metadata(path).ok().map(of)
}

fn bind_for_root(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        make_public(directory)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // From the first moment on, and not only after a change of its mode.
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Opens the socket to [`GROUP`]. To give it away takes `CAP_CHOWN`, or being in
/// the group: so the unit has it.
fn admit_group(path: &Path) -> io::Result<()> {
    if let Some(group) = Group::from_name(GROUP)? {
        chown(path, None, Some(group.gid.as_raw()))?;
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn it_is_made_again_whatever_was_done_to_it_and_nothing_else_is_removed() {
        let directory = std::env::temp_dir().join(format!("control-{}", std::process::id()));
        let path = directory.join("run/east.sock");
        fs::create_dir_all(&path).unwrap();
        let mut socket = ControlSocket::at(path.clone());
        assert!(socket.keep().is_none());
        let problem = socket.problem().unwrap();
        assert!(problem.contains("remove the directory"), "{problem}");
        fs::remove_dir(&path).unwrap();
        let first = socket.keep().unwrap();
        assert_eq!(socket.problem(), None);
        assert!(socket.keep().is_none());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let second = socket.keep().unwrap();
        UnixStream::connect(&path).unwrap();
        drop((first, second));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(socket);
        assert!(path.exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
