//! apt with lists of its own: for packages that this machine's apt is not set up
//! for, from the archives that it is set up for. What the machine has installed,
//! and its own lists, stay as they are.

use crate::command::CommandLine;

/// What apt believes a list of Debian's packages by.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// For apt's programs, in the directory of the lists. Nothing counts as installed.
pub(crate) const OPTIONS: &str = "-o Dir::Etc::SourceList=\"$PWD/sources.list\" \
     -o Dir::Etc::SourceParts=- -o Dir::State::Lists=\"$PWD/lists\" \
     -o Dir::State::Status=/dev/null -o Dir::Cache=\"$PWD/cache\"";

/// What one asks Debian's archives for.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// The source packages of this machine's own release.
    Sources,
    /// The packages of the release of this name.
    Release(&'static str),
}

/// Fetches lists into a directory, from where this machine gets Debian's packages.
pub(crate) fn lists(directory: &str, wanted: Wanted) -> CommandLine {
    let (kind, release) = match wanted {
        Wanted::Sources => ("deb-src", String::new()),
        // Only the name of the release itself: what follows it, as in
        // `bookworm-security`, is the same for all.
        Wanted::Release(name) => ("deb", format!("| sed -E 's/(] [^ ]+ )[^- ]+/\\1{name}/' ")),
    };
    let targets = format!("{kind} [signed-by={KEYRING}] $(SITE) $(RELEASE) $(COMPONENT)");
    let script = format!(
        "cd {directory} && mkdir -p lists/partial cache/archives/partial && apt-get indextargets \
         --format '{targets}' 'Created-By: Packages' 'Origin: Debian' {release}| sort -u \
         > sources.list && apt-get {OPTIONS} update"
    );
    CommandLine::new(["sh", "-c", &script])
}
