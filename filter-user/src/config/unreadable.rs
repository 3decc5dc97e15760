//! Why a file cannot be read, and what to do about it.

use std::{fs, io, path::Path};

use rustix::process::geteuid;

use crate::{refused_link::RefusedLink, remedy::remedy};

/// What is wrong with a file, or a directory, of a configuration.
pub(super) struct Unreadable {
    /// The rest of a sentence that says that it cannot be read.
    pub(super) why: String,
    /// What to do; none where there is no such file: what to do depends on who named
    /// it.
    pub(super) help: Option<String>,
}

impl Unreadable {
    /// What the error of the operating system means for a path.
    pub(super) fn new(path: &Path, error: &io::Error) -> Self {
        if let Some(link) = RefusedLink::find(path, error) {
            return Self {
                why: link.to_string(),
                help: Some(link.help()),
            };
        }
        let path_name = path.display();
        let help = match error.kind() {
            io::ErrorKind::NotFound => match fs::read_link(path) {
                Ok(target) => {
                    let target = target.display();
                    let help = format!("restore {target}, or remove the link");
                    return Self {
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
        Self {
            why: error.to_string(),
            help,
        }
    }
}
