//! What each command does with its arguments. Exit status: 0 fine, 1 failed,
//! 2 wrong usage, 3 something differs.

mod check;
mod diff;
mod exempt;
mod explain;
mod progress;
mod status;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use api::{
    answers::{Confirmed, ReloadOutcome},
    client::{self, ClientError},
    requests::ReloadOptions,
    routes,
    status::Status,
};
use filter_user::{
    args::{Cli, Command},
    controller::{
        ApplyError, StartOptions,
        daemon::{self, Afterwards},
    },
};
use jiff::Timestamp;
use policy::{config::Report, instance::Instance};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// How a command ended, short of success.
enum Failure {
    /// It has printed why.
    Printed,
    /// For standard error, with exit status 1.
    Failed(String),
    /// It has printed what differs: exit status 3.
    Differs,
    /// For standard error, with exit status 2.
    Usage(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(crate) fn main(cli: Cli) -> ExitCode {
    let result = match cli.unheeded() {
        Some(why) => Err(Failure::Usage(why)),
        None => done(&cli),
    };
    let (text, status) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Printed) => return ExitCode::FAILURE,
        Err(Failure::Differs) => return ExitCode::from(3),
        Err(Failure::Failed(text)) => (text, 1),
        Err(Failure::Usage(text)) => (text, 2),
    };
    if cli.command.prints_json() {
        let _unprinted = print_json(&serde_json::json!({ "error": text }));
    }
    print_error(&format!("poolguard: {text}\n"));
    ExitCode::from(status)
}

fn done(cli: &Cli) -> Result<(), Failure> {
    let instance = &cli.instance();
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
        Command::Explain(arguments) => explain::explain(cli, arguments),
        Command::Status { json } => status(instance, *json),
        Command::Exempt(command) => exempt::exempt(instance, command),
        Command::Diff(arguments) => match (&arguments.old, &arguments.new, &arguments.with) {
            (Some(old), Some(new), _) => diff::files(old, new, arguments.json),
            (_, _, Some(candidate)) => diff::candidate(instance, candidate, arguments.json),
            _ => diff::running(instance, arguments.json),
        },
        Command::Reload {
            force,
            confirm,
            json,
        } => {
            let options = ReloadOptions {
                force: *force,
                confirm: *confirm,
            };
            reload(instance, options, *json)
        }
        Command::Confirm { json } => confirm(instance, *json),
        Command::Detach { json } => detach(cli, *json),
    }
}

/// Prints to standard error, where there is one.
fn print_error(text: &str) {
    let _unheard = io::stderr().lock().write_all(text.as_bytes());
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
    log_to_stderr(json);
    let state = cli.state_directory();
    match daemon::run(config_file, instance, state, options, afterwards) {
        Err(daemon::RunError::Start(ApplyError::Config(report))) => {
            print_report(&report);
            Err(Failure::Failed(format!(
                "not started: {}. Mend {} (`poolguard check`) and start again",
                consequence(instance),
                config_file.display()
            )))
        }
        // The other one goes on, and this one had started.
        Err(error @ (daemon::RunError::AlreadyRunning { .. } | daemon::RunError::Stop(_))) => {
            Err(error.into())
        }
        Err(error) => Err(Failure::Failed(format!(
            "not started: {}. {error}",
            consequence(instance)
        ))),
        Ok(()) => Ok(()),
    }
}

/// What it means for traffic that this instance did not start.
fn consequence(instance: &Instance) -> String {
    match dataplane::left_attached(instance) {
        Ok(interfaces) if interfaces.is_empty() => "nothing is enforced".to_owned(),
        Ok(interfaces) => {
            let interfaces = interfaces.join(", ");
            format!("what an earlier run left attached goes on filtering on {interfaces}")
        }
        Err(_) => "what an earlier run left attached, if anything, goes on filtering".to_owned(),
    }
}

/// `POOLGUARD_LOG` takes the directives of tracing's `EnvFilter`.
fn log_to_stderr(json: bool) {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var("POOLGUARD_LOG")
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // It would say on standard error that standard error cannot be written, and
        // panic.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    if json {
        log.json().init();
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        // The journal has its own clock.
        log.without_time().init();
    } else {
        log.init();
    }
}

fn status(instance: &Instance, json: bool) -> Result<(), Failure> {
    let status: Status = client::get(instance, routes::STATUS)?;
    if json {
        print_json(&status)
    } else {
        print(&status::render(&status, Timestamp::now()))
    }
}

fn reload(instance: &Instance, options: ReloadOptions, json: bool) -> Result<(), Failure> {
    let outcome: ReloadOutcome = progress::during("reloading", || {
        client::post(instance, routes::RELOAD, &options)
    })?;
    if json {
        print_json(&outcome)?;
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

fn confirm(instance: &Instance, json: bool) -> Result<(), Failure> {
    let confirmed: Confirmed = client::post(instance, routes::CONFIRM, &())?;
    if json {
        return print_json(&confirmed);
    }
    print(&format!(
        "generation {} stays in force\n",
        confirmed.generation
    ))
}

fn detach(cli: &Cli, json: bool) -> Result<(), Failure> {
    let instance = &cli.instance();
    // Where it cannot say, it will not detach either.
    let cut = client::get(instance, routes::STATUS).map_or_else(|_| Vec::new(), ends_of_wires);
    let cut = match client::post::<Option<String>>(instance, routes::DETACH, &()) {
        Ok(None) => Some(cut),
        Ok(Some(error)) => return Err(Failure::Failed(error)),
        Err(ClientError::NotRunning { .. }) => {
            daemon::detach_leftovers(instance, &cli.state_directory())?
        }
        Err(error) => return Err(error.into()),
    };
    if json {
        let detached = cut.is_some();
        let cut = cut.unwrap_or_default();
        return print_json(&serde_json::json!({ "detached": detached, "cut": cut }));
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
