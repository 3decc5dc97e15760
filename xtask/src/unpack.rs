//! Debian's packages, downloaded and unpacked for one purpose: nothing is installed, so
//! none of it takes root.

use std::path::Path;

use crate::{command::CommandLine, setup::Remedy};

/// Downloads packages and unpacks them, or some parts of them, into a directory
/// that is there only when it is complete.
pub(crate) fn unpack(directory: &Path, names: &[String], parts: &str) -> Remedy {
    let mut download = vec!["env".to_owned(), format!("--chdir={}", partial(directory))];
    download.extend(["apt-get", "download"].map(str::to_owned));
    download.extend_from_slice(names);
    let what = format!("Debian packages: {}", names.join(" "));
    let commands = vec![CommandLine::new(download), extract(directory, parts)];
    into(directory, &what, commands)
}

/// Unpacks every package in a directory, which is not complete yet.
pub(crate) fn extract(directory: &Path, parts: &str) -> CommandLine {
    let partial = partial(directory);
    let script = format!(
        "cd {partial} && for package in *.deb; do dpkg-deb --fsys-tarfile \"$package\" | \
         tar --extract --wildcards {parts} && rm \"$package\" || exit 1; done"
    );
    CommandLine::new(["sh", "-c", &script])
}

/// Where a directory is while it is not complete.
pub(crate) fn partial(directory: &Path) -> String {
    format!("{}.partial", directory.display())
}

/// Commands that fill a directory.
pub(crate) fn into(directory: &Path, what: &str, commands: Vec<CommandLine>) -> Remedy {
    let partial = partial(directory);
    let directory = directory.to_string_lossy();
    let before = [["rm", "-rf", &partial], ["mkdir", "-p", &partial]];
    let after = [["rm", "-rf", &directory], ["mv", &partial, &directory]];
    Remedy {
        what: format!("{what}, unpacked into {directory} alone"),
        program: "apt-get",
        as_root: false,
        commands: [
            before.map(CommandLine::new).to_vec(),
            commands,
            vec![CommandLine::new(after[0]), CommandLine::new(after[1])],
        ]
        .concat(),
    }
}
