//! The stories, told to the decision function.

use std::path::Path;

use filter_common::{counters, decide};
use filter_user::metrics;
use jiff::Timestamp;
use policy::{
    compile::{Compiled, compile},
    config::{self, Files, Memory},
    host::{HostCounters, HostTables},
    totals::Totals,
};

use crate::{
    configs::Configuration,
    fixture::{Counters, Done, FLOWS, Filter, Fixture, Verdict, extent, tell},
    frames::Arrival,
};

/// Tells every story of a chapter, and panics with all that went wrong.
pub fn tell_all(stories: Vec<Fixture>) {
    println!("{}", extent(&stories));
    let complaints: Vec<String> = stories
        .iter()
        .filter_map(|story| tell_one(story).err())
        .collect();
    assert!(
        complaints.is_empty(),
        "{} of {} stories went wrong\n\n{}",
        complaints.len(),
        stories.len(),
        complaints.join("\n")
    );
}

/// Tells one story.
///
/// # Errors
///
/// All that went wrong.
pub fn tell_one(story: &Fixture) -> Result<(), String> {
    tell_under(story, &load(&story.config, story.now))
}

/// Tells one story under another configuration than its own.
///
/// # Errors
///
/// All that went wrong.
pub fn tell_under(story: &Fixture, generation: &Compiled) -> Result<(), String> {
    tell(story, &mut Host::new(generation))
}

/// Reads and compiles a configuration, which has to be right.
pub fn load(configuration: &Configuration, now: Timestamp) -> Compiled {
    let path = Path::new("poolguard.toml");
    let files = Memory::default().with(path, configuration.text.as_str());
    load_file(&files, path, now)
}

/// Reads and compiles a configuration file and what it includes, which have to
/// be right.
pub fn load_file(files: &dyn Files, path: &Path, now: Timestamp) -> Compiled {
    let loaded = config::load_from(files, path, now)
        .unwrap_or_else(|report| panic!("the configuration is wrong: {report:?}"));
    compile(&loaded.config.into(), now).unwrap()
}

/// Every counter under its name.
pub fn read(totals: &Totals) -> Counters {
    metrics::counters(totals).into_iter().collect()
}

/// The decision function with tables and counters in ordinary memory.
struct Host<'a> {
    generation: &'a Compiled,
    tables: HostTables<'a>,
    counters: HostCounters,
    now_seconds: u64,
}

impl<'a> Host<'a> {
    fn new(generation: &'a Compiled) -> Self {
        Self {
            generation,
            tables: HostTables::new(generation),
            counters: HostCounters::default(),
            now_seconds: 0,
        }
    }
}

impl Filter for Host<'_> {
    fn arrive(&mut self, interface: &str, frame: &Arrival) -> Done {
        let mut interfaces = self.generation.interfaces.iter();
        let interface = interfaces.find(|i| i.name == interface).unwrap();
        let bytes = &frame.bytes[..];
        let verdict = decide(bytes, interface.ingress, &self.tables);
        counters::count(&verdict, interface.slot, bytes.len(), &mut self.counters);
        Done {
            passes: verdict.passes(),
            verdict: Some(Verdict {
                outcome: verdict.outcome,
                reason: verdict.reason.map(|reason| reason.name()),
            }),
        }
    }

    fn counters(&mut self) -> Counters {
        let Ok(totals) = Totals::of(&self.generation.slots, &self.counters);
        let mut counters = read(&totals);
        counters.insert(FLOWS.to_owned(), self.tables.flows().len() as u64);
        counters
    }

    fn wait(&mut self, seconds: u64) {
        self.now_seconds += seconds;
        self.tables.set_now_seconds(self.now_seconds);
    }
}
