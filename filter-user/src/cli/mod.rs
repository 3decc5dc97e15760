//! What each command does with its arguments. Exit status: 0 fine, 1 failed,
//! 2 wrong usage, 3 something differs, 4 no answer in time.

mod check;
mod diff;
mod exempt;
mod explain;
mod left;
mod progress;
mod status;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use api::{
    answers::{Confirmed, ReloadOutcome},
    client::{Client, ClientError},
    requests::ReloadOptions,
    routes,
    status::Status,
};
use filter_user::{
    args::{Cli, Command},
    controller::{
        ApplyError, PATIENCE, StartOptions,
        daemon::{self, Afterwards},
    },
    log,
};
use jiff::{SignedDuration, Timestamp};
use policy::config::{Report, shown};
use serde::Serialize;
use serde_json::json;

/// How a command ended, short of success.
enum Failure {
    /// It has printed why.
    Printed,
    /// It has printed what it could on standard output, for machines too. The rest is for
    /// standard error.
    Answered(Box<Failure>),
    /// For standard error, with exit status 1.
    Failed(String),
    /// It has printed what differs: exit status 3.
    Differs,
    /// For standard error, with exit status 2.
    Usage(String),
    /// For standard error, with exit status 4: it may yet be done.
    NoAnswer(String),
}

impl Failure {
    /// As every command has it in its JSON; none where it was printed.
    fn in_json(&self) -> Option<serde_json::Value> {
        let (kind, text) = match self {
            Self::Printed | Self::Answered(_) | Self::Differs => return None,
            Self::Failed(text) => ("failed", text),
            Self::Usage(text) => ("usage", text),
            Self::NoAnswer(text) => ("no_answer", text),
        };
        Some(error_in_json(kind, text))
    }

    /// Says what is left to say on standard error. Gives back the exit status.
    fn ended(self) -> u8 {
        let (text, status) = match self {
            Self::Printed => return 1,
            Self::Answered(failure) => return failure.ended(),
            Self::Differs => return 3,
            Self::Failed(text) => (text, 1),
            Self::Usage(text) => (text, 2),
            Self::NoAnswer(text) => (text, 4),
        };
        print_error(&format!("poolguard: {text}\n"));
        status
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let text = error.to_string();
        match (&error as &dyn std::any::Any).downcast_ref() {
            Some(ClientError::TooSlow { .. }) => Self::NoAnswer(text),
            _ => Self::Failed(text),
        }
    }
}

/// Says what is wrong with the arguments, or what they ask for (`--help`).
pub(crate) fn wrong_usage(error: &clap::Error) -> ExitCode {
    let mut arguments = std::env::args_os().take_while(|argument| argument != "--");
    if error.use_stderr() && arguments.any(|argument| argument == "--json") {
        let _unprinted = print_json(&json!({
            "error": error_in_json("usage", error.to_string().trim_end()),
        }));
    }
    let _unprinted = error.print();
    let status = u8::try_from(error.exit_code()).unwrap_or(2);
    ExitCode::from(status)
}

/// An error as every command has it in its JSON, under `error`.
fn error_in_json(kind: &str, message: &str) -> serde_json::Value {
    json!({ "kind": kind, "message": message })
}

/// The outcome of something, with the error that it may have in the same shape as
/// everywhere else.
fn outcome_in_json(outcome: &impl Serialize) -> Result<serde_json::Value, Failure> {
    let mut outcome = serde_json::to_value(outcome)?;
    let error = outcome["error"].take();
    outcome["error"] = match error.as_str() {
        Some(message) => error_in_json("failed", message),
        None => serde_json::Value::Null,
    };
    Ok(outcome)
}

pub(crate) fn main(cli: Cli) -> ExitCode {
    let status = carry_out(&cli);
    log::end();
    ExitCode::from(status)
}

/// Does what a command asks for. Gives back the exit status.
fn carry_out(cli: &Cli) -> u8 {
    let result = match cli.unheeded() {
        Some(why) => Err(Failure::Usage(why)),
        None => done(cli),
    };
    let failure = match result {
        Ok(()) => return 0,
        Err(failure) => failure,
    };
    if let (true, Some(error)) = (cli.command.prints_json(), failure.in_json()) {
        let _unprinted = print_json(&json!({ "error": error }));
    }
    failure.ended()
}

fn done(cli: &Cli) -> Result<(), Failure> {
    let instance = &cli.instance();
    let client = |timeout: &SignedDuration| Client {
        instance,
        patience: *timeout,
    };
    match &cli.command {
        Command::Run {
            detach_on_exit,
            force,
            strict,
            json,
        } => {
            let afterwards = if *detach_on_exit {
                Afterwards::Detach
            } else {
                Afterwards::Enforce
            };
            let options = StartOptions {
                force: *force,
                strict: *strict,
            };
            run(cli, options, afterwards, *json)
        }
        Command::Check { json } => check::check(&cli.config_file(), *json),
        Command::Explain(arguments) => explain::explain(cli, client(&arguments.timeout), arguments),
        Command::Status { timeout, json } => status(client(timeout), *json),
        Command::Exempt(command) => exempt::exempt(instance, command),
        Command::Diff(arguments) => match (&arguments.old, &arguments.new, &arguments.with) {
            (Some(old), Some(new), _) => diff::files(old, new, arguments.json),
            (_, _, Some(candidate)) => {
                diff::candidate(client(&arguments.timeout), candidate, arguments.json)
            }
            _ => diff::running(client(&arguments.timeout), arguments.json),
        },
        Command::Reload {
            force,
            confirm,
            timeout,
            json,
        } => {
            let options = ReloadOptions {
                force: *force,
                confirm: *confirm,
            };
            reload(client(timeout), options, *json)
        }
        Command::Confirm { timeout, json } => confirm(client(timeout), *json),
        Command::Detach { timeout, json } => detach(cli, client(timeout), *json),
    }
}

/// Prints to standard error, where there is one.
fn print_error(text: &str) {
    log::print(text);
}

/// Prints to standard output. A reader that has gone (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn print_report(report: &Report) {
    print_error(&report.render(io::stderr().is_terminal()));
}

fn run(
    cli: &Cli,
    options: StartOptions,
    afterwards: Afterwards,
    json: bool,
) -> Result<(), Failure> {
    let (config_file, instance) = (&*cli.config_file(), &cli.instance());
    log::begin(json)?;
    let state = cli.state_directory();
    let patience = cli.disk_patience().unwrap_or(PATIENCE);
    match daemon::run(config_file, instance, state, options, afterwards, patience) {
        Err(daemon::RunError::Start(ApplyError::Config(report))) => {
            print_report(&report);
            let file = report.first_file().unwrap_or(config_file);
            Err(Failure::Failed(format!(
                "not started: {}. Mend {} (`poolguard check`) and start again",
                left::consequence(instance),
                shown(file)
            )))
        }
        // The other one goes on, and this one had started.
        Err(error @ (daemon::RunError::AlreadyRunning { .. } | daemon::RunError::Stop(_))) => {
            Err(error.into())
        }
        Err(error) => Err(Failure::Failed(format!(
            "not started: {}. {error}",
            left::consequence(instance)
        ))),
        Ok(()) => Ok(()),
    }
}

fn status(client: Client<'_>, json: bool) -> Result<(), Failure> {
    match client.get::<Status>(routes::STATUS) {
        Ok(status) if json => print_json(&status),
        Ok(status) => print(&status::render(&status, Timestamp::now())),
        // The kernel knows what a controller that does not answer has left there.
        Err(
            error @ (ClientError::NotRunning { .. }
            | ClientError::Unreachable { .. }
            | ClientError::TooSlow { .. }),
        ) => left::status(client.instance, error, json),
        Err(error) => Err(error.into()),
    }
}

fn reload(client: Client<'_>, options: ReloadOptions, json: bool) -> Result<(), Failure> {
    let outcome: ReloadOutcome =
        progress::during("reloading", || client.post(routes::RELOAD, &options))?;
    if json {
        print_json(&outcome_in_json(&outcome)?)?;
    } else {
        print_error(&outcome.report);
        if outcome.successful {
            print(&format!("generation {} is in force\n", outcome.generation))?;
            if let Some(change) = &outcome.change {
                print(&format!("{change}\n"))?;
            }
            if options.confirm.is_some() {
                print("it goes back by itself unless `poolguard confirm` follows in time\n")?;
            }
        }
    }
    match outcome.error {
        None => Ok(()),
        Some(_) if json => Err(Failure::Printed),
        Some(error) => Err(Failure::Failed(format!(
            "not reloaded, generation {} stays in force: {error}",
            outcome.generation
        ))),
    }
}

fn confirm(client: Client<'_>, json: bool) -> Result<(), Failure> {
    let confirmed: Confirmed = client.post(routes::CONFIRM, &())?;
    if json {
        return print_json(&confirmed);
    }
    print(&format!(
        "generation {} stays in force\n",
        confirmed.generation
    ))
}

fn detach(cli: &Cli, client: Client<'_>, json: bool) -> Result<(), Failure> {
    // Where it cannot say, it will not detach either.
    let cut = client.get(routes::STATUS);
    let cut = cut.map_or_else(|_| Vec::new(), ends_of_wires);
    let cut = match client.post::<Option<String>>(routes::DETACH, &()) {
        Ok(None) => Some(cut),
        Ok(Some(error)) => return Err(Failure::Failed(error)),
        Err(ClientError::NotRunning { .. }) => {
            daemon::detach_leftovers(client.instance, &cli.state_directory())?
        }
        Err(error) => return Err(error.into()),
    };
    if json {
        let detached = cut.is_some();
        let cut = cut.unwrap_or_default();
        return print_json(&json!({ "detached": detached, "cut": cut }));
    }
    match cut {
        None => print("nothing was attached\n"),
        Some(cut) if cut.is_empty() => print("detached: nothing is enforced any more\n"),
        Some(cut) => print(&format!(
            "detached: nothing is enforced any more, and NOTHING IS FORWARDED on {}: the wires went \
             with the filter\n",
            cut.join(", ")
        )),
    }
}

/// The interfaces through which nothing goes without the filter.
fn ends_of_wires(status: Status) -> Vec<String> {
    let interfaces = status.interfaces.into_iter();
    let wired = interfaces.filter(|interface| interface.wire.is_some());
    wired.map(|interface| interface.name).collect()
}
