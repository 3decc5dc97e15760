//! `poolguard explain`: what is in force, or a file, and where they differ.

use std::{path::Path, sync::Arc};

use api::{
    answers::Explained,
    client::{Client, ClientError},
    last_use::LastUse,
    routes,
};
use filter_user::{
    args::{Cli, Explain},
    controller::exemptions,
    disk,
    state::StateDirectory,
};
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    config::{Config, Report, Severity, TemporaryExemption},
    explain::{Explanation, Question, Unexplained},
    intent::Intent,
};
use serde::Serialize;

use super::{Failure, print, print_error, print_json, print_report, progress};

/// What is printed.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    explanation: Explanation,
    /// What was asked: what is in force, or a file.
    asked: String,
    /// What the other of the two says, where that is something else.
    otherwise: Option<String>,
    /// When the exemptions around the two addresses were last used, of what is in force.
    exemptions: Vec<UsedExemption>,
}

/// An exemption around one of the addresses.
#[derive(Serialize)]
struct UsedExemption {
    prefix: IpNet,
    #[serde(flatten)]
    last_use: LastUse,
}

pub(super) fn explain(cli: &Cli, client: Client<'_>, arguments: &Explain) -> Result<(), Failure> {
    let question = Question {
        interface: arguments.interface.clone(),
        protocol: arguments.protocol.clone(),
        source: arguments.source.clone(),
        destination: arguments.destination.clone(),
        flags: arguments.flags.clone(),
        known_flow: arguments.known_flow,
    };
    let packet = question.packet();
    packet.map_err(|error| Failure::Usage(error.to_string()))?;
    let answer = match &arguments.file {
        Some(file) => of_file(cli, client, file, &question)?,
        None => of_what_runs(client, &question)?,
    };
    if arguments.json {
        return print_json(&answer);
    }
    let mut text = answer.explanation.render();
    for UsedExemption { prefix, last_use } in &answer.exemptions {
        text.push_str(&format!("used     the exemption of {prefix}: {last_use}\n"));
    }
    text.push_str(&format!("asked    {}\n", answer.asked));
    if let Some(otherwise) = &answer.otherwise {
        text.push_str(&format!("but      {otherwise}\n"));
    }
    print(&text)
}

fn of_what_runs(client: Client<'_>, question: &Question) -> Result<Answer, Failure> {
    let asked = ask(client, question);
    let Explained {
        explanation,
        in_force,
        last_uses,
    } = asked.map_err(|error| match error {
        ClientError::NotRunning { .. } => Failure::Failed(format!(
            "{error}. `poolguard explain --file FILE` asks a configuration file"
        )),
        // As the file of a question that makes no sense.
        ClientError::Declined(why) => Failure::Usage(why),
        error => error.into(),
    })?;
    let file = &in_force.config_file;
    let shown = file.display();
    let otherwise = match read(file) {
        Ok(config) => {
            let intent = Intent::from(config).with_temporary(in_force.temporary.clone());
            match question.answer(&intent, Timestamp::now()) {
                Ok(other) if is_same(&other, &explanation) => None,
                Ok(other) => Some(format!(
                    "the file {shown} is not what is in force, and says: {}",
                    other.summary
                )),
                Err(error) => Some(format!("the file {shown} cannot be asked: {error}")),
            }
        }
        Err(_) => Some(format!(
            "the file {shown} is wrong, or cannot be read: `poolguard check` says why"
        )),
    };
    Ok(Answer {
        explanation,
        asked: format!("what is in force: {in_force}"),
        otherwise,
        exemptions: last_uses
            .into_iter()
            .map(|(prefix, last_use)| UsedExemption { prefix, last_use })
            .collect(),
    })
}

fn of_file(
    cli: &Cli,
    client: Client<'_>,
    file: &Path,
    question: &Question,
) -> Result<Answer, Failure> {
    let config = read(file).map_err(|report| {
        print_report(&report);
        Failure::Failed("nothing is explained from a wrong configuration".to_owned())
    })?;
    let running = ask(client, question);
    // Temporary exemptions are beside the file: it would be put into force with them.
    let temporary = match &running {
        Ok(running) => running.in_force.temporary.clone(),
        Err(_) => trusted_exemptions(&cli.state_directory()).unwrap_or_else(|error| {
            print_error(&format!(
                "poolguard: explained without temporary exemptions: {error}\n"
            ));
            Vec::new()
        }),
    };
    let intent = Intent::from(config).with_temporary(temporary);
    let explanation = progress::during("building the tables", || {
        question.answer(&intent, Timestamp::now())
    });
    let explanation = explanation.map_err(|error| match error {
        Unexplained::Packet(error) => Failure::Usage(error.to_string()),
        error => error.into(),
    })?;
    let otherwise = match running {
        Ok(other) if is_same(&other.explanation, &explanation) => None,
        Ok(other) => Some(format!(
            "what is in force says: {} ({})",
            other.explanation.summary, other.in_force
        )),
        // Nothing is in force, or it is not for this user to ask.
        Err(ClientError::NotRunning { .. } | ClientError::Refused { .. }) => None,
        Err(error) => Some(format!("what is in force could not be asked: {error}")),
    };
    Ok(Answer {
        explanation,
        asked: format!("the file {}", file.display()),
        otherwise,
        exemptions: Vec::new(),
    })
}

fn ask(client: Client<'_>, question: &Question) -> Result<Explained, ClientError> {
    progress::during("asking the controller", || {
        client.post(routes::EXPLAIN, question)
    })
}

/// The temporary exemptions that a start would take: none from a file that others may
/// write.
fn trusted_exemptions(state: &StateDirectory) -> Result<Vec<TemporaryExemption>, String> {
    let file = exemptions::file(state);
    // Where there is none, nobody can have written it.
    if file.symlink_metadata().is_ok() {
        let doubts = disk::doubts(&[file], Severity::Error);
        if !doubts.is_empty() {
            return Err(doubts.summary());
        }
    }
    exemptions::read(state).map_err(|error| error.to_string())
}

fn is_same(one: &Explanation, other: &Explanation) -> bool {
    one.summary == other.summary
}

fn read(file: &Path) -> Result<Arc<Config>, Report> {
    let what = format!("reading {}", file.display());
    let loaded = progress::during(&what, || disk::load(file, Timestamp::now()));
    loaded.map(|loaded| loaded.config)
}
