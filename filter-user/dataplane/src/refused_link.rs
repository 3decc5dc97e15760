//! Links that the kernel does not follow, whatever their modes say.
//!
//! In a directory that is sticky and that anyone may write, as `/tmp` is, Linux
//! follows a link at the end of a path only for its owner, or if it belongs to who
//! owns the directory (`may_follow_link()` in `fs/namei.c`), where
//! `fs.protected_symlinks` is set. Debian sets it. All that the caller is told is
//! EACCES, and root is told so, too.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use policy::config::shown;
use rustix::process::geteuid;

const SETTING: &str = "/proc/sys/fs/protected_symlinks";

/// `S_ISVTX` and `S_IWOTH`.
const STICKY_FOR_ALL: u32 = 0o1002;

/// So many links are followed on the way to a file: `MAXSYMLINKS` of the kernel.
const MOST_LINKS: usize = 40;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLink {
    link: PathBuf,
    owner: u32,
}

impl RefusedLink {
    /// The link on the way to `path` that is the reason of `error`.
    pub fn find(path: &Path, error: &io::Error) -> Option<Self> {
        let is_set = || fs::read_to_string(SETTING).is_ok_and(|value| value.trim() != "0");
        if error.kind() != io::ErrorKind::PermissionDenied || !is_set() {
            return None;
        }
        let user = geteuid().as_raw();
        on_the_way(path, |directory, link| {
            is_shared(directory.mode()) && ![user, directory.uid()].contains(&link.uid())
        })
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        format!("chown --no-dereference root {}", shown(&self.link))
    }
}

impl fmt::Display for RefusedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the kernel does not follow {}: user {} made this link, where anyone may make files \
             (fs.protected_symlinks)",
            shown(&self.link),
            self.owner,
        )
    }
}

/// Goes the way to `path` as the kernel does, up to a link that it does not follow.
fn on_the_way(
    path: &Path,
    is_refused: impl Fn(&Metadata, &Metadata) -> bool,
) -> Option<RefusedLink> {
    let mut here = PathBuf::new();
    let mut ahead = Vec::new();
    let mut links = 0;
    go_on(path, &mut here, &mut ahead);
    while let Some(name) = ahead.pop() {
        let place = here.join(name);
        let metadata = fs::symlink_metadata(&place).ok()?;
        if !metadata.is_symlink() {
            here = place;
            continue;
        }
        let directory = fs::metadata(Path::new(".").join(&here)).ok()?;
        // A link in the middle of a path is followed, wherever it is.
        if ahead.is_empty() && is_refused(&directory, &metadata) {
            return Some(RefusedLink {
                link: place,
                owner: metadata.uid(),
            });
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        go_on(&fs::read_link(&place).ok()?, &mut here, &mut ahead);
    }
    None
}

/// Whether anyone may make files in a directory of this mode, and only their own be
/// replaced there.
fn is_shared(mode: u32) -> bool {
    mode & STICKY_FOR_ALL == STICKY_FOR_ALL
}

/// Puts the names of a path ahead, as seen from where one is.
fn go_on(path: &Path, here: &mut PathBuf, ahead: &mut Vec<OsString>) {
    if path.is_absolute() {
        *here = PathBuf::from("/");
    }
    let names = path.components().rev();
    let names = names.filter(|name| matches!(name, Component::Normal(_) | Component::ParentDir));
    ahead.extend(names.map(|name| name.as_os_str().to_owned()));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_is_found_wherever_it_is_on_the_way() {
        let name = format!("poolguard-links-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let shared = directory.join("shared");
        let link = shared.join("link");
        fs::create_dir_all(&shared).unwrap();
        fs::create_dir(directory.join("to")).unwrap();
        fs::write(directory.join("to/file"), "").unwrap();
        symlink("../to", &link).unwrap();
        symlink(&link, directory.join("near")).unwrap();
        symlink(link.join("file"), directory.join("far")).unwrap();
        symlink("round", directory.join("round")).unwrap();
        let inode = fs::metadata(&shared).unwrap().ino();
        let found = |path: &str| {
            on_the_way(&directory.join(path), |place, _| place.ino() == inode)
                .map(|refused| refused.link)
        };
        let refused = ["shared/link", "near", "to/../near"].map(found);
        let others = ["far", "shared/link/file", "to/file", "round", "none"].map(found);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(refused, [(); 3].map(|()| Some(link.clone())));
        assert_eq!(others, [const { None }; 5]);
    }

    #[test]
    fn anyone_may_make_files_in_tmp() {
        assert!(is_shared(0o041_777));
        for mode in [0o040_777, 0o041_775, 0o040_755] {
            assert!(!is_shared(mode), "{mode:o}");
        }
    }
}
