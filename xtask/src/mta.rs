//! Care with postfix: a laboratory wants its programs, and must not make a mail
//! server of somebody's machine, nor replace the one that is there.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::command::CommandLine;

/// The package.
pub(crate) const PACKAGE: &str = "postfix";

/// Whether the package may be installed; it is not there yet.
pub(crate) fn may_install() -> Result<()> {
    if Path::new("/usr/sbin/sendmail").exists() {
        bail!(
            "this machine has another mail server (/usr/sbin/sendmail), which Debian does not \
             let postfix stand beside, and which nothing here will replace. The demo needs \
             postfix: run it on another machine, or in a virtual one"
        );
    }
    if Path::new("/etc/postfix/main.cf").exists() {
        bail!(
            "/etc/postfix/main.cf has been left by an earlier postfix: installing it again would \
             start a mail server on this machine. Move the file away, or install postfix yourself"
        );
    }
    Ok(())
}

/// Tells the package to be installed without a configuration: it does not start
/// then.
pub(crate) fn preseed() -> CommandLine {
    CommandLine::new([
        "sh",
        "-c",
        "echo postfix postfix/main_mailer_type select No configuration | debconf-set-selections",
    ])
}

/// Whether something on this machine accepts mail.
pub(crate) fn is_listening() -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = fs::read_to_string(table).unwrap_or_default();
        table.lines().any(is_listener)
    })
}

/// Whether a line of the kernel's table of sockets is a listener on port 25:
/// `0: 00000000:0019 00000000:0000 0A ...`.
fn is_listener(line: &str) -> bool {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next().unwrap_or_default();
    local.ends_with(":0019") && fields.nth(1) == Some(LISTEN)
}

#[cfg(test)]
mod tests {
    use super::is_listener;

    #[test]
    fn listeners_on_port_25_are_recognised() {
        let line = |port: &str, state: &str| {
            format!("   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000 00:00000000")
        };
        assert!(is_listener(&line("0019", "0A")));
        assert!(!is_listener(&line("001A", "0A")));
        assert!(!is_listener(&line("0019", "01")));
    }
}
