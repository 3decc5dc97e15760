//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use filter_user::dataplane::Instance;

/// Keeps scanners and spammers off customer machines, and customers' mail on
/// the provider's mail servers.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/poolguard/poolguard.toml"
    )]
    pub(crate) config: PathBuf,

    /// Which poolguard, where several run on one machine: names its pins and
    /// its control socket.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "default",
        value_parser = Instance::new
    )]
    pub(crate) instance: Instance,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Attach, enforce and serve metrics, until SIGTERM or SIGINT.
    ///
    /// SIGHUP or `poolguard reload` reads the configuration again. The log goes
    /// to standard error; POOLGUARD_LOG=debug says more.
    Run {
        /// Log in JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Validate the configuration. Needs no privileges.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what becomes of a packet, and why. Needs no privileges.
    ///
    /// From the configuration alone, through the same decision as the XDP
    /// program: explain --in eth0 tcp 192.0.2.9:40000 203.0.113.9:25
    Explain(Explain),
    /// Show what is attached, loaded, passed and dropped.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a reload would change, or what differs between two files.
    ///
    /// Lines with `-` are lost, lines with `+` gained. Exit status 0: nothing;
    /// 3: something. Two files need no privileges and no running controller.
    Diff(Diff),
    /// Have the running controller read its configuration again, and wait for
    /// the outcome.
    Reload {
        /// Also if it opens or closes more addresses than `max_change` allows.
        #[arg(long)]
        force: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether standard output is for machines. A log is not standard output.
    pub(crate) fn prints_json(&self) -> bool {
        match self {
            Self::Run { .. } => false,
            Self::Check { json } | Self::Status { json } | Self::Reload { json, .. } => *json,
            Self::Diff(diff) => diff.json,
            Self::Explain(explain) => explain.json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A configuration file, in place of the running configuration.
    #[arg(requires = "new")]
    pub(crate) old: Option<PathBuf>,

    /// The configuration file to compare it with.
    pub(crate) new: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The interface that the packet arrives at.
    #[arg(long = "in", value_name = "INTERFACE")]
    pub(crate) interface: String,

    /// tcp, udp, sctp, dccp, udplite, icmp or an IP protocol number.
    pub(crate) protocol: String,

    /// 192.0.2.9:40000 or [2001:db8::9]:40000; no port for protocols that have
    /// none.
    pub(crate) source: String,

    /// The same.
    pub(crate) destination: String,

    /// The TCP flags, separated by commas, or none.
    #[arg(long, default_value = "syn")]
    pub(crate) flags: String,

    /// As if the customer had just sent a packet of this flow.
    #[arg(long)]
    pub(crate) known_flow: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
