//! `cargo xtask help`: what is needed every day comes first.

use clap::{Command, CommandFactory};

/// The commands by what they are for, in the order in which they are shown.
const GROUPS: [(&str, &[&str]); 3] = [
    ("Every day", &["test", "lint", "build"]),
    (
        "Evidence",
        &[
            "demo", "captures", "soak", "chaos", "fuzz", "mutants", "bench", "bulk", "systemd",
        ],
    ),
    ("Release and set-up", &["deb", "ci", "setup", "verify"]),
];

const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}";

/// The command line of `C`, with its subcommands in groups.
pub(crate) fn grouped<C: CommandFactory>() -> Command {
    let command = C::command();
    let list = list(&command);
    command
        .help_template(TEMPLATE)
        .after_help(list.clone())
        .after_long_help(list)
}

fn list(command: &Command) -> String {
    let about = |name: &str| {
        let command = command.find_subcommand(name);
        let about = command.and_then(Command::get_about);
        about.map_or_else(String::new, ToString::to_string)
    };
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("\n{group}:\n"));
        for name in names {
            text.push_str(&format!("  {name:<9} {}\n", about(name)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let mut known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let mut shown = GROUPS.map(|(_, names)| names).concat();
        known.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn three_commands_come_first() {
        let list = list(&Cli::command());
        let first = list.split("\n\n").next().unwrap_or_default();
        assert_eq!(
            first.lines().filter(|line| line.starts_with("  ")).count(),
            3
        );
    }
}
