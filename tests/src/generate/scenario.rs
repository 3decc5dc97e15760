//! A configuration and what happens under it.

use std::path::Path;

use filter_user::config::{self, Config, Memory};
use proptest::{prelude::*, sample::Index};

use super::{
    frame::{Conversation, Frame, frame},
    place::{Targets, next},
    setup::{NOW, Setup},
};

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A frame arrives.
    Frame(Frame),
    /// A frame arrives that belongs to the conversation of an earlier one.
    Answer {
        /// Which.
        to: Index,
        /// What is different.
        twist: Twist,
        /// The frame; the conversation is not its own.
        frame: Frame,
    },
    /// So many seconds pass.
    Wait(u64),
}

/// What distinguishes a frame from the answer to an earlier one.
#[derive(Clone, Copy, Debug)]
pub enum Twist {
    /// Nothing.
    None,
    /// It goes the same way again.
    Repeated,
    /// It comes from the neighbouring port.
    SourcePort,
    /// It is for the neighbouring port.
    DestinationPort,
    /// It comes from the neighbouring address.
    SourceAddress,
    /// It is for the neighbouring address.
    DestinationAddress,
    /// Another protocol.
    Protocol(u8),
}

impl Twist {
    fn of(self, earlier: &Conversation) -> Conversation {
        let mut answer = Conversation {
            source: earlier.destination,
            destination: earlier.source,
            protocol: earlier.protocol,
        };
        match self {
            Self::None => {}
            Self::Repeated => return *earlier,
            Self::SourcePort => answer.source.1 = answer.source.1.wrapping_add(1),
            Self::DestinationPort => answer.destination.1 = answer.destination.1.wrapping_add(1),
            Self::SourceAddress => answer.source.0 = next(answer.source.0, 1),
            Self::DestinationAddress => answer.destination.0 = next(answer.destination.0, 1),
            Self::Protocol(protocol) => answer.protocol = protocol,
        }
        answer
    }
}

/// Seconds on both sides of every lifetime of a flow.
const WAITS: [u64; 14] = [
    0, 1, 15, 16, 17, 18, 283, 284, 299, 300, 301, 7_424, 7_440, 7_441,
];

/// Draws an event. The kernel's clock is not ours to set: there `may_wait` is
/// false.
pub fn event(may_wait: bool) -> impl Strategy<Value = Event> {
    let twist = prop_oneof![
        8 => Just(Twist::None),
        2 => Just(Twist::Repeated),
        1 => Just(Twist::SourcePort),
        1 => Just(Twist::DestinationPort),
        1 => Just(Twist::SourceAddress),
        1 => Just(Twist::DestinationAddress),
        1 => prop::sample::select(vec![6_u8, 17, 33, 132, 136]).prop_map(Twist::Protocol),
    ];
    let answer = (any::<Index>(), twist, frame());
    let wait = prop_oneof![prop::sample::select(WAITS.to_vec()), 0..8_000_u64,];
    prop_oneof![
        70 => frame().prop_map(Event::Frame),
        25 => answer.prop_map(|(to, twist, frame)| Event::Answer { to, twist, frame }),
        if may_wait { 5 } else { 0 } => wait.prop_map(Event::Wait),
    ]
}

/// What proptest drew, in text and bytes.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The configuration, as an operator writes it.
    pub text: String,
    /// And as the controller understands it.
    pub config: Config,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame arrives.
    Frame {
        /// Here.
        interface: String,
        /// This is it.
        bytes: Vec<u8>,
        /// What is remarkable about it.
        shapes: Vec<&'static str>,
    },
    /// So many seconds pass.
    Wait(u64),
}

/// How many conversations can still be answered.
const REMEMBERED: usize = 16;

impl Scenario {
    /// Writes everything down.
    pub fn new(setup: &Setup, events: &[Event]) -> Self {
        let text = setup.text();
        let config = load(&text);
        let targets = Targets::new(&config);
        // Those that may have opened the way for an answer.
        let mut openings: Vec<Conversation> = Vec::new();
        let steps = events.iter().map(|event| {
            let (frame, conversation) = match event {
                Event::Wait(seconds) => return Step::Wait(*seconds),
                Event::Answer { to, twist, frame } if !openings.is_empty() => {
                    let first = openings.len().saturating_sub(REMEMBERED);
                    (frame, twist.of(to.get(&openings[first..])))
                }
                Event::Frame(frame) | Event::Answer { frame, .. } => {
                    (frame, frame.conversation(&targets))
                }
            };
            let interface = frame.interface(&targets).to_owned();
            if targets.opens(&interface, conversation.source.1) {
                openings.push(conversation);
            }
            Step::Frame {
                interface,
                bytes: frame.bytes(&conversation),
                shapes: frame.shapes(&conversation),
            }
        });
        let steps = steps.collect();
        Self {
            text,
            config,
            steps,
        }
    }
}

/// Reads a configuration, which has to be right.
pub fn load(text: &str) -> Config {
    let path = Path::new("poolguard.toml");
    let files = Memory::default().with(path, text);
    match config::load_from(&files, path, NOW.parse().unwrap()) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("a configuration that should be valid is not: {report:?}\n{text}"),
    }
}
