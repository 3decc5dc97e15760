//! One configuration, shown to all.

use std::fmt::{self, Write as _};

use filter_common::{counters::count, decide};
use policy::{
    compile::{Compiled, compile},
    config::{Config, Interface},
    host::{HostCounters, HostTables},
};

use super::{Census, counters::Places, program::Program};
use crate::{
    fixture::Counters,
    frames::Arrival,
    generate::{Scenario, Step, setup::NOW},
    oracle::{Answer, Oracle},
};

/// Who is asked besides the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witnesses {
    /// The decision function.
    Host,
    /// And the program in the kernel, where frames arrive and on their way out. It takes
    /// no frame under 14 bytes, and goes by a clock of its own.
    #[cfg(feature = "kernel")]
    HostAndKernel,
}

/// A frame that two answer differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The number of the step, from 0.
    pub step: usize,
    /// Who said what.
    pub words: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}:\n{}", self.step + 1, self.words)
    }
}

/// A configuration in the hands of all of them.
pub struct Trial {
    config: Config,
    compiled: Compiled,
    places: Places,
    programs: Vec<Program>,
}

impl Trial {
    /// Hands a configuration out.
    pub fn new(config: &Config, witnesses: Witnesses) -> Self {
        let compiled = compile(&config.clone().into(), NOW.parse().unwrap()).unwrap();
        let programs = match witnesses {
            Witnesses::Host => Vec::new(),
            #[cfg(feature = "kernel")]
            Witnesses::HostAndKernel => Program::load_all(&compiled),
        };
        Self {
            config: config.clone(),
            places: Places::new(&compiled.slots),
            compiled,
            programs,
        }
    }

    /// Shows them what happens in a scenario of the same configuration, and compares
    /// their counters after every frame.
    ///
    /// # Errors
    ///
    /// The first frame that they disagree on.
    pub fn run(&mut self, scenario: &Scenario, census: &mut Census) -> Result<(), Disagreement> {
        self.run_in_batches(scenario, 1, census)
    }

    /// Shows them what happens, and compares their verdicts after every frame and their
    /// counters after every so many.
    ///
    /// # Errors
    ///
    /// The first frame that they disagree on, or the last one of the first batch in which
    /// their counters moved differently.
    pub fn run_in_batches(
        &mut self,
        scenario: &Scenario,
        batch: usize,
        census: &mut Census,
    ) -> Result<(), Disagreement> {
        let mut oracle = Oracle::new(&self.config, NOW.parse().unwrap());
        let mut host = Host::new(&self.compiled, &self.places);
        let mut now = 0;
        let mut due = Due::default();
        for (step, event) in scenario.steps.iter().enumerate() {
            let (name, bytes, first, shapes) = match event {
                Step::Wait(seconds) => {
                    now += seconds;
                    oracle.wait(*seconds);
                    host.tables.set_now_seconds(now);
                    census.waits += 1;
                    continue;
                }
                Step::Frame {
                    interface,
                    bytes,
                    first,
                    shapes,
                } => (interface, bytes, *first, shapes),
            };
            let mut interfaces = self.config.interfaces.iter();
            let interface = interfaces.find(|i| i.name == *name).unwrap();
            let answer = oracle.arrive(interface, bytes);
            census.frame(shapes, &answer);
            due.frames += 1;
            add(&mut due.host, &answer.moved);
            let mut testimony = vec![("decide", host.arrive(interface, bytes))];
            due.programs
                .resize_with(self.programs.len(), Counters::default);
            for (program, due) in self.programs.iter_mut().zip(&mut due.programs) {
                let mut moved = answer.moved.clone();
                if let Some(said) = program.arrive(interface, bytes, first, &mut moved) {
                    census.kernel_frames += 1;
                    add(due, &moved);
                    testimony.push((program.name(), said));
                }
            }
            let mut agree = testimony.iter().all(|(_, said)| said.agrees_with(&answer));
            let mut sums = String::new();
            if due.frames >= batch || step + 1 == scenario.steps.len() {
                sums = due.compare(&mut host, &mut self.programs, &self.places);
                agree &= sums.is_empty();
            }
            if !agree {
                let words = words(name, bytes, &answer, &testimony) + &sums;
                return Err(Disagreement { step, words });
            }
        }
        let programs = self.programs.iter().map(|p| (p.name(), p.flows()));
        let flows = [("decide", host.tables.flows().len())];
        for (who, flows) in flows.into_iter().chain(programs) {
            if flows != oracle.flows() {
                let all = oracle.flows();
                return Err(Disagreement {
                    step: scenario.steps.len().saturating_sub(1),
                    words: format!("  {who} remembers {flows} flows, the oracle {all}\n"),
                });
            }
        }
        Ok(())
    }
}

/// What one of the others said of a frame.
pub(super) struct Testimony {
    pub(super) passes: bool,
    /// The outcome and the reason, from who can be asked for them.
    pub(super) why: Option<(&'static str, Option<&'static str>)>,
}

impl Testimony {
    fn agrees_with(&self, answer: &Answer) -> bool {
        self.passes == answer.passes
            && self
                .why
                .is_none_or(|why| why == (answer.outcome, answer.reason))
    }
}

/// How counters have to have moved since they were last compared.
#[derive(Default)]
struct Due {
    frames: usize,
    host: Counters,
    /// Of the frames that each program was shown.
    programs: Vec<Counters>,
}

impl Due {
    /// Whose counters moved how; nothing where they moved as they had to. The next batch
    /// begins.
    fn compare(
        &mut self,
        host: &mut Host<'_>,
        programs: &mut [Program],
        places: &Places,
    ) -> String {
        let due = std::mem::take(self);
        let mut moved = vec![("decide", host.moved(), due.host)];
        let programs = programs.iter_mut().zip(due.programs);
        moved.extend(programs.map(|(p, due)| (p.name(), p.moved(places), due)));
        if moved.iter().all(|(_, moved, due)| moved == due) {
            return String::new();
        }
        let mut words = format!("  counters, of {} frames:\n", due.frames);
        for (who, moved, due) in moved {
            let _ = writeln!(words, "  {who}: {moved:?}\n  for it, the oracle: {due:?}");
        }
        words
    }
}

fn add(sums: &mut Counters, moved: &Counters) {
    for (name, n) in moved {
        match sums.get_mut(name) {
            Some(sum) => *sum += n,
            None => {
                sums.insert(name.clone(), *n);
            }
        }
    }
}

/// The decision function, with everything in ordinary memory.
struct Host<'a> {
    compiled: &'a Compiled,
    places: &'a Places,
    tables: HostTables<'a>,
    counters: HostCounters,
    values: Vec<u64>,
}

impl<'a> Host<'a> {
    fn new(compiled: &'a Compiled, places: &'a Places) -> Self {
        let counters = HostCounters::default();
        Self {
            compiled,
            places,
            tables: HostTables::new(compiled),
            values: places.read(&counters),
            counters,
        }
    }

    fn arrive(&mut self, interface: &Interface, frame: &[u8]) -> Testimony {
        let mut interfaces = self.compiled.interfaces.iter();
        let slot = interfaces.find(|i| i.name == interface.name).unwrap().slot;
        let verdict = decide(frame, interface.ingress(), &self.tables);
        count(&verdict, slot, frame.len(), &mut self.counters);
        Testimony {
            passes: verdict.passes(),
            why: Some((
                verdict.outcome.name(),
                verdict.reason.map(|reason| reason.name()),
            )),
        }
    }

    /// How its counters have moved since this was last asked.
    fn moved(&mut self) -> Counters {
        let values = self.places.read(&self.counters);
        let moved = self.places.moved(&self.values, &values);
        self.values = values;
        moved
    }
}

fn words(
    interface: &str,
    bytes: &[u8],
    answer: &Answer,
    testimony: &[(&'static str, Testimony)],
) -> String {
    let arrival = Arrival {
        bytes: bytes.to_vec(),
        ip_offset: 0,
    };
    let mut words = format!("  {arrival} at {interface}\n");
    let _ = writeln!(
        words,
        "  oracle: {} {:?}, {:?}",
        answer.outcome, answer.reason, answer.moved
    );
    for (who, said) in testimony {
        let _ = match said.why {
            Some((outcome, reason)) => write!(words, "  {who}: {outcome} {reason:?}"),
            None => write!(
                words,
                "  {who}: {}",
                if said.passes { "passes" } else { "drops" }
            ),
        };
        words.push('\n');
    }
    words
}
