//! Why a file cannot be read, and what to do about it.

use std::{fs, io, path::Path};

use dataplane::{refused_link::RefusedLink, remedy::remedy};
use policy::config::{Unreadable, shown};
use rustix::process::geteuid;

/// What the error of the operating system means for a path.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    if let Some(link) = RefusedLink::find(path, error) {
        return Unreadable {
            why: link.to_string(),
            help: Some(link.help()),
        };
    }
    let path_name = shown(path);
    let help = match error.kind() {
        io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => {
                let target = shown(&target);
                let help = format!("restore {target}, or remove the link");
                return Unreadable {
                    why: format!("it is a link to {target}, which does not exist"),
                    help: Some(help),
                };
            }
            Err(_) => None,
        },
        io::ErrorKind::PermissionDenied => Some(format!(
            "let user {}, who reads it here, do so: `namei -l {path_name}` shows whose it is",
            geteuid().as_raw()
        )),
        _ => Some(remedy(error).to_owned()),
    };
    Unreadable {
        why: error.to_string(),
        help,
    }
}
