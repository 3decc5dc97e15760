//! The arguments of `poolguard`: what its manual pages and completions are
//! generated from as well.

mod moment;

use std::{path::PathBuf, time::Duration};

use policy::{
    config::{PortSpec, parse_prefix},
    instance::Instance,
};

use crate::state::StateDirectory;
use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

/// Keeps scanners and spammers off customer machines, and customers' mail on
/// the provider's mail servers.
#[derive(Debug, Parser)]
#[command(
    name = "poolguard",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// The configuration file of `run` and `check`. Default:
    /// /etc/poolguard/poolguard.toml. Every other command asks the running controller,
    /// which knows its own.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Which poolguard, where several run on one machine: names its pins and
    /// its control socket. Default: default.
    #[arg(long, global = true, value_name = "NAME", value_parser = Instance::new)]
    pub instance: Option<Instance>,

    /// Where what has to outlive a restart is kept, in a directory for each
    /// instance. Default: $STATE_DIRECTORY, as systemd sets it, or
    /// /var/lib/poolguard.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub state_dir: Option<PathBuf>,

    /// For tests, of debug builds only: how long a disk is waited for.
    #[cfg(debug_assertions)]
    #[arg(long, global = true, hide = true, value_name = "TIME")]
    pub disk_patience: Option<SignedDuration>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        let given = self.config.clone();
        given.unwrap_or_else(|| PathBuf::from("/etc/poolguard/poolguard.toml"))
    }

    /// The instance.
    pub fn instance(&self) -> Instance {
        self.instance.clone().unwrap_or_default()
    }

    /// What is wrong with an option that is given and that the command would not heed.
    pub fn unheeded(&self) -> Option<String> {
        use Command::{Check, Detach, Diff, Explain, Run};
        let command = &self.command;
        let reads_files = matches!(command, Run { .. } | Check { .. });
        if self.config.is_some() && !reads_files {
            let instead = match command {
                Explain(_) => "`explain --file FILE` asks a file",
                Diff(_) => "`diff --with FILE` compares what is in force with a file",
                _ => "it asks the running controller, which reads its own file",
            };
            return Some(format!("--config is not for this command: {instead}"));
        }
        let knows_state = match command {
            Run { .. } | Detach { .. } => true,
            Explain(explain) => explain.file.is_some(),
            _ => false,
        };
        if self.state_dir.is_some() && !knows_state {
            let why =
                "only `run`, `detach` and `explain --file` look into that directory themselves";
            return Some(format!("--state-dir is not for this command: {why}"));
        }
        let asks_nobody = match command {
            Check { .. } => true,
            Diff(diff) => diff.new.is_some(),
            _ => false,
        };
        (self.instance.is_some() && asks_nobody)
            .then(|| "--instance is not for this command: it reads files only".to_owned())
    }

    /// Where the instance keeps what has to outlive a restart.
    pub fn state_directory(&self) -> StateDirectory {
        let from_systemd = || {
            // It separates several with colons.
            let directories = std::env::var("STATE_DIRECTORY").ok()?;
            let first = directories.split(':').next().unwrap_or_default();
            (!first.is_empty()).then(|| PathBuf::from(first))
        };
        let base = self.state_dir.clone().or_else(from_systemd);
        let base = base.unwrap_or_else(|| PathBuf::from("/var/lib/poolguard"));
        let state = StateDirectory::new(&base, self.instance().name());
        match self.disk_patience() {
            Some(patience) => state.with_patience(patience),
            None => state,
        }
    }

    /// How long a disk is waited for, where a test says so.
    pub fn disk_patience(&self) -> Option<Duration> {
        #[cfg(debug_assertions)]
        let patience = self.disk_patience;
        #[cfg(not(debug_assertions))]
        let patience: Option<SignedDuration> = None;
        patience.and_then(|patience| patience.try_into().ok())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach, enforce and serve metrics, until SIGTERM or SIGINT.
    ///
    /// The filter keeps filtering when this ends, however it ends; the next run
    /// takes it over. `poolguard detach` takes it off. SIGHUP or `poolguard reload` reads the configuration again. The log goes
    /// to standard error; POOLGUARD_LOG=debug says more.
    ///
    /// A start is held to what a reload is held to: where the configuration file is
    /// wrong, or changes more than a reload may, the configuration that was last in
    /// force goes on.
    Run {
        /// Take the configuration file however much it changes, and end a trial.
        #[arg(long)]
        force: bool,
        /// Do not start where otherwise the configuration that was last in force
        /// would go on.
        #[arg(long, conflicts_with = "force")]
        strict: bool,
        /// Take the filter off at the end, and with it the wires of
        /// `forwarding = "wire"`.
        #[arg(long)]
        detach_on_exit: bool,
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
    /// Say what becomes of a packet, and why.
    ///
    /// From what is in force, with its temporary exemptions, through the same decision as
    /// the XDP program: explain --in eth0 tcp 192.0.2.9:40000 203.0.113.9:25. Root and
    /// every member of group poolguard may ask. With --file from a file, which needs no
    /// privileges. Where the two differ, it says so.
    Explain(Explain),
    /// Show what is attached, loaded, passed and dropped.
    ///
    /// Where no controller answers: what the kernel still filters, since when and by which
    /// generation. That takes root, and the exit status is 1, or 4 for a controller that
    /// runs and does not answer in time.
    Status {
        /// How long the controller may take to answer (30s, 5m). Exit status 4 after
        /// that.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "30s")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a reload would change, or another file, or what differs between two.
    ///
    /// Compares what is in force with the configuration file, with --with another one.
    /// Lines with `-` are lost, lines with `+` gained. Exit status 0: nothing;
    /// 3: something. Two files need no privileges and no running controller.
    Diff(Diff),
    /// Give a customer an exemption for a while, or take it back.
    #[command(subcommand)]
    Exempt(Exempt),
    /// Have the running controller read its configuration again, and wait for
    /// the outcome.
    Reload {
        /// Also if it opens or closes more addresses than `max_change` allows,
        /// takes the filter off an interface, changes its role or where it
        /// forwards to, and while another configuration is on trial.
        #[arg(long)]
        force: bool,
        /// Go back by itself after that time (90s, 5m, 1h) unless `poolguard
        /// confirm` follows.
        #[arg(long, value_name = "TIME", value_parser = moment::duration)]
        confirm: Option<SignedDuration>,
        /// How long the controller may take to answer. Exit status 4 after that; it may
        /// reload all the same.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "10m")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let what `reload --confirm` put into force stay.
    Confirm {
        /// How long the controller may take to answer. Exit status 4 after that; it may
        /// confirm all the same.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "2m")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take the filter off every interface, and end the running controller.
    ///
    /// With `forwarding = "wire"` nothing goes through any more: the wires go with
    /// the filter. What was set on their ends is set back.
    Detach {
        /// How long the controller may take to answer. Exit status 4 after that; it may
        /// detach all the same.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "2m")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether standard output is for machines. A log is not standard output.
    pub fn prints_json(&self) -> bool {
        match self {
            Self::Run { .. } => false,
            Self::Check { json }
            | Self::Status { json, .. }
            | Self::Reload { json, .. }
            | Self::Confirm { json, .. }
            | Self::Detach { json, .. } => *json,
            Self::Diff(diff) => diff.json,
            Self::Exempt(
                Exempt::Add(Add { json, .. })
                | Exempt::List { json, .. }
                | Exempt::Remove { json, .. },
            ) => *json,
            Self::Explain(explain) => explain.json,
        }
    }
}

/// What to do about temporary exemptions.
#[derive(Debug, Subcommand)]
pub enum Exempt {
    /// Open forbidden ports toward a prefix in a static pool, at once and for a
    /// while. What is open there anyway stays so. It is kept over restarts.
    Add(Add),
    /// Show the exemptions that were given so, and when each was last used.
    List {
        /// Instead, those that were not used for so many days, customers' exemptions of the
        /// configuration too. Days are counted while a controller runs.
        #[arg(long, value_name = "DAYS")]
        unused: Option<u32>,
        /// How long the controller may take to answer. Exit status 4 after that.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "30s")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take one back.
    Remove {
        /// Its number.
        id: u64,
        /// How long the controller may take to answer. Exit status 4 after that; it may
        /// be taken back all the same.
        #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "2m")]
        timeout: SignedDuration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
// Not documentation: clap would show it in the place of the command's own.
#[expect(missing_docs)]
pub struct Add {
    /// The addresses: 203.0.113.9, 203.0.113.8/29 or 2001:db8:200:8::/64.
    #[arg(value_parser = parse_prefix)]
    pub prefix: IpNet,

    /// The forbidden ports to open: 443, 8000-8080, or 443/tcp for one protocol.
    pub ports: Vec<PortSpec>,

    /// Let mail leave past the mail servers.
    #[arg(long)]
    pub smtp_out: bool,

    /// When it ends: 2h, 3d, 2026-12-01T18:00:00Z, or 2026-12-01, through which
    /// it lasts (UTC).
    #[arg(long, value_name = "WHEN", value_parser = moment::expiry)]
    pub expires: Timestamp,

    /// Why. It is logged and shown.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: String,

    /// Where that is written down: NOC-4711.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub ticket: Option<String>,

    /// How long the controller may take to answer. Exit status 4 after that; it may be
    /// given all the same.
    #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "2m")]
    pub timeout: SignedDuration,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
// Not documentation: clap would show it in the place of the command's own.
#[expect(missing_docs)]
pub struct Diff {
    /// A configuration file, in place of what is in force.
    #[arg(requires = "new", conflicts_with = "with")]
    pub old: Option<PathBuf>,

    /// The configuration file to compare it with.
    pub new: Option<PathBuf>,

    /// Compare what is in force with this file, in place of the configuration file.
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// How long the controller may take to answer. Exit status 4 after that.
    #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "10m")]
    pub timeout: SignedDuration,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
// Not documentation: clap would show it in the place of the command's own.
#[expect(missing_docs)]
pub struct Explain {
    /// The interface that the packet arrives at.
    #[arg(long = "in", value_name = "INTERFACE")]
    pub interface: String,

    /// tcp, udp, sctp, dccp, udplite, icmp or an IP protocol number.
    pub protocol: String,

    /// 192.0.2.9:40000 or `[2001:db8::9]:40000`; no port for protocols that have
    /// none.
    pub source: String,

    /// Where the packet goes, written like the source.
    pub destination: String,

    /// The TCP flags, separated by commas, or none.
    #[arg(long, default_value = "syn")]
    pub flags: String,

    /// Ask this configuration file, in place of what is in force.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// As if the customer had just sent a packet of this flow.
    #[arg(long)]
    pub known_flow: bool,

    /// How long the controller may take to answer. Exit status 4 after that.
    #[arg(long, value_name = "TIME", value_parser = moment::duration, default_value = "2m")]
    pub timeout: SignedDuration,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command, Exempt};

    /// What was given as `--reason=` on one box is copied to another as two words.
    #[test]
    fn a_reason_may_begin_with_a_hyphen() {
        let typed = "poolguard exempt add 203.0.113.20 443 --expires 2h --ticket -4711 --reason";
        let words = typed.split(' ').chain(["- moves its web server"]);
        let cli = Cli::try_parse_from(words).map(|cli| cli.command);
        match cli {
            Ok(Command::Exempt(Exempt::Add(add))) => {
                assert_eq!(add.reason, "- moves its web server");
                assert_eq!(add.ticket.as_deref(), Some("-4711"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
