//! `poolguard explain`: what is in force, or a file, and where they differ.

use std::path::Path;

use api::{
    answers::Explained,
    client::{self, ClientError},
    routes,
};
use filter_user::{
    args::{Cli, Explain},
    controller::exemptions,
    disk,
};
use jiff::Timestamp;
use policy::{
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
}

pub(super) fn explain(cli: &Cli, arguments: &Explain) -> Result<(), Failure> {
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
        Some(file) => of_file(cli, file, &question)?,
        None => of_what_runs(cli, &question)?,
    };
    if arguments.json {
        return print_json(&answer);
    }
    let mut text = answer.explanation.render();
    text.push_str(&format!("asked    {}\n", answer.asked));
    if let Some(otherwise) = &answer.otherwise {
        text.push_str(&format!("but      {otherwise}\n"));
    }
    print(&text)
}

fn of_what_runs(cli: &Cli, question: &Question) -> Result<Answer, Failure> {
    let asked = ask(cli, question);
    let Explained {
        explanation,
        in_force,
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
    // Temporary exemptions are beside the file, and in force with it.
    let otherwise = match intent_of(cli, file, false) {
        Ok(intent) => match question.answer(&intent, Timestamp::now()) {
            Ok(other) if is_same(&other, &explanation) => None,
            Ok(other) => Some(format!(
                "the file {shown} is not what is in force, and says: {}",
                other.summary
            )),
            Err(error) => Some(format!("the file {shown} cannot be asked: {error}")),
        },
        Err(why) => Some(format!("the file {shown} {why}")),
    };
    Ok(Answer {
        explanation,
        asked: format!("what is in force: {in_force}"),
        otherwise,
    })
}

fn of_file(cli: &Cli, file: &Path, question: &Question) -> Result<Answer, Failure> {
    let intent = match intent_of(cli, file, true) {
        Ok(intent) => intent,
        Err(_) => {
            let why = "nothing is explained from a wrong configuration";
            return Err(Failure::Failed(why.to_owned()));
        }
    };
    let explanation = progress::during("building the tables", || {
        question.answer(&intent, Timestamp::now())
    });
    let explanation = explanation.map_err(|error| match error {
        Unexplained::Packet(error) => Failure::Usage(error.to_string()),
        error => error.into(),
    })?;
    let otherwise = match ask(cli, question) {
        Ok(other) if is_same(&other.explanation, &explanation) => None,
        Ok(other) => Some(format!(
            "what is in force says: {} ({})",
            other.explanation.summary, other.in_force
        )),
        // Nothing is in force, or it does not know the interface.
        Err(ClientError::NotRunning { .. } | ClientError::Refused { .. }) => None,
        Err(error) => Some(format!("what is in force could not be asked: {error}")),
    };
    Ok(Answer {
        explanation,
        asked: format!("the file {}", file.display()),
        otherwise,
    })
}

fn ask(cli: &Cli, question: &Question) -> Result<Explained, ClientError> {
    let instance = cli.instance();
    progress::during("asking the controller", || {
        client::post(&instance, routes::EXPLAIN, question)
    })
}

fn is_same(one: &Explanation, other: &Explanation) -> bool {
    one.summary == other.summary
}

/// What a file says, with the temporary exemptions beside it.
fn intent_of(cli: &Cli, file: &Path, is_asked: bool) -> Result<Intent, &'static str> {
    let what = format!("reading {}", file.display());
    let loaded = progress::during(&what, || disk::load(file, Timestamp::now()));
    let mut intent = match loaded {
        Ok(loaded) => Intent::from(loaded.config),
        Err(report) => {
            if is_asked {
                print_report(&report);
            }
            return Err("is wrong, or cannot be read: `poolguard check` says why");
        }
    };
    match exemptions::read(&cli.state_directory()) {
        Ok(temporary) => intent.temporary = temporary,
        Err(error) if is_asked => print_error(&format!(
            "poolguard: explained without temporary exemptions: {error}\n"
        )),
        Err(_) => return Err("was not asked: temporary exemptions are for root to read"),
    }
    Ok(intent)
}
